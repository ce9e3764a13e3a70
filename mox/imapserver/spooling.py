"""Messages on their way from the network into the store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from mox.base.limits import KIB, MESSAGE_IN_MEMORY
from mox.message.lines import ToCRLF
from mox.store.blobs.base import SpoolFile
from mox.store.content import Spool
from mox.store.shard import Shard

WRITE_SLICE = 256 * KIB  # bytes handed to a thread at once, where a message is spooled on disk


class Spooling:
    """Collects the messages of one command, one after the other.

    Small ones stay in memory, larger ones go to files, written in threads.  What was taken belongs
    to the store once it is given there; ``discard`` removes the rest.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._spool: Spool | None = None
        self._finished: bytes | SpoolFile | None = None
        self._taken: list[SpoolFile] = []

    @asynccontextmanager
    async def message(self, *, as_is: bool) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
        """A sink for one message.    Input: as_is: keep every octet (literal8).

        Otherwise a lone LF becomes CRLF, as messages are kept.    Errors: OSError.
        """
        spool = self._spool = self._shard.spool()
        lines = None if as_is else ToCRLF()
        pending: list[bytes] = []
        waiting = 0

        async def sink(chunk: bytes) -> None:
            nonlocal waiting
            if lines is not None:
                chunk = lines.feed(chunk)
            pending.append(chunk)
            waiting += len(chunk)
            if spool.size + waiting > MESSAGE_IN_MEMORY and waiting >= WRITE_SLICE:
                await self._shard.in_thread(spool.write, b"".join(pending))
                pending.clear()
                waiting = 0

        yield sink
        rest = b"".join(pending)
        if spool.size + len(rest) <= MESSAGE_IN_MEMORY:
            spool.write(rest)
            self._finished = spool.finish()
        else:
            await self._shard.in_thread(spool.write, rest)
            self._finished = await self._shard.in_thread(spool.finish)
        self._spool = None

    def take(self) -> bytes | SpoolFile:
        """The message collected last."""
        content = self._finished
        assert content is not None
        self._finished = None
        if isinstance(content, SpoolFile):
            self._taken.append(content)
        return content

    async def discard(self) -> None:
        """Forget everything, also what was taken, where it is still there."""
        await self._shard.in_thread(self._discard)

    def _discard(self) -> None:
        if self._spool is not None:
            self._spool.discard()
        if isinstance(self._finished, SpoolFile):
            self._taken.append(self._finished)
        for file in self._taken:
            file.path.unlink(missing_ok=True)
