"""Group commit: the committer of a shard's index.

One thread, first in first out.  Whatever queued during the last sync forms the next group.  Batches
are written in the order they were staged and synced once per group; then, in that order, waiters are
woken and ``after_sync`` is called.  What each reply of a face promises is decision 0007.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from mox.base.limits import COMMIT_GROUP
from mox.base.log import get_logger
from mox.store.engine.base import Batch, Engine
from mox.store.errors import StoreStopped
from mox.store.thread import WorkThreads

log = get_logger("store")

PATIENCE_S = 0.003  # how long a batch waits for company that it is to share a group with
LAZY_SYNC_S = 1.0  # a pure flag change is synced at the latest after so long (decision 0007)

Staged = tuple[int, Batch, Callable[[], None] | None]


class Committer:
    """Makes staged batches durable in groups."""

    def __init__(self, engine: Engine, *, lazy_sync_s: float = LAZY_SYNC_S) -> None:
        self.patience_s = PATIENCE_S
        self._engine = engine
        self._lazy_sync_s = lazy_sync_s
        self._thread = WorkThreads("commit")
        self._pending: deque[Staged] = deque()
        self._unsynced: deque[tuple[int, Callable[[], None]]] = deque()
        self._staged = 0  # ticket of the last batch handed in
        self._written = 0
        self._write_wanted = 0
        self._synced = 0
        self._sync_wanted = 0
        self._patient = 0  # ticket of the last one whose sync may come with that of another
        self._wake = asyncio.Event()
        self._write_waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._sync_waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._lazy: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._failed: BaseException | None = None
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="committer")

    def stage(
        self,
        batch: Batch,
        after_sync: Callable[[], None] | None = None,
        *,
        is_patient: bool = False,
    ) -> int:
        """Queue a batch; its ticket.    Errors: StoreStopped after a failed write.

        ``after_sync`` is called on the event loop once the batch is durable, in order of staging.
        ``is_patient``: it goes with the group of the next batch that is not, or after PATIENCE_S.
        """
        self.check()
        self._staged += 1
        self._pending.append((self._staged, batch, after_sync))
        loop = asyncio.get_running_loop()
        if self._lazy is None:
            self._lazy = loop.call_later(self._lazy_sync_s, self._sync_all)
        if not is_patient:
            self._write_wanted = self._staged
            self._wake.set()
        elif self._patience is None:
            self._patience = loop.call_later(self.patience_s, self._end_patience)
        return self._staged

    def check(self) -> None:
        """Will a batch be taken?    Errors: StoreStopped."""
        if self._failed is not None or self._stopping:
            raise StoreStopped(cause=self._failed)

    @property
    def staged(self) -> int:
        """Ticket of the last staged batch."""
        return self._staged

    def is_synced(self, ticket: int) -> bool:
        """Is a batch durable?"""
        return ticket <= self._synced

    async def written(self, ticket: int) -> None:
        """Wait until a batch is in the write-ahead log: it survives a crash of the process."""
        if ticket > self._written:
            if ticket > self._write_wanted:
                self._write_wanted = ticket
                self._wake.set()
            await self._wait(self._write_waiters, ticket)

    async def synced(self, ticket: int, *, is_patient: bool = False) -> None:
        """Wait until a batch is durable; asks for the sync.

        ``is_patient``: as it was staged; its sync comes with that of another, or after PATIENCE_S.
        """
        if ticket > self._synced:
            if is_patient and self._patience is not None:
                self._patient = max(self._patient, ticket)
            else:
                self.want_sync(ticket)
            await self._wait(self._sync_waiters, ticket)

    def want_sync(self, ticket: int) -> None:
        """Do not leave the sync of a batch to the lazy timer."""
        if ticket > self._sync_wanted:
            self._sync_wanted = ticket
            self._wake.set()

    def _end_patience(self) -> None:
        self._patience = None
        if self._staged > self._written:
            self._write_wanted = self._staged
            self._wake.set()
        self.want_sync(self._patient)

    async def close(self) -> None:
        """Commit what is staged, then stop."""
        if not self._stopping:
            self._stopping = True
            self._write_wanted = self._sync_wanted = self._staged
            self._wake.set()
            await self._task
            for timer in (self._lazy, self._patience):
                if timer is not None:
                    timer.cancel()
            self._thread.close()

    def _sync_all(self) -> None:
        self._lazy = None
        self.want_sync(self._staged)

    def _wait(
        self, waiters: deque[tuple[int, asyncio.Future[None]]], ticket: int
    ) -> asyncio.Future[None]:
        if self._failed is not None:
            raise StoreStopped(cause=self._failed)
        future = asyncio.get_running_loop().create_future()
        waiters.append((ticket, future))
        return future

    async def _run(self) -> None:
        try:
            await self._commit_groups()
        except Exception as error:
            self._stop(error)

    async def _commit_groups(self) -> None:
        while True:
            while self._write_wanted <= self._written and self._sync_wanted <= self._synced:
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
            # One turn of the event loop: what others stage in it goes along, and each group costs the
            # loop a hand-over of the GIL and back.
            await asyncio.sleep(0)
            group = [self._pending.popleft() for _ in range(min(len(self._pending), COMMIT_GROUP))]
            last = group[-1][0] if group else self._written
            self._unsynced.extend((ticket, call) for ticket, _, call in group if call is not None)
            synced = await self._thread.run(self._commit, group)
            self._written = last
            _wake(self._write_waiters, last)
            if synced:
                self._synced = last
                # Broadcast before replies: both only after the sync, in order of staging.
                while self._unsynced and self._unsynced[0][0] <= last:
                    self._unsynced.popleft()[1]()
                _wake(self._sync_waiters, last)

    def _commit(self, group: list[Staged]) -> bool:
        """In the commit thread; True when it ended with a sync."""
        for _, batch, _ in group:
            self._engine.write(batch)
        # Read as late as possible: a waiter may have come while we wrote.
        if self._sync_wanted <= self._synced:
            return False
        self._engine.sync()
        return True

    def _stop(self, error: Exception) -> None:
        # Memory and disk no longer agree: refuse everything from here on.
        self._failed = error
        log.error("store.stopped", error)
        self._pending.clear()
        for waiters in (self._write_waiters, self._sync_waiters):
            for _, future in waiters:
                if not future.done():
                    future.set_exception(StoreStopped(cause=error))
            waiters.clear()


def _wake(waiters: deque[tuple[int, asyncio.Future[None]]], upto: int) -> None:
    later = [entry for entry in waiters if entry[0] > upto]
    for ticket, future in waiters:
        if ticket <= upto and not future.done():
            future.set_result(None)
    waiters.clear()
    waiters.extend(later)
