"""One change of the queue: rows of entries, their orders, contents and counts, staged as a whole.

Everything is collected first and encoded at once, so that an error leaves nothing half done; ``stage``
then changes what is in memory and hands the batch to the committer, without waiting in between.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mox.queue import keys
from mox.queue.entry import (
    Attempt,
    Entry,
    Event,
    Notice,
    Retired,
    encode,
)
from mox.queue.suppress import base_address
from mox.store.engine.base import Batch, Family

if TYPE_CHECKING:
    from mox.queue.database import Database

_NOTHING = b""


class Edit:
    """Made for one change, staged once."""

    def __init__(self, database: "Database") -> None:
        self.batch = Batch()
        self._database = database
        self._touched: set[int] = set()
        self._lowered: list[tuple[bytes, int]] = []  # lane and time of rows added
        self._looked: list[tuple[bytes, int | None, int | None]] = []
        self._unneeded: set[int] = set()  # contents that lost a reference
        self._from_ids: list[str] = []
        self._queued = 0  # entries more
        self._held = 0
        self._then: list[Callable[[], None]] = []

    def then(self, call: Callable[[], None]) -> None:
        """To be called on the event loop once the change is durable, whoever waits for it."""
        self._then.append(call)

    # ------------------------------------------------------------ entries

    def insert(self, entry: Entry) -> None:
        """A new entry."""
        self.batch.put(Family.ROW, keys.number(entry.id), encode(entry))
        for content in contents_of(entry):
            key = keys.reference(content, keys.BY_ENTRY, entry.id)
            self.batch.put(Family.IDX, key, _NOTHING)
        if entry.from_id:
            self.batch.put(Family.IDX, keys.from_id(entry.from_id), keys.number(entry.id))
            self._from_ids.append(entry.from_id)
        self._order(None, entry)
        self._queued += 1
        self._held += entry.hold
        self._touched.add(entry.id)

    def replace(self, old: Entry, new: Entry) -> None:
        """An entry changed."""
        self.batch.put(Family.ROW, keys.number(new.id), encode(new))
        self._order(old, new)
        self._held += new.hold - old.hold
        self._touched.add(new.id)

    def attempt(self, entry: Entry, attempt: Attempt) -> None:
        """What happens, or happened, in an attempt."""
        key = keys.attempt(entry.id, attempt.number)
        self.batch.put(Family.CACHE, key, encode(attempt))

    def remove(self, entry: Entry, retired: Retired | None) -> None:
        """An entry is done.    Input  retired: as what it is remembered, None to forget it."""
        self.batch.delete(Family.ROW, keys.number(entry.id))
        self._order(entry, None)
        for content in contents_of(entry):
            self.batch.delete(Family.IDX, keys.reference(content, keys.BY_ENTRY, entry.id))
            self._unneeded.add(content)
        if retired is None:
            self.forget(entry)
        else:
            self._remember(retired)
        self._queued -= 1
        self._held -= entry.hold
        self._touched.add(entry.id)

    def leave(self, lane: bytes, ready_ms: int | None, first_ms: int | None) -> None:
        """What the scheduler's look found is left in a lane.    See ``Lanes.settle``."""
        self._looked.append((lane, ready_ms, first_ms))

    def forget(self, entry: Entry) -> None:
        """Nothing is remembered of an entry that is done."""
        start, end = keys.attempts(entry.id)
        self.batch.delete_range(Family.CACHE, start, end)
        if entry.from_id:
            self.batch.delete(Family.IDX, keys.from_id(entry.from_id))

    def _remember(self, retired: Retired) -> None:
        entry, when = retired.entry, retired.last_activity_ms
        self.batch.put(Family.MSG, keys.number(entry.id), encode(retired))
        self.batch.put(Family.IDX, keys.retired_order(when, entry.id), _NOTHING)
        self.batch.put(Family.IDX, keys.retired_end(retired.keep_until_ms, entry.id), _NOTHING)
        key = keys.retired_to(entry.account, base_address(entry.recipient), when, entry.id)
        self.batch.put(Family.IDX, key, b"1" if retired.success else b"0")

    def forget_retired(self, retired: Retired) -> None:
        """A retired entry was remembered for long enough; its ``retired_end`` is the caller's."""
        entry, when = retired.entry, retired.last_activity_ms
        self.batch.delete(Family.MSG, keys.number(entry.id))
        self.batch.delete(Family.IDX, keys.retired_order(when, entry.id))
        key = keys.retired_to(entry.account, base_address(entry.recipient), when, entry.id)
        self.batch.delete(Family.IDX, key)
        self.forget(entry)

    # ------------------------------------------------------------ what follows

    def event(self, event: Event) -> None:
        """Something a webhook may tell."""
        self.batch.put(Family.LOG, keys.number(self._database.new_id()), encode(event))

    def notice(self, notice: Notice) -> None:
        """A notification to be delivered; it needs the content of the message."""
        self.batch.put(Family.KV, keys.notice(notice.due_ms, notice.id), encode(notice))
        key = keys.reference(content_of(notice), keys.BY_NOTICE, notice.id)
        self.batch.put(Family.IDX, key, _NOTHING)
        self._database.notice_floor_ms = min(self._database.notice_floor_ms, notice.due_ms)

    def postpone_notice(self, old: Notice, new: Notice) -> None:
        """It could not be delivered now."""
        self.batch.delete(Family.KV, keys.notice(old.due_ms, old.id))
        self.notice(new)

    def end_notice(self, notice: Notice) -> None:
        """It was delivered, or given up."""
        content = content_of(notice)
        self.batch.delete(Family.KV, keys.notice(notice.due_ms, notice.id))
        self.batch.delete(Family.IDX, keys.reference(content, keys.BY_NOTICE, notice.id))
        self._unneeded.add(content)

    # ------------------------------------------------------------ staging

    def stage(self, *, is_patient: bool = False) -> int:
        """Hand it to the committer; the ticket to wait for.    Errors: StoreStopped.

        ``is_patient``: as ``Committer.stage``.
        """
        database, batch = self._database, self.batch
        database.committer.check()
        for lane, time_ms in self._lowered:
            database.lanes.lower(batch, lane, time_ms)
        for lane, ready_ms, first_ms in self._looked:
            database.lanes.settle(batch, lane, ready_ms, first_ms)
        database.counters.queued += self._queued
        database.counters.held += self._held
        batch.put(Family.META, keys.COUNTERS, encode(database.counters))
        for content in self._unneeded:
            batch.put(Family.KV, keys.unneeded(content), _NOTHING)
        database.contents.note(self._unneeded)
        database.from_ids.update(self._from_ids)
        ticket = 0

        def durable() -> None:
            database.lanes.synced(ticket)
            database.contents.check(self._unneeded)
            database.from_ids.difference_update(self._from_ids)
            for call in self._then:
                call()

        ticket = database.committer.stage(batch, durable, is_patient=is_patient)
        database.lanes.staged(ticket)
        database.touch(self._touched)
        return ticket

    def _order(self, old: Entry | None, new: Entry | None) -> None:
        before = {} if old is None else order_rows(old)
        after = {} if new is None else order_rows(new)
        for key in before:
            if key not in after:
                self.batch.delete(Family.IDX, key)
        for key, value in after.items():
            if key not in before:
                self.batch.put(Family.IDX, key, value)
                if new is not None and key[:1] == b"L":
                    self._lowered.append((keys.lane(new), new.next_ms))


def order_rows(entry: Entry) -> dict[bytes, bytes]:
    """IDX rows that order an entry: by time, and in its lane unless it is held."""
    rows = {keys.time_order(entry.next_ms, entry.id): _NOTHING}
    if not entry.hold:
        rows[keys.lane_row(keys.lane(entry), entry.next_ms, entry.id)] = keys.number(entry.base_id)
    return rows


def contents_of(entry: Entry) -> tuple[int, ...]:
    """Contents an entry needs."""
    return (entry.content, entry.content_utf8) if entry.content_utf8 else (entry.content,)


def content_of(notice: Notice) -> int:
    """The content a notification tells of."""
    return notice.recipients[0].entry.content
