"""Name → entry, filled at start, then frozen.    Tables are open, dispatch is closed."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Table(Generic[T]):
    """A registry in which a name may be claimed once; a second claim stops the start."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._entries: dict[bytes, T] = {}
        self._frozen = False

    def add(self, name: bytes, entry: T) -> None:
        """Claim a name.    Errors: ValueError when it is taken or the table is frozen."""
        if self._frozen:
            raise ValueError(f"{self._what}: the table is frozen, {name!r} comes too late")
        if name in self._entries:
            raise ValueError(f"{self._what}: {name!r} is claimed twice")
        self._entries[name] = entry

    def freeze(self) -> "Table[T]":
        """No more additions."""
        self._frozen = True
        return self

    def get(self, name: bytes) -> T | None:
        """The entry of a name, None when there is none."""
        return self._entries.get(name)

    def __contains__(self, name: bytes) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._entries)

    def items(self) -> Iterator[tuple[bytes, T]]:
        """Names and entries in order of addition."""
        return iter(self._entries.items())
