"""A content for each copy of a message that is stored: the store consumes what it is given."""

import asyncio
import os
import secrets

from mox.store.blobs.base import SpoolFile


class Copies:
    """Hands out copies of one content; ``close`` removes what nobody took."""

    __slots__ = ("_made", "_original")

    def __init__(self, original: bytes | SpoolFile) -> None:
        self._original = original
        self._made: list[SpoolFile] = []

    async def one(self) -> bytes | SpoolFile:
        """Another copy: a second name of a spooled file, not a second file.    Errors: OSError."""
        original = self._original
        if isinstance(original, bytes):
            return original
        path = original.path.parent / f"spool-{secrets.token_hex(8)}"
        copy = SpoolFile(path=path, size=original.size, crc=original.crc)
        self._made.append(copy)
        await asyncio.to_thread(os.link, original.path, path)
        return copy

    async def close(self) -> None:
        """Remove the original and whatever was not taken."""
        if isinstance(self._original, SpoolFile):
            await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        assert isinstance(self._original, SpoolFile)
        for file in (self._original, *self._made):
            file.path.unlink(missing_ok=True)
