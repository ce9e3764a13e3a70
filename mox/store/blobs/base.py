"""The blob protocol: contents are appended in groups, read in ranges, never changed."""

from pathlib import Path
from typing import Protocol

import msgspec

from mox.store.layout.rows import Location


class SpoolFile(msgspec.Struct, frozen=True, kw_only=True):
    """A large content on disk, not yet owned by the store: consumed or removed by whoever has it."""

    path: Path
    size: int  # bytes
    crc: int  # CRC-32 of the bytes


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A content to be kept: small ones in memory, large ones spooled."""

    account: int
    file: int
    content: bytes | SpoolFile


class Blobs(Protocol):
    """All calls block: use them from threads."""

    def check_space(self) -> None:
        """Errors: DiskFull.    The index must never meet a full disk, so contents stop earlier."""
        ...

    def put_group(self, bodies: list[Body]) -> list[Location]:
        """Append and sync.    Errors: OSError; then nothing of the group is referred to."""
        ...

    def read(self, account: int, file: int, location: Location, start: int, end: int) -> bytes:
        """Bytes ``start <= i < end`` of a content.    Errors: OSError, DataDamaged."""
        ...

    def path(self, account: int, file: int, location: Location) -> Path | None:
        """The file of a large content, for mapping it; None for one that is only read."""
        ...

    def erase(self, account: int, file: int, location: Location) -> None:
        """The content is not needed any more."""
        ...

    def close(self) -> None:
        """Close files."""
        ...
