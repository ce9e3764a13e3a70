"""Contents of messages in the queue: kept once for all recipients, erased after the last.

A small content is a row itself, and durable with the batch that names it; a larger one is in a pack or
in a file of its own, durable before.

Each entry and notification that needs a content has a reference row; there is no counter that a crash
could leave wrong.  Whoever removes a reference notes the content; one task then erases those that
nobody needs any more, and gives the space of packs back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from mox.base.limits import (
    CLIENT_BLOCK,
    COMMIT_BATCH_ROWS,
    MESSAGE_IN_MEMORY,
    QUEUE_INLINE,
    QUEUE_RECLAIM,
)
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
from mox.store.space import Space

if TYPE_CHECKING:
    from mox.queue.database import Database

log = get_logger("queue")

_PIECE = 4 * CLIENT_BLOCK  # bytes of a large content read at a time
_SLICE = COMMIT_BATCH_ROWS // 4  # contents erased by one batch
_GATHER_S = 0.05  # so many contents are erased together under load, and one soon enough
_FEW = 10_000  # entries: with no more, counting the packs costs nothing


Place = Location | bytes
"""Where a content is; a small one itself."""


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
        self._space = Space(blobs, database.clock)
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="queue contents")

    # ------------------------------------------------------------ in and out

    async def put(self, number: int, content: bytes | SpoolFile) -> Place:
        """Store a content; then a batch names it (``name``), or it is given up (``abandon``).

        It is durable when that batch is.  A spooled content is consumed in every case.
        Errors  DiskFull, Unavailable, StoreStopped.
        """
        if isinstance(content, bytes) and len(content) <= QUEUE_INLINE:
            self._space.check()
            return content
        body = Body(account=keys.ACCOUNT, file=number, content=content)
        return await self._database.bodies.put(body)

    def name(self, batch: Batch, number: int, place: Place) -> None:
        """Put its place into a batch that is staged at once."""
        if isinstance(place, bytes):
            batch.put(Family.KV, keys.content(number), place)
        else:
            batch.put(Family.LOC, store_keys.file(keys.ACCOUNT, number), rows.encode(place))

    def named(self, place: Place) -> None:
        """A row that names the place of a content is staged."""
        if isinstance(place, bytes):
            return
        self._database.bodies.named(place)
        if self._reclaimer is not None:
            self._reclaimer.added(place)

    def abandon(self, number: int, place: Place) -> None:
        """No row will name it."""
        if not isinstance(place, bytes):
            self._database.bodies.abandon(keys.ACCOUNT, number, place)

    def open(self, number: int, size: int) -> StoredContent:
        """To be read in pieces."""
        return StoredContent(self, number, size)

    async def read(self, number: int, start: int, end: int) -> bytes:
        """A range of a content.    Errors: DataDamaged, OSError."""
        return await self._database.in_thread(self._read, number, start, end)

    def _read(self, number: int, start: int, end: int) -> bytes:
        place = self._locate(number)
        if isinstance(place, bytes):
            return place[start:end]
        blobs = self._database.blobs
        try:
            return blobs.read(keys.ACCOUNT, number, place, start, end)
        except FileNotFoundError:
            now = self._locate(number)  # its pack was rewritten meanwhile
            if now == place or isinstance(now, bytes):
                raise
            return blobs.read(keys.ACCOUNT, number, now, start, end)

    def _locate(self, number: int) -> Place:
        place = self._find(number)
        if place is None:
            raise DataDamaged("a message in the queue has no stored content", content=number)
        return place

    def _find(self, number: int) -> Place | None:
        engine = self._database.engine
        small = engine.get(Family.KV, keys.content(number))
        if small is not None:
            return small
        value = engine.get(Family.LOC, store_keys.file(keys.ACCOUNT, number))
        return None if value is None else rows.decode(Location, value)

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
                if isinstance(free[number], bytes):
                    batch.delete(Family.KV, keys.content(number))
                else:
                    batch.delete(Family.LOC, store_keys.file(keys.ACCOUNT, number))
            if number in free or number not in again:
                batch.delete(Family.KV, keys.unneeded(number))
        await database.committer.synced(database.committer.stage(batch))
        stored = {number: place for number, place in free.items() if not isinstance(place, bytes)}
        if stored:
            await database.in_thread(self._remove, stored)
        for location in stored.values():
            self._erased += location.length
            if self._reclaimer is not None:
                self._reclaimer.erased(location)

    def _unreferenced(self, contents: list[int]) -> dict[int, Place]:
        engine = self._database.engine
        found: dict[int, Place] = {}
        for number in contents:
            if next(iter(engine.scan(Family.IDX, *keys.references(number))), None) is not None:
                continue
            place = self._find(number)
            if place is not None:
                found[number] = place
        return found

    def _remove(self, erased: dict[int, Location]) -> None:
        for number, location in erased.items():
            self._database.blobs.erase(keys.ACCOUNT, number, location)
