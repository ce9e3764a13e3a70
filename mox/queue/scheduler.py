"""The loop that gives what is due to those who carry it, and their outcomes to the database.

Woken by changes of the queue, by ends of deliveries, and by the time of the next attempt.  One slow
destination holds nobody up: each domain has its own pace, first attempts and later ones have their own
shares of the slots, and an entry waits on disk, not in a task.

Stop  nothing new is begun; deliveries may end by themselves for a while, then they are canceled, which
      leaves them as attempts that failed for now.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from mox.base import metrics
from mox.base.errors import MoxError
from mox.base.limits import (
    QUEUE_DELIVERIES,
    QUEUE_DELIVERIES_FRESH,
    QUEUE_DELIVERIES_RETRY,
    QUEUE_DOMAIN_START,
    QUEUE_DOMAINS,
    QUEUE_HANDED_OVER,
    QUEUE_STOP_GRACE,
)
from mox.base.log import get_logger
from mox.queue import keys
from mox.queue.carry import Carried, Carry, Delivery, Outcome, Result, Returns
from mox.queue.changing import end
from mox.queue.contents import KnownContent
from mox.queue.database import Database, Group
from mox.queue.entry import Entry
from mox.queue.finishing import settle, suppressed
from mox.queue.keeping import forget_events, forget_retired
from mox.queue.notices import Notices
from mox.queue.pace import Answer, Pace, read_answer
from mox.queue.schedule import Jitter, Schedule, random_jitter
from mox.queue.starting import choose
from mox.queue.taking import Slots, Taken, take
from mox.store.blobs.base import SpoolFile
from mox.store.errors import StoreStopped

log = get_logger("queue")

LOOK_AGAIN_S = 600.0  # at the latest: clocks are set, and timers are not told
AFTER_ERROR_S = 60.0
CLEAN_FIRST_S = 3.0
CLEAN_EVERY_S = 3600.0


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries at one time."""

    total: int = QUEUE_DELIVERIES
    fresh: int = QUEUE_DELIVERIES_FRESH
    retry: int = QUEUE_DELIVERIES_RETRY


class Scheduler:
    """Made once for a database; ``start`` and ``stop``, or ``step`` by hand where a clock stands still."""

    def __init__(
        self,
        database: Database,
        carry: Carry,
        returns: Returns,
        hostname: str,
        *,
        schedule: Schedule | None = None,
        jitter: Jitter = random_jitter,
        shares: Shares | None = None,
    ) -> None:
        self.schedule = schedule or Schedule()
        self.notices = Notices(database, returns, hostname)
        self._database = database
        self._carry = carry
        self._jitter = jitter
        self._shares = shares or Shares()
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._retries = 0  # of them
        self._ends = 0  # of deliveries, so far
        self._claimed = 0  # first attempts that begin once they are durable
        self._next_ms = 0  # as the last look saw it
        self._blocked: frozenset[str] = frozenset()  # domains that it left something of
        self._due = _Waker()
        self._told = _Waker()  # there may be a notification
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        database.listen(self.kick)

    # ------------------------------------------------------------ running

    def start(self) -> None:
        """Begin to deliver."""
        for name, step, waker in (
            ("queue", self.step, self._due),
            ("queue notices", self.notices.step, self._told),
            ("queue cleaning", self._clean, _Waker()),
        ):
            loop = asyncio.get_running_loop()
            self._tasks.append(loop.create_task(self._loop(step, waker), name=name))
        self._database.starter = self

    async def stop(self, grace_s: float = QUEUE_STOP_GRACE) -> None:
        """See the module."""
        self._stopping = self.notices.stopping = True
        self._due.event.set()
        self._told.event.set()
        if self._tasks:
            await asyncio.wait(self._tasks[:1])  # it may be beginning deliveries
        running = {*self._deliveries, *self._tasks[1:2]}
        if running:
            await asyncio.wait(running, timeout=grace_s)
        ending = [*self._deliveries, *self._tasks]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def kick(self) -> None:
        """Something may be due earlier than the loops think."""
        self._due.wake_for(self._due_ms())
        self._told.wake_for(self._database.notice_floor_ms)

    def _due_ms(self) -> int:
        """Nothing that a look would begin is due before."""
        return min(self._next_ms, self._database.lanes.added_ms)

    async def idle(self) -> None:
        """Wait until no delivery is running."""
        while self._deliveries:
            await asyncio.wait(self._deliveries)

    @property
    def running(self) -> int:
        """Deliveries under way."""
        return len(self._deliveries)

    async def _loop(self, step: Callable[[], Awaitable[int | None]], waker: "_Waker") -> None:
        clock = self._database.clock
        while not self._stopping:
            waker.reset()
            try:
                next_ms = await step()
            except StoreStopped:
                log.error("queue.stopped")
                return
            except Exception as error:
                metrics.unhandled("queue")
                log.error("queue.unhandled", error)
                next_ms = clock.now_ms() + round(AFTER_ERROR_S * 1000)
            now = clock.now_ms()
            waker.until_ms = now + round(LOOK_AGAIN_S * 1000)
            if next_ms is not None:
                waker.until_ms = max(now, min(next_ms, waker.until_ms))
            await self._wait(waker.event, (waker.until_ms - now) / 1000)

    async def _wait(self, wake: asyncio.Event, delay_s: float) -> None:
        woken = asyncio.ensure_future(wake.wait())
        slept = asyncio.ensure_future(self._database.clock.sleep(delay_s))
        try:
            await asyncio.wait((woken, slept), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in (woken, slept):
                waiting.cancel()

    # ------------------------------------------------------------ one round

    async def step(self) -> int | None:
        """Begin whatever is due and fits; when the next may be due, None: not before one ends.

        Errors  StoreStopped, DataDamaged.
        """
        while not self._stopping:
            metrics.QUEUE_HOLD.set(self._database.counters.held)
            slots = self._slots()
            if slots.total <= 0:
                self._next_ms = 0
                return None
            due_ms = self._due_ms()
            if due_ms > self._database.clock.now_ms():
                return None if due_ms == keys.NEVER else due_ms
            self._next_ms, ends = 0, self._ends
            taken = await take(self._database, slots, self.schedule, self._jitter)
            if taken.endings:
                await end(self._database, taken.endings)
            await self._begin(taken)
            if taken.blocked and self._ends != ends:
                continue  # one that ended meanwhile may have been what they waited for
            if not (taken.groups or taken.endings or taken.more):
                self._blocked = taken.blocked
                if not taken.starved:
                    self._next_ms = keys.NEVER if taken.next_ms is None else taken.next_ms
                return taken.next_ms
        return None

    def _slots(self) -> Slots:
        fresh = len(self._deliveries) - self._retries + self._claimed
        free = self._shares.total - fresh - self._retries
        return Slots(
            total=free,
            fresh=min(free, self._shares.fresh - fresh),
            retry=min(free, self._shares.retry - self._retries),
            room=self._room,
            not_before_ms=self._not_before_ms,
        )

    # Called in a reader thread: they only look.
    def _room(self, domain: str) -> int:
        pace = self._paces.get(domain)
        return QUEUE_DOMAIN_START if pace is None else pace.room()

    def _not_before_ms(self, domain: str) -> int:
        pace = self._paces.get(domain)
        return 0 if pace is None else pace.not_before_ms

    async def _begin(self, taken: Taken) -> None:
        refused = [
            entry for group in taken.groups for entry in group if entry.id in taken.suppressed
        ]
        for group in taken.groups:
            wanted = tuple(entry for entry in group if entry.id not in taken.suppressed)
            if wanted:
                self._start_delivery(wanted)
        if refused:
            await suppressed(self._database, refused)

    # ------------------------------------------------------------ new entries

    def choose(self, entries: Sequence[Entry]) -> list[Group]:
        """See ``Starter``."""
        if self._stopping:
            return []
        return choose(self._database, entries, self._slots(), self.schedule, self._jitter)

    def claim(self, groups: Sequence[Group]) -> None:
        """See ``Starter``."""
        for group in groups:
            self._claimed += 1
            self._pace(group[0].recipient_domain).began()

    def begin(self, groups: Sequence[Group], content: bytes | SpoolFile) -> None:
        """See ``Starter``."""
        known = None
        if isinstance(content, bytes) and len(content) <= QUEUE_HANDED_OVER:
            known = KnownContent(content)
        for group in groups:
            self._claimed -= 1
            if self._stopping:
                # On disk they are attempts that were not finished, tried again later.
                for entry in group:
                    del self._database.busy[entry.id]
            else:
                self._run_delivery(group, known)

    def _start_delivery(self, entries: Group) -> None:
        self._pace(entries[0].recipient_domain).began()
        self._run_delivery(entries, None)

    def _run_delivery(self, entries: Group, content: KnownContent | None) -> None:
        is_retry = entries[0].attempts > 1
        self._retries += is_retry
        task = asyncio.get_running_loop().create_task(
            _Run(self, entries, content).run(), name=f"delivery {entries[0].id}"
        )
        self._deliveries.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._deliveries.discard(done)
            self._retries -= is_retry
            self.kick()

        task.add_done_callback(ended)

    def _pace(self, domain: str) -> Pace:
        pace = self._paces.get(domain)
        if pace is None:
            pace = self._paces[domain] = Pace()
            if len(self._paces) > QUEUE_DOMAINS:
                self._forget_one()
        self._paces.move_to_end(domain)
        return pace

    def _forget_one(self) -> None:
        """The domain used longest ago that is not in use."""
        for domain, pace in self._paces.items():
            if not pace.running:
                del self._paces[domain]
                return

    async def _clean(self) -> int:
        clock = self._database.clock
        await clock.sleep(CLEAN_FIRST_S)
        count = await forget_retired(self._database)
        await forget_events(self._database)
        if count:
            log.info("queue.cleaned", retired=count)
        return clock.now_ms() + round(CLEAN_EVERY_S * 1000)

    # ------------------------------------------------------------ one delivery

    def delivery_of(
        self,
        entries: Group,
        content: KnownContent | None,
        settle_some: Callable[[Carried], Awaitable[None]],
    ) -> Delivery:
        """What the carrier is given."""
        first, contents = entries[0], self._database.contents
        utf8 = contents.open(first.content_utf8, first.size_utf8) if first.content_utf8 else None
        return Delivery(
            entries=entries,
            content=content or contents.open(first.content, first.size),
            content_utf8=utf8,
            settle=settle_some,
        )

    async def carry(self, delivery: Delivery) -> Carried:
        """Try."""
        return await self._carry.carry(delivery)

    async def settle(self, carried: Carried) -> None:
        """Make outcomes durable."""
        await settle(self._database, carried, self.schedule)

    def unsettled(self, entries: tuple[Entry, ...]) -> list[int]:
        """Those without an outcome so far."""
        return [entry.id for entry in entries if entry.id in self._database.busy]

    def ended(self, domain: str, answer: Answer) -> None:
        """A delivery to a domain ended."""
        self._pace(domain).ended(answer, self._database.clock.now_ms())
        self._ends += 1
        if domain in self._blocked:
            self._next_ms = 0


class _Waker:
    """Of a loop that sleeps until a time, unless something may be due earlier."""

    __slots__ = ("event", "until_ms")

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.until_ms = keys.NEVER  # while the loop works

    def reset(self) -> None:
        """The loop begins to work."""
        self.event.clear()
        self.until_ms = keys.NEVER

    def wake_for(self, earliest_ms: int) -> None:
        """Nothing is due before that time."""
        if earliest_ms < self.until_ms:
            self.event.set()


class _Run:
    """A delivery from its begin to the last outcome."""

    def __init__(self, scheduler: Scheduler, entries: Group, content: KnownContent | None) -> None:
        self._scheduler = scheduler
        self._entries = entries
        self._content = content
        self._outcomes: list[Outcome] = []
        self._reached = True

    async def run(self) -> None:
        """Never raises but CancelledError; whatever happens, each entry gets an outcome."""
        scheduler = self._scheduler
        error = "the delivery ended without a result"
        try:
            delivery = scheduler.delivery_of(self._entries, self._content, self._settle)
            carried = await scheduler.carry(delivery)
            await self._settle(carried)
        except asyncio.CancelledError:
            error = "the server was stopped during the delivery"
            raise
        except MoxError as problem:
            error = problem.public
            log.warn("queue.delivery_failed", entry=self._entries[0].id, error=error)
        except Exception as problem:
            error = "internal error"
            metrics.unhandled("queue")
            log.error("queue.unhandled", problem, entry=self._entries[0].id)
        finally:
            await self._settle_rest(error)
            scheduler.ended(self._entries[0].recipient_domain, self._answer())

    def _answer(self) -> Answer:
        if not self._outcomes:
            return Answer.SILENT
        return read_answer(Carried(outcomes=tuple(self._outcomes), reached=self._reached))

    async def _settle(self, carried: Carried) -> None:
        self._outcomes += carried.outcomes
        self._reached = carried.reached
        if carried.outcomes:
            await self._scheduler.settle(carried)

    async def _settle_rest(self, error: str) -> None:
        left = self._scheduler.unsettled(self._entries)
        if not left:
            return
        outcomes = tuple(
            Outcome(entry_id=number, result=Result.TEMPORARY, error=error) for number in left
        )
        try:
            await self._scheduler.settle(Carried(outcomes=outcomes))
        except StoreStopped:
            # They stay as they are on disk: an attempt that was not finished, tried again later.
            log.warn("queue.not_settled", entry=left[0])
        except Exception as problem:
            metrics.unhandled("queue")
            log.error("queue.not_settled", problem, entry=left[0])
