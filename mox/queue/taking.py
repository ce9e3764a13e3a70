"""Taking what is due: found by seeks, begun durably before anybody connects anywhere.

A look goes through the lanes that are ready, first attempts before later ones, oldest first, and takes
from each as many deliveries as its domain has room for.  It costs what it takes and nothing for what
waits.  ``begin`` writes the next time of each entry before the attempt: a crash never hammers.
"""

from collections.abc import Callable, Iterator

import msgspec

from mox.base.limits import (
    QUEUE_GROUP,
    QUEUE_TAKE,
    QUEUE_TAKE_ENTRIES,
    QUEUE_TAKE_LANES,
)
from mox.base.log import get_logger
from mox.queue import keys
from mox.queue.database import Database
from mox.queue.entry import Attempt, Entry, decode
from mox.queue.schedule import Jitter, Schedule
from mox.queue.suppress import base_address
from mox.store.engine.base import Family
from mox.store.errors import DataDamaged

log = get_logger("queue")


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """What may be begun now."""

    total: int
    fresh: int  # of it first attempts
    retry: int  # of it later ones
    room: Callable[[str], int]  # by domain: deliveries it has room for; called in a thread
    not_before_ms: Callable[[str], int]  # by domain: the end of its pause, 0 for none; likewise


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries begun, each for entries that go out together."""

    groups: list[list[Entry]]
    suppressed: frozenset[int]  # entries among them that are not to be sent
    endings: list[Entry]  # not begun: an operator ended them while they were tried the last time
    more: bool  # the look ended early: look again
    blocked: frozenset[str]  # domains with something due that waits for a delivery of theirs
    starved: bool  # something due has to wait for any delivery
    next_ms: int | None  # when there may be something due next; None: not before a delivery ends


class _Row(msgspec.Struct, frozen=True):
    """A row of a lane."""

    time_ms: int
    entry: int
    base_id: int


class _Looked(msgspec.Struct, kw_only=True):
    """A lane that was looked at."""

    lane: bytes
    groups: list[list[_Row]] = []
    ready_ms: int | None = None  # for what is left
    first_ms: int | None = None

    @property
    def domain(self) -> str:
        """Whose lane."""
        return self.lane[1:].decode()

    def keep(self, time_ms: int) -> None:
        """A row at that time is left."""
        self.ready_ms = time_ms if self.ready_ms is None else min(self.ready_ms, time_ms)
        self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)


class _Look:
    """One look, in a reader thread."""

    def __init__(
        self, database: Database, slots: Slots, floors: dict[bytes, int], now_ms: int
    ) -> None:
        self._engine = database.engine
        self._busy = database.busy
        self._slots = slots
        self._floors = floors
        self._now_ms = now_ms
        self._left = min(slots.total, QUEUE_TAKE)
        self._entries_left = QUEUE_TAKE_ENTRIES
        self._begun: dict[str, int] = {}  # by domain: taken by this look from its other lane
        self.lanes: list[_Looked] = []
        self.entries: dict[int, Entry] = {}
        self.damaged: set[int] = set()  # they have a row in a lane, but cannot be read
        self.suppressed: set[int] = set()
        self.more = False
        self.blocked: set[str] = set()
        self.starved = False
        self.seen_ms: dict[bytes, int] = {}  # by class: its first row
        self.next_ms: int | None = None

    def run(self) -> "_Look":
        """Look.    Blocks."""
        self._look(keys.FRESH, self._slots.fresh)
        self._look(keys.RETRY, self._slots.retry)
        rows = [row for lane in self.lanes for group in lane.groups for row in group]
        numbers = [row.entry for row in rows]
        values = self._engine.multi_get(Family.ROW, [keys.number(number) for number in numbers])
        for number, value in zip(numbers, values, strict=True):
            try:
                self.entries[number] = decode(Entry, value or b"")
            except DataDamaged as error:
                log.error("queue.entry_unreadable", error, entry=number)
                self.damaged.add(number)
        self._find_suppressed()
        return self

    def _look(self, klass: bytes, limit: int) -> None:
        now = self._now_ms
        limit = min(limit, self._left)
        for key, _ in self._engine.scan(Family.IDX, *keys.ready_rows(klass, self._floors[klass])):
            ready_ms, lane = keys.ready_parts(key)
            self.seen_ms.setdefault(klass, ready_ms)
            if ready_ms > now:
                self.next_ms = ready_ms if self.next_ms is None else min(self.next_ms, ready_ms)
                break
            if limit <= 0:
                self.starved = True
                break
            if self._entries_left <= 0 or len(self.lanes) >= QUEUE_TAKE_LANES:
                self.more = True
                break
            taken = self._take(lane, limit)
            limit -= taken
            self._left -= taken
        self.seen_ms.setdefault(klass, now)

    def _take(self, lane: bytes, limit: int) -> int:
        """Look at a lane; the number of groups taken."""
        looked = _Looked(lane=lane)
        domain = looked.domain
        room = self._slots.room(domain) - self._begun.get(domain, 0)
        paused_ms = self._slots.not_before_ms(domain)
        if room <= 0 and paused_ms <= self._now_ms:
            self.blocked.add(domain)
            return 0  # it stays ready; the end of a delivery brings us back
        value = self._engine.get(Family.KV, keys.lane_hint(lane))
        assert value is not None
        first_ms = keys.decode_hint(value)[1]
        if paused_ms > self._now_ms:
            looked.ready_ms, looked.first_ms = paused_ms, first_ms
            self.lanes.append(looked)
            return 0
        self._group(looked, first_ms, min(room, limit))
        self.lanes.append(looked)
        count = len(looked.groups)
        self._begun[domain] = self._begun.get(domain, 0) + count
        return count

    def _group(self, looked: _Looked, first_ms: int, limit: int) -> None:
        groups: list[list[_Row]] = []
        for row in self._rows(looked.lane, first_ms):
            if row.time_ms > self._now_ms:
                looked.keep(row.time_ms)
                break
            if row.entry in self._busy:
                looked.keep(row.time_ms)  # its attempt takes longer than the pause after it
                self.blocked.add(looked.domain)
                continue
            last = groups[-1][-1] if groups else None
            joins = (
                last is not None
                and row.base_id == last.base_id != 0
                and row.time_ms == last.time_ms
                and len(groups[-1]) < QUEUE_GROUP
            )
            if self._entries_left <= 0 or not (joins or len(groups) < limit):
                looked.keep(row.time_ms)
                break
            self._entries_left -= 1
            if joins:
                groups[-1].append(row)
            else:
                groups.append([row])
        looked.groups = groups

    def _rows(self, lane: bytes, first_ms: int) -> Iterator[_Row]:
        for key, value in self._engine.scan(Family.IDX, *keys.lane_rows(lane, first_ms)):
            base_id = int.from_bytes(value, "big")
            yield _Row(keys.time_of(key), keys.last_number(key), base_id)

    def _find_suppressed(self) -> None:
        found = [
            (number, keys.suppression(entry.account, base_address(entry.recipient)))
            for number, entry in self.entries.items()
        ]
        values = self._engine.multi_get(Family.KV, [key for _, key in found])
        for (number, _), value in zip(found, values, strict=True):
            if value is not None:
                self.suppressed.add(number)


async def take(database: Database, slots: Slots, schedule: Schedule, jitter: Jitter) -> Taken:
    """Begin what is due and fits; durable when it returns.    For one caller at a time.

    Errors  StoreStopped, DataDamaged.
    """
    lanes = database.lanes
    floors = lanes.begin_look()
    try:
        with database.watch() as touched:
            await database.settled()
            now = database.clock.now_ms()
            look = await database.in_thread(_Look(database, slots, floors, now).run)
            ticket, taken = _begin(database, look, touched, schedule, jitter)
    finally:
        lanes.end_look()
    if taken.groups:
        await database.committer.synced(ticket)
    return taken


def _begin(
    database: Database, look: _Look, touched: set[int], schedule: Schedule, jitter: Jitter
) -> tuple[int, Taken]:
    """Without waiting; the ticket, 0 where nothing is to be written."""
    edit = database.edit()
    now = database.clock.now_ms()
    groups: list[list[Entry]] = []
    endings: list[Entry] = []
    changed = False  # meanwhile
    for looked in look.lanes:
        for rows in looked.groups:
            group: list[Entry] = []
            for row in rows:
                if row.entry in look.damaged and row.entry not in touched:
                    # Out of the way of the others; ``verify`` shows it.
                    key = keys.lane_row(looked.lane, row.time_ms, row.entry)
                    edit.batch.delete(Family.IDX, key)
                    continue
                entry = None if row.entry in touched else look.entries.get(row.entry)
                if entry is not None and entry.ending:
                    endings.append(entry)
                elif entry is not None and (not group or _go_together(group[0], entry)):
                    group.append(entry)
                    continue
                looked.keep(row.time_ms)  # the next look will see how it is now
                changed = True
            if group:
                groups.append(group)
    factors = [jitter() for _ in groups]
    begun = [
        [begun_now(entry, schedule, factor, now) for entry in group]
        for group, factor in zip(groups, factors, strict=True)
    ]
    for before, after in zip(groups, begun, strict=True):
        for old, new in zip(before, after, strict=True):
            edit.replace(old, new)
            edit.attempt(new, Attempt(number=new.attempts, start_ms=now))
    for looked in look.lanes:
        edit.leave(looked.lane, looked.ready_ms, looked.first_ms)
    # Before lanes are given their new times, which may be earlier.
    for klass, seen_ms in look.seen_ms.items():
        database.lanes.raise_floor(klass, seen_ms)
    ticket = edit.stage() if look.lanes else 0
    database.busy.update({entry.id: entry for group in begun for entry in group})
    later = [looked.ready_ms for looked in look.lanes if (looked.ready_ms or 0) > now]
    times = [time_ms for time_ms in (look.next_ms, *later) if time_ms is not None]
    taken = Taken(
        groups=begun,
        suppressed=frozenset(look.suppressed),
        endings=endings,
        more=look.more or changed,
        blocked=frozenset(look.blocked),
        starved=look.starved,
        next_ms=min(times, default=None),
    )
    return ticket, taken


def begun_now(entry: Entry, schedule: Schedule, factor: float, now_ms: int) -> Entry:
    """An entry with one more attempt, and the time of the next.    Input  factor: its jitter."""
    attempts, first_ms = entry.attempts + 1, entry.first_ms or now_ms
    next_ms = schedule.next_ms(attempts, first_ms, now_ms, entry.max_attempts, factor)
    if next_ms is None:
        # The last one; if the server stops in it, there is another.
        next_ms = now_ms + round(schedule.pause_s(attempts) * 1000 * factor)
    return msgspec.structs.replace(
        entry, attempts=attempts, first_ms=first_ms, last_ms=now_ms, next_ms=next_ms
    )


def _go_together(first: Entry, other: Entry) -> bool:
    """Can they go out in one transaction?    What their submission has in common is equal anyway."""
    return (
        first.base_id == other.base_id
        and first.attempts == other.attempts
        and first.transport == other.transport
        and first.require_tls == other.require_tls
    )
