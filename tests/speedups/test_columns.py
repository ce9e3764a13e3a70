"""Columns against a plain list of records, by a state machine; borders and damage by example."""

import struct
import threading
from array import array
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mox._speedups import Columns

SEEN, DELETED = 1, 8
FIELDS = (
    "uid",
    "size",
    "flags",
    "zone",
    "received",
    "saved",
    "modseq",
    "createseq",
    "thread",
    "file",
)


@dataclass
class Record:
    uid: int
    size: int
    flags: int
    zone: int
    received: int
    saved: int
    modseq: int
    createseq: int
    thread: int
    file: int
    keywords: int
    gone: int = 0

    def row(self) -> bytes:
        """The layout, written down a second time."""
        low, high = self.keywords & (2**64 - 1), self.keywords >> 64
        return struct.pack(
            "<BBhIIIqqQQQQQ",
            1,
            0,
            self.zone,
            self.uid,
            self.size,
            self.flags,
            self.received,
            self.saved,
            self.modseq,
            self.createseq,
            self.thread,
            self.file,
            low,
        ) + high.to_bytes((high.bit_length() + 7) // 8, "little")

    def append_to(self, columns: Columns) -> int:
        return columns.append(
            uid=self.uid,
            size=self.size,
            flags=self.flags,
            zone=self.zone,
            received=self.received,
            saved=self.saved,
            modseq=self.modseq,
            createseq=self.createseq,
            thread=self.thread,
            file=self.file,
            keywords=self.keywords,
        )


@dataclass
class View:
    limit: int
    told: int


U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
FLAGS = st.one_of(st.integers(0, 0x3FF), U32)
# Few keywords most of the time, sometimes more than fit a word, sometimes as many as allowed.
KEYWORDS = st.one_of(
    st.integers(0, 7),
    st.integers(0, 2**64 - 1),
    st.sampled_from([1 << 63, 1 << 64, 1 << 65, 3 << 63, 1 << 1000]),
    st.integers(0, 2**1001 - 1),
)


class ColumnsAgainstList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.columns = Columns()
        self.records: list[Record] = []
        self.views: list[View] = []
        self.modseq = 1
        self.uid = 0

    # -------------------------------------------------------------- what happens

    def make(self, gap: int, keywords: int, flags: int, numbers: list[int], zone: int) -> Record:
        self.uid += gap
        self.modseq += 1
        return Record(
            uid=self.uid,
            size=numbers[0] % 2**32,
            flags=flags,
            zone=zone,
            received=numbers[1],
            saved=numbers[2],
            modseq=self.modseq,
            createseq=self.modseq,
            thread=numbers[3] % 2**64,
            file=numbers[4] % 2**64,
            keywords=keywords,
        )

    @initialize(count=st.integers(0, 40), data=st.data())
    def load(self, count: int, data: st.DataObject) -> None:
        self.load_more(count, data)

    @rule(count=st.integers(1, 20), data=st.data())
    def load_more(self, count: int, data: st.DataObject) -> None:
        flags = data.draw(st.lists(FLAGS, min_size=count, max_size=count))
        keywords = data.draw(KEYWORDS)
        fresh = [
            self.make(
                1 + i % 3, keywords if i % 4 == 0 else i, flags[i], [i * 1000, i, -i, i, i], i
            )
            for i in range(count)
        ]
        self.columns.load([record.row() for record in fresh])
        self.records += fresh

    @rule(
        gap=st.one_of(st.just(1), st.integers(1, 1000)),
        keywords=KEYWORDS,
        flags=FLAGS,
        numbers=st.lists(I64, min_size=5, max_size=5),
        zone=st.integers(-(2**15), 2**15 - 1),
    )
    def append(self, gap: int, keywords: int, flags: int, numbers: list[int], zone: int) -> None:
        record = self.make(gap, keywords, flags, numbers, zone)
        assert record.append_to(self.columns) == len(self.records)
        self.records.append(record)

    @rule(where=st.integers(0, 10**6), flags=FLAGS, keywords=KEYWORDS)
    def set_flags(self, where: int, flags: int, keywords: int) -> None:
        if self.records:
            slot = where % len(self.records)
            self.modseq += 1
            self.columns.set_flags(slot, flags, keywords, self.modseq)
            record = self.records[slot]
            record.flags, record.keywords, record.modseq = flags, keywords, self.modseq

    @rule(where=st.lists(st.integers(0, 10**6), max_size=8))
    def expunge(self, where: list[int]) -> None:
        self.modseq += 1
        for one in where if self.records else []:
            slot = one % len(self.records)
            if not self.records[slot].gone:
                self.columns.set_gone(slot, self.modseq)
                self.records[slot].gone = self.modseq

    @rule()
    def open_view(self) -> None:
        if len(self.views) < 4:
            self.views.append(View(len(self.records), self.modseq))

    @rule(which=st.integers(0, 3), expunges=st.booleans())
    def tell(self, which: int, expunges: bool) -> None:
        if which < len(self.views):
            view = self.views[which]
            if expunges:
                view.told = self.modseq
            upto = max(0, self.modseq - which)
            limit = self.columns.created_upto(view.limit, upto)
            rest = [r.createseq > upto for r in self.records[view.limit :]]
            assert limit == (view.limit + rest.index(True) if True in rest else len(self.records))
            view.limit = limit

    @rule()
    def compact(self) -> None:
        oldest = min((view.told for view in self.views), default=self.modseq)
        removed = self.columns.compact(oldest)
        expected = [s for s, r in enumerate(self.records) if 0 < r.gone <= oldest]
        assert list(removed) == expected
        for view in self.views:
            view.limit -= sum(slot < view.limit for slot in expected)
        self.records = [r for r in self.records if not 0 < r.gone <= oldest]

    # -------------------------------------------------------------- what must hold

    def shown(self, view: View) -> list[int]:
        return [
            s for s, r in enumerate(self.records[: view.limit]) if r.gone == 0 or r.gone > view.told
        ]

    @invariant()
    def same_facts(self) -> None:
        columns = self.columns
        assert len(columns) == len(self.records)
        assert columns.gone_count == sum(r.gone > 0 for r in self.records)
        for slot, record in enumerate(self.records):
            for name in (*FIELDS, "keywords", "gone"):
                assert getattr(columns, name)(slot) == getattr(record, name), name
            assert columns.find(record.uid) == slot
        every = array("I", range(len(self.records)))
        rows = [record.row() for record in self.records]
        assert columns.rows(every) == rows
        again = Columns()
        again.load(rows)
        assert again.rows(every) == rows
        assert columns.max_modseq(every) == max((r.modseq for r in self.records), default=0)
        assert columns.uids(every).tolist() == [r.uid for r in self.records]

    @invariant()
    def same_counts(self) -> None:
        live = [r for r in self.records if not r.gone]
        deleted = [r for r in live if r.flags & DELETED]
        assert self.columns.counts() == (
            len(live),
            sum(not r.flags & SEEN for r in live),
            len(deleted),
            sum(r.size for r in live),
            sum(r.size for r in deleted),
        )

    @invariant()
    def same_numbers_in_every_view(self) -> None:
        columns = self.columns
        for view in self.views:
            shown = self.shown(view)
            args = (view.limit, view.told)
            every = array("I", range(len(self.records)))
            rank = {slot: seq for seq, slot in enumerate(shown, 1)}
            assert columns.visible(*args) == len(shown)
            assert columns.visible_slots(*args).tolist() == shown
            assert columns.seqs(every, *args).tolist() == [rank.get(s, 0) for s in every]
            for slot in every:
                assert columns.seq(slot, *args) == rank.get(slot, 0)
            for seq in range(len(shown) + 2):
                expected = shown[seq - 1] if 0 < seq <= len(shown) else -1
                assert columns.slot_of_seq(seq, *args) == expected

    @invariant()
    def same_ranges_in_every_view(self) -> None:
        columns = self.columns
        for view in self.views:
            shown = self.shown(view)
            args = (view.limit, view.told)
            n = len(shown)
            for ranges in ([(1, 2**32 - 1)], [(1, 1), (3, 4), (n + 6, 2**40)], [(2, n // 2 + 2)]):
                by_seq = [s for q, s in enumerate(shown, 1) if any(a <= q <= b for a, b in ranges)]
                assert columns.slots_by_seq(ranges, *args).tolist() == by_seq
                by_uid = [s for s in shown if any(a <= self.records[s].uid <= b for a, b in ranges)]
                assert columns.slots_by_uid(ranges, *args).tolist() == by_uid
            numbers = [
                uid
                for low, high in columns.uid_ranges(array("I", shown))
                for uid in range(low, high + 1)
            ]
            assert numbers == [self.records[s].uid for s in shown]

    @invariant()
    def same_scans_in_every_view(self) -> None:
        columns = self.columns
        records = self.records
        for view in self.views:
            shown = self.shown(view)
            args = (view.limit, view.told)
            for since in (0, self.modseq // 2, view.told):
                changed = [
                    s
                    for s, r in enumerate(records[: view.limit])
                    if not r.gone and since < r.modseq <= self.modseq - 1
                ]
                found = columns.changed(view.limit, since, self.modseq - 1)
                assert found.tolist() == changed
                assert columns.changed_visible(*args, since).tolist() == [
                    s for s in shown if records[s].modseq > since
                ]
            for mask, value in ((SEEN, 0), (SEEN, SEEN), (DELETED | SEEN, DELETED), (0, 0)):
                hits = [s for s in shown if records[s].flags & mask == value]
                assert columns.with_flags(*args, mask, value).tolist() == hits
                first = hits[0] if hits else -1
                assert columns.first_with_flags(*args, mask, value) == first
            for bit in (0, 63, 64, 65, 1000):
                hits = [s for s in shown if records[s].keywords >> bit & 1]
                assert columns.slots_with_keyword(bit, *args).tolist() == hits
            for upto in (view.told, self.modseq - 1, self.modseq):
                gone = [
                    s for s, r in enumerate(records[: view.limit]) if view.told < r.gone <= upto
                ]
                assert columns.gone_between(*args, upto).tolist() == gone


TestColumnsAgainstList = ColumnsAgainstList.TestCase
TestColumnsAgainstList.settings = settings(
    settings.get_profile("ci"), max_examples=60, stateful_step_count=30
)


def filled(count: int, first: int = 1) -> Columns:
    columns = Columns()
    for uid in range(first, first + count):
        columns.append(uid, uid * 10, 0, 60, 1000, 2000, uid + 100, uid + 100, uid, uid, 0)
    return columns


@pytest.mark.parametrize("bits", [64, 65, 1001])
def test_row_round_trip_with_many_keywords(bits: int) -> None:
    columns = Columns()
    columns.append(7, 1, 2, -720, -1, 0, 3, 4, 5, 6, (1 << bits) - 1)
    row = columns.row(0)
    assert len(row) == 72 + (bits - 64 + 7) // 8
    other = Columns()
    other.load([row])
    assert other.keywords(0) == (1 << bits) - 1
    assert other.zone(0) == -720
    assert other.received(0) == -1
    other.set_flags(0, 0, 1, 9)
    assert len(other.row(0)) == 72


@pytest.mark.parametrize(
    "damage",
    [
        lambda row: b"",
        lambda row: row[:71],
        lambda row: b"\x00" + row[1:],
        lambda row: b"\x02" + row[1:],
        lambda row: row + bytes(1025),
        lambda row: row[:4] + b"\0\0\0\0" + row[8:],
        lambda row: row[:4] + b"\x02\0\0\0" + row[8:],  # the UID of the row before
    ],
)
def test_damaged_row_is_refused_and_nothing_is_loaded(damage: object) -> None:
    assert callable(damage)
    rows = filled(3).rows(array("I", [0, 1, 2]))
    rows[2] = damage(rows[2])
    columns = Columns()
    with pytest.raises(ValueError, match="row"):
        columns.load(rows)
    assert len(columns) == 0
    assert columns.counts() == (0, 0, 0, 0, 0)
    columns.load(rows[:2])
    assert len(columns) == 2


def test_row_that_is_not_bytes_is_refused() -> None:
    with pytest.raises(TypeError):
        Columns().load([bytearray(72)])  # type: ignore[list-item]


def test_slots_outside_are_refused() -> None:
    columns = filled(3)
    for slot in (-1, 3, 2**31):
        for name in (*FIELDS, "keywords", "gone", "row"):
            with pytest.raises(IndexError):
                getattr(columns, name)(slot)
        with pytest.raises(IndexError):
            columns.set_flags(slot, 0, 0, 1)
        with pytest.raises(IndexError):
            columns.set_gone(slot, 1)
        with pytest.raises(IndexError):
            columns.seq(slot, 3, 0)
    outside = array("I", [3])
    for call in (columns.rows, columns.uids, columns.uid_ranges, columns.max_modseq):
        with pytest.raises(IndexError):
            call(outside)
    with pytest.raises(IndexError):
        columns.seqs(outside, 3, 0)


def test_impossible_view_is_refused() -> None:
    columns = filled(3)
    for limit in (-1, 4):
        with pytest.raises(ValueError, match="view"):
            columns.visible(limit, 0)
        with pytest.raises(ValueError, match="view"):
            columns.slots_by_uid([(1, 2)], limit, 0)
        with pytest.raises(ValueError, match="view"):
            columns.changed(limit, 0, 1)
        with pytest.raises(ValueError, match="view"):
            columns.created_upto(limit, 0)


@pytest.mark.parametrize("ranges", [[(0, 1)], [(2, 1)], [(1, 3), (3, 4)], [(5, 6), (1, 2)], [(1,)]])
def test_number_set_that_is_not_ascending_is_refused(ranges: list[tuple[int, int]]) -> None:
    columns = filled(9)
    with pytest.raises(ValueError, match="ranges|unpack"):
        columns.slots_by_seq(ranges, 9, 0)
    with pytest.raises(ValueError, match="ranges|unpack"):
        columns.slots_by_uid(ranges, 9, 0)


def test_numbers_that_do_not_fit_are_refused() -> None:
    columns = filled(1)
    with pytest.raises(OverflowError):
        columns.append(2**32, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0)
    with pytest.raises(OverflowError):
        columns.append(2, 0, 0, 2**15, 0, 0, 1, 1, 1, 1, 0)
    with pytest.raises(OverflowError):
        columns.find(-1)
    with pytest.raises(ValueError, match="keywords"):
        columns.append(2, 0, 0, 0, 0, 0, 1, 1, 1, 1, -1)
    with pytest.raises(ValueError, match="keywords"):
        columns.set_flags(0, 0, 1 << 8256, 1)
    with pytest.raises(ValueError, match="UID"):
        columns.append(1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0)
    with pytest.raises(ValueError, match="at most"):
        columns.reserve(2**32)
    assert len(columns) == 1
    assert columns.find(2) == -1


def test_expunge_is_recorded_once() -> None:
    columns = filled(2)
    columns.set_gone(0, 5)
    columns.set_gone(0, 5)
    assert columns.gone_count == 1
    with pytest.raises(ValueError, match="already"):
        columns.set_gone(0, 6)
    with pytest.raises(ValueError, match="above 0"):
        columns.set_gone(1, 0)


def test_slots_must_be_ascending_where_order_matters() -> None:
    columns = filled(3)
    with pytest.raises(ValueError, match="ascending"):
        columns.seqs(array("I", [1, 1]), 3, 0)
    with pytest.raises(ValueError, match="ascending"):
        columns.uid_ranges(array("I", [2, 0]))
    assert columns.uids(array("I", [2, 0])).tolist() == [3, 1]


def test_largest_uid_is_found() -> None:
    columns = Columns()
    columns.append(2**32 - 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0)
    assert columns.find(2**32 - 1) == 0
    assert columns.slots_by_uid([(2**32 - 1, 2**32 - 1)], 1, 0).tolist() == [0]
    assert columns.slots_by_uid([(1, 2**63)], 1, 0).tolist() == [0]
    assert columns.uid_ranges(array("I", [0])) == [(2**32 - 1, 2**32 - 1)]


def test_memory_follows_size() -> None:
    columns = Columns()
    columns.reserve(5000)
    assert 5000 * 72 <= columns.memory <= 5000 * 90
    for uid in range(1, 5001):
        columns.append(uid, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0)
    for slot in range(4990):
        columns.set_gone(slot, 2)
    columns.compact(2)
    assert len(columns) == 10
    assert columns.uid(0) == 4991
    assert columns.memory < 50_000


def test_scans_without_the_gil_survive_growth_and_compaction() -> None:
    """A scan in one thread reads arrays that another one replaces."""
    columns = filled(50_000)
    failures: list[BaseException] = []
    done = threading.Event()

    def scan() -> None:
        try:
            while not done.is_set():
                found = columns.changed(40_000, 0, 2**63)
                assert len(found) <= 40_000
                assert found[0] == 0
        except BaseException as error:  # handed to the test
            failures.append(error)

    thread = threading.Thread(target=scan)
    thread.start()
    for uid in range(50_001, 70_001):
        slot = columns.append(uid, 1, 0, 0, 0, 0, uid, uid, 1, 1, 0)
        if uid % 1000 == 0:
            columns.set_gone(slot, uid)
            columns.compact(uid)
    done.set()
    thread.join()
    assert failures == []
    assert len(columns) == 69_980
