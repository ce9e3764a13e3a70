from collections.abc import Sequence

def strongest(
    words: list[bytes],
    counts: Sequence[tuple[int, int] | None],
    ham: int,
    spam: int,
    most: int,
    max_power: float,
    ignored: float,
    rare: int,
) -> tuple[list[tuple[bytes, float, int, int]], list[tuple[bytes, float, int, int]]]: ...
