"""The writer of a shard's bodies: one thread, groups, each one append and one sync.

Bodies are durable before any batch that refers to them is staged.  Until that batch is staged nothing
else shows that a body is needed, so each is counted here; ``reclaim`` leaves its pack alone meanwhile.
"""

import asyncio
import errno
from collections import Counter, deque

from mox.base.errors import Unavailable
from mox.base.limits import COMMIT_GROUP
from mox.base.log import get_logger
from mox.store.blobs.base import Blobs, Body, SpoolFile
from mox.store.errors import DiskFull, StoreStopped
from mox.store.layout.rows import Location
from mox.store.thread import WorkThreads

log = get_logger("store")


class BodyWriter:
    """Writes bodies in groups.

    ``unnamed``: by pack, how many of its bodies no staged row names yet.  Whoever put a body ends that
    with ``named`` once its row is staged, or with ``abandon``.
    """

    def __init__(self, blobs: Blobs) -> None:
        self.unnamed: Counter[int] = Counter()
        self._blobs = blobs
        self._thread = WorkThreads("bodies")
        self._pending: deque[tuple[Body, asyncio.Future[Location]]] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="bodies")

    async def put(self, body: Body) -> Location:
        """Store a body durably.  A spooled content is consumed in every case.

        Errors  DiskFull, Unavailable, StoreStopped: only this caller's.
        """
        if self._stopping:
            _remove_spool(body)
            raise StoreStopped
        future: asyncio.Future[Location] = asyncio.get_running_loop().create_future()
        self._pending.append((body, future))
        self._wake.set()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.abandon(body.account, body.file, future.result())
            raise

    def named(self, location: Location) -> None:
        """A row that names the body is staged."""
        self.unnamed[location.pack] -= 1
        if not self.unnamed[location.pack]:
            del self.unnamed[location.pack]

    def abandon(self, account: int, file: int, location: Location) -> None:
        """No row will name the body."""
        self.named(location)
        if not self._stopping:  # else the next open removes it
            self._thread.submit(self._erase, account, file, location)

    async def close(self) -> None:
        """Write what is queued, then stop."""
        if not self._stopping:
            self._stopping = True
            self._wake.set()
            await self._task
            self._thread.close()

    async def _run(self) -> None:
        while True:
            while not self._pending:
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
            group = [self._pending.popleft() for _ in range(min(len(self._pending), COMMIT_GROUP))]
            results = await self._thread.run(self._store, [body for body, _ in group])
            for (body, future), result in zip(group, results, strict=True):
                if isinstance(result, Exception):
                    if not future.done():
                        future.set_exception(result)
                    continue
                # Before the thread may close this pack for the next group.
                self.unnamed[result.pack] += 1
                if future.done():  # given up meanwhile
                    self.abandon(body.account, body.file, result)
                else:
                    future.set_result(result)

    def _store(self, bodies: list[Body]) -> list[Location | Exception]:
        """In the thread: small bodies as one group; a spooled one fails or succeeds alone."""
        small = iter(self._attempt([body for body in bodies if isinstance(body.content, bytes)]))
        return [
            next(small) if isinstance(body.content, bytes) else self._attempt([body])[0]
            for body in bodies
        ]

    def _attempt(self, bodies: list[Body]) -> list[Location | Exception]:
        if not bodies:
            return []
        try:
            return list(self._blobs.put_group(bodies))
        except Exception as error:
            for body in bodies:
                _remove_spool(body)
            return [_failure(error)] * len(bodies)

    def _erase(self, account: int, file: int, location: Location) -> None:
        try:
            self._blobs.erase(account, file, location)
        except OSError as error:
            log.error("store.erase_failed", error, file=file)


def _remove_spool(body: Body) -> None:
    if isinstance(body.content, SpoolFile):
        body.content.path.unlink(missing_ok=True)


def _failure(error: Exception) -> Exception:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(cause=error)
    if isinstance(error, DiskFull):
        return error
    log.error("store.body_write_failed", error)
    return Unavailable("the message could not be stored", cause=error)
