"""Is the queue consistent?    Every law of its rows, checked from what is stored.

Contents that nobody refers to are no problem where a row says so: a crash leaves them, and the next
start erases them.  Run by ``mox verifydata`` on a folder that no server has open, and by tests.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from mox.queue import keys
from mox.queue.contents import Place
from mox.queue.database import Counters, Database
from mox.queue.edit import content_of, contents_of, order_rows
from mox.queue.entry import (
    Attempt,
    Entry,
    Event,
    HoldRule,
    Notice,
    Retired,
    Suppression,
    decode,
)
from mox.queue.suppress import base_address
from mox.store.blobs.base import Blobs
from mox.store.blobs.packs import PackBlobs
from mox.store.engine.base import Engine, Family
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import DataDamaged
from mox.store.layout import keys as store_keys
from mox.store.layout import rows
from mox.store.layout.rows import Location

T = TypeVar("T", bound=msgspec.Struct)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must not be."""

    where: str
    text: str


async def verify_queue(database: Database) -> list[Problem]:
    """Check a live queue: everything staged is settled first, and nothing may be running."""
    await database.settled()
    checked = _Checked(database.engine, database.blobs, contents=True)
    problems = await database.in_thread(lambda: list(checked.problems()))
    stored = await database.in_thread(database.engine.get, Family.META, keys.COUNTERS)
    # Numbers are given out before they are stored.
    if stored is not None:
        kept = decode(Counters, stored)
        now = database.counters
        if (kept.queued, kept.held) != (now.queued, now.held) or kept.next_id > now.next_id:
            problems.append(_problem("queue", "the counters in memory differ from the stored ones"))
    return problems


def verify_queue_folder(folder: Path, *, contents: bool = True) -> list[Problem]:
    """Check the queue in a data folder's ``queue``.    Errors: DataLocked, DataUnreadable."""
    if not (folder / "db").is_dir():
        return []
    engine = RocksEngine(folder / "db")
    blobs = PackBlobs(folder)
    try:
        return list(_Checked(engine, blobs, contents=contents).problems())
    finally:
        blobs.close()
        engine.close()


def _problem(where: str, text: str) -> Problem:
    return Problem(where=where, text=text)


class _Checked:
    """One pass.    Memory: ids of everything; meant for folders that are looked at once."""

    def __init__(self, engine: Engine, blobs: Blobs, *, contents: bool) -> None:
        self._engine = engine
        self._blobs = blobs
        self._contents = contents
        self._sizes: dict[int, int] = {}  # by content, as entries say
        self._references: set[tuple[int, bytes, int]] = set()
        self._from_ids: dict[str, int] = {}
        self._entries: set[int] = set()
        self._retired: dict[int, int] = {}  # number → attempts
        self._attempts: dict[int, int] = {}
        self._order: dict[bytes, bytes] = {}
        self._lanes: dict[bytes, int] = {}  # lane → earliest row
        self._held = 0
        self._highest = 0

    def problems(self) -> Iterator[Problem]:
        """All that is wrong.    Blocks."""
        yield from self._check_entries()
        yield from self._check_retired()
        yield from self._check_notices()
        yield from self._check_orders()
        yield from self._check_lanes()
        yield from self._check_attempts()
        yield from self._check_rest()
        yield from self._check_contents()
        yield from self._check_counters()

    def _decoded(
        self, kind: type[T], where: str, key: bytes, value: bytes
    ) -> tuple[T | None, list[Problem]]:
        number = keys.last_number(key)
        self._highest = max(self._highest, number)
        try:
            return decode(kind, value), []
        except DataDamaged as error:
            return None, [_problem(f"{where} {number}", error.public)]

    def _check_entries(self) -> Iterator[Problem]:
        for key, value in self._engine.scan(Family.ROW, *keys.EVERYTHING):
            entry, damage = self._decoded(Entry, "message", key, value)
            yield from damage
            if entry is not None:
                yield from self._check_entry(entry, keys.last_number(key))

    def _check_entry(self, entry: Entry, number: int) -> Iterator[Problem]:
        where = f"message {number}"
        if entry.id != number:
            yield _problem(where, "it has another number than its key")
        self._entries.add(number)
        self._attempts[number] = entry.attempts
        self._held += entry.hold
        self._order.update(order_rows(entry))
        if not entry.hold:
            lane = keys.lane(entry)
            self._lanes[lane] = min(entry.next_ms, self._lanes.get(lane, keys.NEVER))
        for content in contents_of(entry):
            self._references.add((content, keys.BY_ENTRY, number))
        self._sizes[entry.content] = entry.size
        if entry.content_utf8:
            self._sizes[entry.content_utf8] = entry.size_utf8
        if entry.from_id:
            yield from self._claim(entry.from_id, number)
        if entry.ending and entry.hold:
            yield _problem(where, "it is to be ended, and held: it would never be")

    def _claim(self, from_id: str, number: int) -> Iterator[Problem]:
        other = self._from_ids.setdefault(from_id, number)
        if other != number:
            yield _problem(f"message {number}", f"it has the unique id of message {other}")

    def _check_retired(self) -> Iterator[Problem]:
        for key, value in self._engine.scan(Family.MSG, *keys.EVERYTHING):
            retired, damage = self._decoded(Retired, "retired message", key, value)
            yield from damage
            if retired is not None:
                yield from self._check_one_retired(retired, keys.last_number(key))

    def _check_one_retired(self, retired: Retired, number: int) -> Iterator[Problem]:
        entry, when = retired.entry, retired.last_activity_ms
        if number in self._entries:
            yield _problem(f"retired message {number}", "it is still in the queue")
        self._retired[number] = entry.attempts
        to = keys.retired_to(entry.account, base_address(entry.recipient), when, number)
        self._order[keys.retired_order(when, number)] = b""
        self._order[keys.retired_end(retired.keep_until_ms, number)] = b""
        self._order[to] = b"1" if retired.success else b"0"
        if entry.from_id:
            yield from self._claim(entry.from_id, number)

    def _check_notices(self) -> Iterator[Problem]:
        for key, value in self._engine.scan(Family.KV, *keys.notices(0)):
            notice, damage = self._decoded(Notice, "notification", key, value)
            yield from damage
            if notice is None:
                continue
            self._references.add((content_of(notice), keys.BY_NOTICE, notice.id))
            entry = notice.recipients[0].entry
            self._sizes[entry.content] = entry.size
            if keys.notice(notice.due_ms, notice.id) != key:
                yield _problem(f"notification {notice.id}", "its key has another time")

    def _check_orders(self) -> Iterator[Problem]:
        self._order.update(
            {keys.from_id(name): keys.number(number) for name, number in self._from_ids.items()}
        )
        stored: dict[bytes, bytes] = {}
        for bounds in (
            keys.TIME_ORDER,
            keys.LANES,
            keys.FROM_IDS,
            keys.RETIRED_ORDER,
            keys.RETIRED_ENDS,
            keys.RETIRED_TO,
        ):
            stored.update(self._engine.scan(Family.IDX, *bounds))
        for key in self._order.keys() - stored.keys():
            yield _problem(f"order {key[:1].decode()}", f"a row is missing: {key!r}")
        for key in stored.keys() - self._order.keys():
            yield _problem(f"order {key[:1].decode()}", f"a row is of nothing: {key!r}")
        for key in stored.keys() & self._order.keys():
            if stored[key] != self._order[key]:
                yield _problem(f"order {key[:1].decode()}", f"a row says another thing: {key!r}")

    def _check_lanes(self) -> Iterator[Problem]:
        hints = {
            key[1:]: keys.decode_hint(value)
            for key, value in self._engine.scan(Family.KV, *keys.LANE_HINTS)
        }
        ready = {}
        for klass in (keys.FRESH, keys.RETRY):
            for key, _ in self._engine.scan(Family.IDX, *keys.ready_rows(klass, 0)):
                ready_ms, lane = keys.ready_parts(key)
                if lane in ready:
                    yield _problem(f"lane {lane!r}", "it is to be looked at twice")
                ready[lane] = ready_ms
        for lane, first_ms in self._lanes.items():
            if lane not in hints:
                yield _problem(f"lane {lane!r}", "nobody would look at it")
            elif hints[lane][1] > first_ms:
                yield _problem(f"lane {lane!r}", "its first message would be passed over")
        for lane, hint in hints.items():
            if ready.get(lane) != hint[0]:
                yield _problem(f"lane {lane!r}", "hint and order differ")
        for lane in ready.keys() - hints.keys():
            yield _problem(f"lane {lane!r}", "it has no hint")

    def _check_attempts(self) -> Iterator[Problem]:
        owners = self._attempts | self._retired
        for key, value in self._engine.scan(Family.CACHE, *keys.EVERYTHING):
            number = int.from_bytes(key[:8], "big")
            attempt_number = int.from_bytes(key[8:], "big")
            where = f"message {number}, attempt {attempt_number}"
            try:
                attempt = decode(Attempt, value)
            except DataDamaged as error:
                yield _problem(where, error.public)
                continue
            if attempt.number != attempt_number:
                yield _problem(where, "it has another number than its key")
            if number not in owners:
                yield _problem(where, "there is no such message")
            elif attempt_number > owners[number] + (number in self._retired):
                yield _problem(where, "the message had fewer attempts")

    def _check_rest(self) -> Iterator[Problem]:
        for kind, family, bounds, where in (
            (HoldRule, Family.META, keys.HOLD_RULES, "hold rule"),
            (Event, Family.LOG, keys.EVERYTHING, "event"),
        ):
            for key, value in self._engine.scan(family, *bounds):
                yield from self._decoded(kind, where, key, value)[1]
        for key, value in self._engine.scan(Family.KV, *keys.suppressions(None)):
            try:
                found = decode(Suppression, value)
            except DataDamaged as error:
                yield _problem(f"suppression {key!r}", error.public)
                continue
            if keys.suppression(found.account, found.base_address) != key:
                yield _problem(f"suppression {key!r}", "its key is of another address")

    def _check_contents(self) -> Iterator[Problem]:
        stored = {
            keys.reference_parts(key) for key, _ in self._engine.scan(Family.IDX, *keys.REFERENCES)
        }
        for content, kind, by in self._references - stored:
            yield _problem(f"content {content}", f"no reference by {kind!r} {by}")
        for content, kind, by in stored - self._references:
            yield _problem(
                f"content {content}", f"a reference by {kind!r} {by}, who does not need it"
            )
        needed = {content for content, _, _ in self._references}
        unneeded = {
            keys.last_number(key) for key, _ in self._engine.scan(Family.KV, *keys.UNNEEDED)
        }
        located = set()
        for content, place in self._places():
            self._highest = max(self._highest, content)
            located.add(content)
            if content in needed:
                yield from self._check_content(content, place)
            elif content not in unneeded:
                yield _problem(f"content {content}", "nobody refers to it, and it stays")
        for content in needed - located:
            yield _problem(f"content {content}", "it has no place: a message is lost")

    def _places(self) -> Iterator[tuple[int, Place]]:
        for key, value in self._engine.scan(Family.KV, *keys.CONTENTS):
            yield keys.last_number(key), value
        for key, value in self._engine.scan(Family.LOC, *store_keys.account_range(keys.ACCOUNT)):
            yield store_keys.file_id(key), rows.decode(Location, value)

    def _check_content(self, content: int, place: Place) -> Iterator[Problem]:
        length = len(place) if isinstance(place, bytes) else place.length
        if self._sizes[content] != length:
            yield _problem(f"content {content}", "it has another size than its messages")
        if isinstance(place, bytes) or not self._contents:
            return
        try:
            data = self._blobs.read(keys.ACCOUNT, content, place, 0, place.length)
            if len(data) != length:
                yield _problem(f"content {content}", "it is shorter than recorded")
        except (DataDamaged, OSError) as error:
            yield _problem(f"content {content}", str(error))

    def _check_counters(self) -> Iterator[Problem]:
        value = self._engine.get(Family.META, keys.COUNTERS)
        counters = Counters() if value is None else decode(Counters, value)
        if counters.queued != len(self._entries):
            text = f"{counters.queued} messages counted, {len(self._entries)} there"
            yield _problem("queue", text)
        if counters.held != self._held:
            yield _problem("queue", f"{counters.held} on hold counted, {self._held} there")
        if self._highest >= counters.next_id:
            yield _problem("queue", f"number {self._highest} was never given out")
