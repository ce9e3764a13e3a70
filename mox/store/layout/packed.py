"""Many byte strings of one width, kept as one."""

from collections.abc import Iterator


class Packed:
    """Cut only where they are needed: an engine does it while it writes, in its own thread."""

    __slots__ = ("_data", "_width")

    def __init__(self, data: bytes, width: int) -> None:
        assert len(data) % width == 0
        self._data = data
        self._width = width

    def __len__(self) -> int:
        return len(self._data) // self._width

    def __iter__(self) -> Iterator[bytes]:
        data, width = self._data, self._width
        return (data[at : at + width] for at in range(0, len(data), width))

    def __contains__(self, item: object) -> bool:
        return any(item == each for each in self)
