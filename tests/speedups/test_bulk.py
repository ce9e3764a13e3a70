"""Changes of many messages at once, compiled and plain, on the same columns."""

from array import array
from collections.abc import Sequence
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._speedups import Columns, bulk
from mox._speedups.reference import bulk as plain

FACTS = ("uid", "size", "flags", "zone", "received", "saved", "modseq", "createseq", "file", "gone")
WORDS = st.sampled_from([0, 1, 2, 3, 1 << 63, 1 << 64, 5 << 70, (1 << 1000) - 1])
FLAGS = st.integers(0, 2**32 - 1)
MESSAGE = st.tuples(st.integers(1, 3), FLAGS, WORDS, st.booleans())
COLUMNS = st.lists(MESSAGE, max_size=20)
CHOICE = st.integers(0, 2**20 - 1)
KEEP = st.one_of(st.just(-1), st.just(0), FLAGS.map(lambda bits: ~bits))
KEEP_WORDS = st.one_of(st.just(-1), st.just(0), WORDS.map(lambda bits: ~bits))


@pytest.fixture(params=[bulk, plain], ids=["c", "py"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    found = request.param
    assert isinstance(found, ModuleType)
    return found


def made(messages: list[tuple[int, int, int, bool]]) -> Columns:
    columns = Columns()
    uid = 0
    for slot, (gap, flags, words, gone) in enumerate(messages):
        uid += gap
        columns.append(uid, slot * 10, flags, -60, -5, 7, slot + 2, slot + 2, 9, slot // 2, words)
        if gone:
            columns.set_gone(slot, 100)
    return columns


def chosen(columns: Columns, choice: int) -> "array[int]":
    return array("I", (slot for slot in range(len(columns)) if choice >> slot & 1))


def everything(columns: Columns) -> list[object]:
    slots = array("I", range(len(columns)))
    facts = [[getattr(columns, name)(slot) for name in FACTS] for slot in slots]
    return [facts, columns.rows(slots), columns.counts(), columns.gone_count]


@given(messages=COLUMNS, choice=CHOICE, modseq=st.integers(0, 25))
def test_looking_is_alike(
    messages: list[tuple[int, int, int, bool]], choice: int, modseq: int
) -> None:
    columns = made(messages)
    slots = chosen(columns, choice)
    for name in ("live_slots", "files_of", "size_of", "keywords_of", "first_gone", "pack_rows"):
        assert getattr(bulk, name)(columns, slots) == getattr(plain, name)(columns, slots)
    assert bulk.split_modseq(columns, slots, modseq) == plain.split_modseq(columns, slots, modseq)


@given(
    messages=COLUMNS,
    choice=CHOICE,
    modseqs=st.sets(st.one_of(st.integers(0, 25), st.just(2**64 - 1))),
)
def test_own_changes_are_left_out_alike(
    messages: list[tuple[int, int, int, bool]], choice: int, modseqs: set[int]
) -> None:
    columns = made(messages)
    slots, own = chosen(columns, choice), array("Q", sorted(modseqs))
    found = bulk.without_modseqs(columns, slots, own)
    assert found == plain.without_modseqs(columns, slots, own)
    assert set(found) == {slot for slot in slots if columns.modseq(slot) not in modseqs}


SLOTS = st.sets(st.integers(0, 12) | st.integers(2**32 - 3, 2**32 - 1)).map(
    lambda slots: array("I", sorted(slots))
)


@given(one=SLOTS, other=SLOTS)
def test_sets_of_slots_are_alike(one: "array[int]", other: "array[int]") -> None:
    for name in ("slots_in_both", "slots_in_either", "slots_without"):
        assert getattr(bulk, name)(one, other) == getattr(plain, name)(one, other)


def test_the_first_expunge(module: ModuleType) -> None:
    columns = made([(1, 0, 0, False)] * 3)
    assert module.first_gone(columns, array("I", [0, 1, 2])) == 0
    columns.set_gone(1, 2**64 - 1)
    assert module.first_gone(columns, array("I", [0, 1, 2])) == 2**64 - 1
    columns.set_gone(2, 1)
    assert module.first_gone(columns, array("I", [0, 1, 2])) == 1
    assert module.first_gone(columns, array("I", [0, 1])) == 2**64 - 1


@given(
    head=st.binary(max_size=20),
    middle=st.binary(max_size=9),
    files=st.lists(st.integers(0, 2**64 - 1), max_size=5),
    uids=st.lists(st.integers(0, 2**32 - 1), max_size=5),
)
def test_keys_are_alike(head: bytes, middle: bytes, files: list[int], uids: list[int]) -> None:
    numbers = array("I", uids)
    packed = bulk.pack_keys(head, numbers)
    assert packed == plain.pack_keys(head, numbers)
    assert len(packed) == len(uids) * (len(head) + 4)
    count = min(len(files), len(uids))
    pairs = array("Q", files[:count]), numbers[:count]
    found = bulk.pack_references(head, pairs[0], middle, pairs[1])
    assert found == plain.pack_references(head, pairs[0], middle, pairs[1])


def test_references_are_of_pairs(module: ModuleType) -> None:
    assert module.pack_keys(b"k", array("I", [1, 2**32 - 1])) == b"k\0\0\0\1k\xff\xff\xff\xff"
    found = module.pack_references(b"h", array("Q", [258]), b"m", array("I", [3]))
    assert found == b"h\0\0\0\0\0\0\1\2m\0\0\0\3"
    with pytest.raises(ValueError):  # noqa: PT011  # the twin says it in other words
        module.pack_references(b"h", array("Q", [1, 2]), b"m", array("I", [3]))


def test_rows_with_many_keywords_are_a_list(module: ModuleType) -> None:
    columns = made([(1, 0, 1, False), (1, 0, 1 << 64, False), (1, 0, 2, False)])
    first, wide, last = (columns.row(slot) for slot in range(3))
    assert module.pack_rows(columns, array("I", [0, 2])) == first + last
    assert module.pack_rows(columns, array("I", [2, 1])) == [last, wide]
    assert module.pack_rows(columns, array("I")) == b""


@given(
    messages=COLUMNS,
    choice=CHOICE,
    keep=KEEP,
    add=FLAGS,
    keep_words=KEEP_WORDS,
    add_words=WORDS,
)
def test_flags_change_alike(
    messages: list[tuple[int, int, int, bool]],
    choice: int,
    keep: int,
    add: int,
    keep_words: int,
    add_words: int,
) -> None:
    results = []
    for each in (bulk, plain):
        columns = made(messages)
        slots = chosen(columns, choice)
        changed = each.flag_changes(columns, slots, keep, add, keep_words, add_words)
        each.set_flags_of(columns, changed, keep, add, keep_words, add_words, 50)
        assert not each.flag_changes(columns, slots, keep, add, keep_words, add_words)
        assert all((columns.modseq(slot) == 50) == (slot in changed) for slot in slots)
        results.append([changed, everything(columns)])
    assert results[0] == results[1]


@given(
    messages=COLUMNS,
    others=COLUMNS,
    choice=CHOICE,
    keep=st.one_of(st.just(2**32 - 1), FLAGS),
    add=st.one_of(st.just(0), FLAGS),
    there=st.one_of(
        st.just(range(1000)),
        st.just([0, 64, 1]),
        st.permutations(range(4)).map(lambda bits: [*bits, *range(4, 1000)]),
        st.integers(0, 2000).map(lambda first: range(first, first + 1000)),
        st.integers(0, 70).map(lambda count: range(count)),
    ),
    into_itself=st.booleans(),
)
def test_copies_are_alike(
    messages: list[tuple[int, int, int, bool]],
    others: list[tuple[int, int, int, bool]],
    choice: int,
    keep: int,
    add: int,
    there: Sequence[int],
    into_itself: bool,
) -> None:
    results: list[object] = []
    for each in (bulk, plain):
        columns = made(messages)
        target = columns if into_itself else made(others)
        slots, before = chosen(columns, choice), everything(target)
        first = len(target)
        copied = columns.rows(slots)
        try:
            masks = keep, add, array("I", there)
            added = each.append_copies(target, columns, slots, 1000, -3, 77, *masks)
        except ValueError:
            assert max(columns.keywords(slot).bit_length() for slot in slots) > len(there)
            assert everything(target) == before
            results.append("unknown keyword")
            continue
        results.append(everything(target))
        assert len(target) == first + len(slots)
        assert added == array("I", range(first, len(target)))
        for at, slot in enumerate(slots, first):
            words = {bit for bit in range(1000) if columns.keywords(slot) >> bit & 1}
            assert target.uid(at) == 1000 + at - first
            assert target.flags(at) == columns.flags(slot) & keep | add
            assert target.keywords(at) == sum(1 << there[bit] for bit in words)
            assert (target.modseq(at), target.createseq(at), target.saved(at)) == (77, 77, -3)
            assert not target.gone(at)
        if list(there) == list(range(len(there))):
            # All else is as it was.
            same = slice(8, 12), slice(16, 24), slice(48, None)
            for old, new in zip(
                copied, target.rows(array("I", range(first, len(target)))), strict=True
            ):
                assert [new[part] for part in same] == [old[part] for part in same]
    assert results[0] == results[1]


@given(messages=COLUMNS, choice=CHOICE)
def test_expunges_are_alike(messages: list[tuple[int, int, int, bool]], choice: int) -> None:
    results = []
    for each in (bulk, plain):
        columns = made(messages)
        slots = each.live_slots(columns, chosen(columns, choice))
        each.expunge_slots(columns, slots, 200)
        results.append(everything(columns))
    assert results[0] == results[1]


def test_an_error_changes_nothing(module: ModuleType) -> None:
    columns = made([(1, 0, 0, False), (1, 0, 1 << 70, True), (1, 0, 0, False)])
    before = everything(columns)
    for slots in ([0, 1], [2, 0], [0, 0]):
        with pytest.raises(ValueError, match="live"):
            module.expunge_slots(columns, array("I", slots), 200)
    with pytest.raises(ValueError, match="above 0"):
        module.expunge_slots(columns, array("I", [0]), 0)
    outside = array("I", [0, 3])
    for call in (
        lambda: module.expunge_slots(columns, outside, 200),
        lambda: module.set_flags_of(columns, outside, -1, 1, -1, 0, 5),
        lambda: module.flag_changes(columns, outside, -1, 1, -1, 0),
        lambda: module.append_copies(columns, columns, outside, 9, 0, 1, 0, 0, array("I")),
        lambda: module.live_slots(columns, outside),
        lambda: module.files_of(columns, outside),
        lambda: module.size_of(columns, outside),
        lambda: module.split_modseq(columns, outside, 1),
        lambda: module.keywords_of(columns, outside),
        lambda: module.first_gone(columns, outside),
        lambda: module.without_modseqs(columns, outside, array("Q")),
        lambda: module.pack_rows(columns, outside),
    ):
        with pytest.raises(IndexError):
            call()  # type: ignore[no-untyped-call]  # the module is not known to mypy
    with pytest.raises(ValueError, match="not known"):
        module.append_copies(
            columns, columns, array("I", [1]), 9, 0, 1, 0, 0, array("I", range(70))
        )
    with pytest.raises(ValueError, match="so many"):
        module.append_copies(columns, columns, array("I", [0]), 9, 0, 1, 0, 0, array("I", [8256]))
    for uid in (0, 3):
        with pytest.raises(ValueError, match="above the last"):
            module.append_copies(columns, columns, array("I", [0]), uid, 0, 1, 0, 0, array("I"))
    with pytest.raises(OverflowError):
        module.append_copies(
            columns, columns, array("I", [0, 2]), 2**32 - 1, 0, 1, 0, 0, array("I")
        )
    for words in (-1, 1 << 8256):
        with pytest.raises(ValueError, match="8,256"):
            module.set_flags_of(columns, array("I", [0]), -1, 1, -1, words, 5)
        with pytest.raises(ValueError, match="8,256"):
            module.flag_changes(columns, array("I", [0]), -1, 1, -1, words)
    assert everything(columns) == before


def test_the_last_uid_can_be_a_copy(module: ModuleType) -> None:
    columns, copies = made([(1, 0, 0, False), (1, 0, 0, False)]), Columns()
    module.append_copies(copies, columns, array("I", [0, 1]), 2**32 - 2, 0, 1, 0, 0, array("I"))
    assert copies.uid(1) == 2**32 - 1


def test_the_greatest_keyword_can_be_copied(module: ModuleType) -> None:
    columns, copies = made([(1, 0, 1, False), (1, 0, 2, False)]), Columns()
    module.append_copies(copies, columns, array("I", [0, 1]), 1, 0, 1, 0, 0, array("I", [8255, 63]))
    assert [copies.keywords(slot) for slot in (0, 1)] == [1 << 8255, 1 << 63]
