"""Contents of messages in the queue: kept once for all recipients, erased after the last.

Each entry and notification that needs a content has a reference row; there is no counter that a crash
could leave wrong.  Whoever removes a reference notes the content; one task then erases those that
nobody needs any more, and gives the space of packs back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from mox.base.limits import CLIENT_BLOCK, COMMIT_BATCH_ROWS, MESSAGE_IN_MEMORY, QUEUE_RECLAIM
from mox.base.log import get_logger
from mox.queue import keys
from mox.store.blobs.base import Body, SpoolFile
from mox.store.blobs.packs import PackBlobs
from mox.store.engine.base import Batch, Family
from mox.store.errors import DataDamaged, StoreStopped
from mox.store.layout import keys as store_keys
from mox.store.layout import rows
from mox.store.layout.rows import Location
from mox.store.reclaim import Reclaimer

if TYPE_CHECKING:
    from mox.queue.database import Database

log = get_logger("queue")

_PIECE = 4 * CLIENT_BLOCK  # bytes of a large content read at a time
_SLICE = COMMIT_BATCH_ROWS // 4  # contents erased by one batch
_GATHER_S = 0.05  # so many contents are erased together under load, and one soon enough
_FEW = 10_000  # entries: with no more, counting the packs costs nothing


class StoredContent:
    """One content to be read.    See ``carry.Content``."""

    __slots__ = ("_contents", "_number", "size")

    def __init__(self, contents: "Contents", number: int, size: int) -> None:
        self._contents = contents
        self._number = number
        self.size = size

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes; a small content is checked against its checksum before the first piece."""
        if self.size <= MESSAGE_IN_MEMORY:
            whole = await self._contents.read(self._number, 0, self.size)
            if len(whole) <= CLIENT_BLOCK:
                yield whole
                return
            for start in range(0, len(whole), CLIENT_BLOCK):
                yield whole[start : start + CLIENT_BLOCK]
            return
        for start in range(0, self.size, _PIECE):
            yield await self._contents.read(self._number, start, start + _PIECE)


class KnownContent:
    """One content that is in memory.    See ``carry.Content``."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it at once."""
        yield self._data


class Contents:
    """Of one database; with a task."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        blobs = database.blobs
        self._reclaimer = Reclaimer(database, blobs) if isinstance(blobs, PackBlobs) else None
        self._noted: set[int] = set()  # their batch is staged, not synced
        self._unneeded: deque[int] = deque()
        self._erased = 0  # bytes since packs were looked at
        self._counted = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="queue contents")

    # ------------------------------------------------------------ in and out

    async def put(self, number: int, content: bytes | SpoolFile) -> Location:
        """Store a content durably; then a batch names it (``name``), or it is given up (``abandon``).

        A spooled content is consumed in every case.
        Errors  DiskFull, Unavailable, StoreStopped.
        """
        body = Body(account=keys.ACCOUNT, file=number, content=content)
        return await self._database.bodies.put(body)

    def name(self, batch: Batch, number: int, location: Location) -> None:
        """Put its place into a batch that is staged at once."""
        batch.put(Family.LOC, store_keys.file(keys.ACCOUNT, number), rows.encode(location))

    def named(self, location: Location) -> None:
        """A row that names the place of a content is staged."""
        self._database.bodies.named(location)
        if self._reclaimer is not None:
            self._reclaimer.added(location)

    def abandon(self, number: int, location: Location) -> None:
        """No row will name it."""
        self._database.bodies.abandon(keys.ACCOUNT, number, location)

    def open(self, number: int, size: int) -> StoredContent:
        """To be read in pieces."""
        return StoredContent(self, number, size)

    async def read(self, number: int, start: int, end: int) -> bytes:
        """A range of a content.    Errors: DataDamaged, OSError."""
        return await self._database.in_thread(self._read, number, start, end)

    def _read(self, number: int, start: int, end: int) -> bytes:
        location = self._locate(number)
        blobs = self._database.blobs
        try:
            return blobs.read(keys.ACCOUNT, number, location, start, end)
        except FileNotFoundError:
            now = self._locate(number)  # its pack was rewritten meanwhile
            if now == location:
                raise
            return blobs.read(keys.ACCOUNT, number, now, start, end)

    def _locate(self, number: int) -> Location:
        key = store_keys.file(keys.ACCOUNT, number)
        value = self._database.engine.get(Family.LOC, key)
        if value is None:
            raise DataDamaged("a message in the queue has no stored content", content=number)
        return rows.decode(Location, value)

    # ------------------------------------------------------------ erasing

    def note(self, contents: Iterable[int]) -> None:
        """References to these are removed by a batch that is staged now."""
        self._noted.update(contents)

    def check(self, contents: Iterable[int]) -> None:
        """That batch is durable."""
        self._noted.difference_update(contents)
        self._unneeded.extend(contents)
        if self._unneeded:
            self._begin()

    def resume(self) -> None:
        """Contents that a crash or a stop left unerased.    Blocks on a short scan."""
        found = self._database.engine.scan(Family.KV, *keys.UNNEEDED)
        self.check([keys.last_number(key) for key, _ in found])

    async def idle(self) -> None:
        """Wait until nothing is left to erase."""
        await self._idle.wait()

    async def close(self) -> None:
        """Finish the slice at hand; the rest is done after the next start."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        self._wake.set()
        await self._task

    def _begin(self) -> None:
        if self._task.done():
            return
        self._idle.clear()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._timer = None
        self._wake.set()

    async def _run(self) -> None:
        try:
            while not self._stopping:
                await self._wake.wait()
                self._wake.clear()
                if self._unneeded:
                    await self._work()
                if len(self._unneeded) >= _SLICE:
                    self._wake.set()
                elif self._unneeded:
                    self._begin()
                else:
                    self._idle.set()
        except StoreStopped:
            self._unneeded.clear()  # the rows that name them stay
        finally:
            self._idle.set()

    async def _work(self) -> None:
        count = min(len(self._unneeded), _SLICE)
        some = sorted({self._unneeded.popleft() for _ in range(count)})
        try:
            await self._erase(some)
            few = self._database.counters.queued <= _FEW and not self._counted
            if self._reclaimer is not None and (self._erased >= QUEUE_RECLAIM or few):
                self._erased, self._counted = 0, True
                await self._reclaimer.run()
        except StoreStopped:
            raise
        except Exception as error:
            # Nothing is lost: the rows stay and are tried again after the next start.
            log.error("queue.erase_failed", error)

    async def _erase(self, contents: list[int]) -> None:
        database = self._database
        free = await database.in_thread(self._unreferenced, contents)
        # One that lost another reference meanwhile is looked at again, also after a crash.
        again = self._noted.union(self._unneeded)
        batch = Batch()
        for number in contents:
            if number in free:
                batch.delete(Family.LOC, store_keys.file(keys.ACCOUNT, number))
            if number in free or number not in again:
                batch.delete(Family.KV, keys.unneeded(number))
        await database.committer.synced(database.committer.stage(batch))
        await database.in_thread(self._remove, free)
        for location in free.values():
            self._erased += location.length
            if self._reclaimer is not None:
                self._reclaimer.erased(location)

    def _unreferenced(self, contents: list[int]) -> dict[int, Location]:
        engine = self._database.engine
        found: dict[int, Location] = {}
        for number in contents:
            if next(iter(engine.scan(Family.IDX, *keys.references(number))), None) is not None:
                continue
            value = engine.get(Family.LOC, store_keys.file(keys.ACCOUNT, number))
            if value is not None:
                found[number] = rows.decode(Location, value)
        return found

    def _remove(self, erased: dict[int, Location]) -> None:
        for number, location in erased.items():
            self._database.blobs.erase(keys.ACCOUNT, number, location)
