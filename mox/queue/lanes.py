"""Which domains have something due: one row per lane, ordered by when to look at it.

A lane's hint is two lower bounds: when to look (``ready``), and the time before which the lane has no
rows (``first``).  Whoever adds a row lowers them; only the scheduler, after it looked, raises them.  So
what is due is found by one seek, whatever the number of entries, and a lane that pauses is out of
the way.  Scans begin where the first live row was found last: what was taken leaves tombstones behind,
which a scan from zero would have to pass.

Memory  hints used lately, at most limits.QUEUE_LANES; those of a batch that is not written yet stay.
"""

import msgspec

from mox.base.limits import QUEUE_LANES
from mox.queue import keys
from mox.store.engine.base import Batch, Engine, Family


class Hint(msgspec.Struct, frozen=True):
    """See the module.    Times in ms."""

    ready_ms: int
    first_ms: int


class Lanes:
    """For one event loop; ``look`` marks are for the scheduler alone."""

    __slots__ = (
        "_cache",
        "_changed",
        "_engine",
        "_evictions",
        "_floors",
        "_marks",
        "_pins",
        "added_ms",
    )

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cache: dict[bytes, Hint | None] = {}
        self._changed: set[bytes] = set()  # by the batch being made
        self._pins: dict[bytes, int] = {}  # lane → ticket of the batch with its newest hint
        self._evictions = 0
        self._floors = {keys.FRESH: 0, keys.RETRY: 0}  # no row of the class is before
        self._marks: dict[bytes, int] | None = None  # rows added while the scheduler looks
        self.added_ms = 0  # the earliest row added since its last look began

    def get(self, lane: bytes) -> Hint | None:
        """The hint of a lane; None for a lane without rows."""
        if lane in self._cache:
            return self._cache[lane]
        hint = self._cache[lane] = _read(self._engine.get(Family.KV, keys.lane_hint(lane)))
        return hint

    def missing(self, lanes: set[bytes]) -> list[bytes]:
        """Those whose hints would have to be read."""
        return [lane for lane in lanes if lane not in self._cache]

    def load(self, lanes: list[bytes]) -> tuple[int, list[Hint | None]]:
        """Read many.    Blocks; give the result to ``fill``."""
        evictions = self._evictions
        found = self._engine.multi_get(Family.KV, [keys.lane_hint(lane) for lane in lanes])
        return evictions, [_read(value) for value in found]

    def fill(self, lanes: list[bytes], loaded: tuple[int, list[Hint | None]]) -> None:
        """Keep what was read, unless it may have changed meanwhile."""
        evictions, hints = loaded
        if evictions != self._evictions:
            return
        for lane, hint in zip(lanes, hints, strict=True):
            self._cache.setdefault(lane, hint)

    def lower(self, batch: Batch, lane: bytes, time_ms: int) -> None:
        """A row at that time is added to a lane by this batch."""
        self.added_ms = min(self.added_ms, time_ms)
        if self._marks is not None:
            self._marks[lane] = min(time_ms, self._marks.get(lane, keys.NEVER))
        old = self.get(lane)
        if old is None:
            new = Hint(time_ms, time_ms)
        else:
            new = Hint(min(old.ready_ms, time_ms), min(old.first_ms, time_ms))
        if new != old:
            self._set(batch, lane, old, new)

    # ------------------------------------------------------------ looking

    def begin_look(self) -> dict[bytes, int]:
        """Rows added from now on are remembered.    Output: where scans of each class may begin."""
        self._marks = {}
        self.added_ms = keys.NEVER
        return dict(self._floors)

    def end_look(self) -> None:
        """Forget the marks."""
        self._marks = None

    def raise_floor(self, klass: bytes, seen_ms: int) -> None:
        """The first row of the class that the look found, or the time up to which there was none."""
        assert self._marks is not None
        added = [self.get(lane) for lane in self._marks if lane[:1] == klass]
        lowest = min((hint.ready_ms for hint in added if hint is not None), default=keys.NEVER)
        self._floors[klass] = max(self._floors[klass], min(seen_ms, lowest))

    def settle(self, batch: Batch, lane: bytes, ready_ms: int | None, first_ms: int | None) -> None:
        """What the look found is left in a lane; None where nothing is.

        Rows added since the look began count as well.
        """
        assert self._marks is not None
        added = self._marks.get(lane)
        if added is not None:
            ready_ms = added if ready_ms is None else min(ready_ms, added)
            first_ms = added if first_ms is None else min(first_ms, added)
        old = self.get(lane)
        new = None if ready_ms is None or first_ms is None else Hint(ready_ms, first_ms)
        if new != old:
            self._set(batch, lane, old, new)

    # ------------------------------------------------------------ batches

    def staged(self, ticket: int) -> None:
        """The batch being made is staged."""
        for lane in self._changed:
            self._pins[lane] = ticket
        self._changed.clear()

    def synced(self, ticket: int) -> None:
        """Batches up to this one can be read from the engine."""
        for lane in [lane for lane, pinned in self._pins.items() if pinned <= ticket]:
            del self._pins[lane]
        if len(self._cache) > QUEUE_LANES:
            self._evictions += 1
            self._cache = {lane: self._cache[lane] for lane in self._pins}

    def _set(self, batch: Batch, lane: bytes, old: Hint | None, new: Hint | None) -> None:
        if old is not None and (new is None or new.ready_ms != old.ready_ms):
            batch.delete(Family.IDX, keys.ready(lane, old.ready_ms))
        if new is None:
            batch.delete(Family.KV, keys.lane_hint(lane))
        else:
            value = keys.encode_hint(new.ready_ms, new.first_ms)
            batch.put(Family.KV, keys.lane_hint(lane), value)
            if old is None or new.ready_ms != old.ready_ms:
                batch.put(Family.IDX, keys.ready(lane, new.ready_ms), b"")
            klass = lane[:1]
            self._floors[klass] = min(self._floors[klass], new.ready_ms)
        self._cache[lane] = new
        self._changed.add(lane)


def _read(value: bytes | None) -> Hint | None:
    return None if value is None else Hint(*keys.decode_hint(value))
