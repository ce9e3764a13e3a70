"""Search programs: what they answer, and that both implementations answer the same."""

from array import array
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._speedups import Columns, search
from mox._speedups.program import HIDDEN, MAYBE, NO, YES, Instruction, check_program
from mox._speedups.reference import search as plain

HOUR = 3_600_000


@pytest.fixture(params=[search, plain], ids=["c", "py"])
def engine(request: pytest.FixtureRequest) -> ModuleType:
    module = request.param
    assert isinstance(module, ModuleType)
    return module


def mailbox() -> Columns:
    """UIDs 10, 20, … 80; slots 2 and 5 are gone since 50 and 60."""
    columns = Columns()
    for i in range(8):
        columns.append(
            uid=10 * (i + 1),
            size=100 * i,
            flags=i,
            zone=60 * (i - 4),
            received=i * HOUR,
            saved=0 if i % 2 else (i + 100) * HOUR,
            modseq=i + 1,
            createseq=i + 1,
            thread=1,
            file=1,
            keywords=1 << i,
        )
    columns.set_gone(2, 50)
    columns.set_gone(5, 60)
    return columns


def yes(engine: ModuleType, *postfix: Instruction, told: int = 40) -> list[int]:
    """Slots that come out YES; none may come out MAYBE."""
    program = engine.compile_program(list(postfix))
    out = engine.run_program(mailbox(), program, 8, told, 0, 8)
    assert isinstance(out, bytes)
    assert MAYBE not in out
    return [slot for slot, value in enumerate(out) if value == YES]


def test_each_instruction_reads_its_column(engine: ModuleType) -> None:
    assert yes(engine, ("all",)) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert yes(engine, ("none",)) == []
    assert yes(engine, ("flags", 3, 1)) == [1, 5]
    assert yes(engine, ("keyword", 6)) == [6]
    assert yes(engine, ("larger", 500)) == [6, 7]
    assert yes(engine, ("smaller", 100)) == [0]
    assert yes(engine, ("larger", 2**40)) == []
    assert yes(engine, ("smaller", 2**40)) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert yes(engine, ("modseq_from", 7)) == [6, 7]
    assert yes(engine, ("uid", [(1, 10), (21, 30), (71, 2**40)])) == [0, 2, 7]
    assert yes(engine, ("uid", [(2**32, 2**33)])) == []
    assert yes(engine, ("uid", [])) == []
    assert yes(engine, ("seq", [(1, 1), (7, 9)])) == [0, 6, 7]
    assert yes(engine, ("slots", array("I", [1, 4, 900]))) == [1, 4]


@pytest.mark.rfc("9051 §6.4.4")
def test_received_in_utc_and_in_the_zone_of_the_message(engine: ModuleType) -> None:
    # Slot i is received at i hours, and its zone is i - 4 hours: local time 2i - 4 hours.
    assert yes(engine, ("received_before", 2 * HOUR, False)) == [0, 1]
    assert yes(engine, ("received_from", 6 * HOUR, False)) == [6, 7]
    assert yes(engine, ("received_before", 0, True)) == [0, 1]
    assert yes(engine, ("received_from", 8 * HOUR, True)) == [6, 7]


@pytest.mark.rfc("8514 §4.3")
def test_received_time_stands_in_for_a_missing_save_time(engine: ModuleType) -> None:
    assert yes(engine, ("saved_before", 4 * HOUR)) == [1, 3]
    assert yes(engine, ("saved_from", 103 * HOUR)) == [4, 6]


def test_view_hides_what_it_was_told_is_gone(engine: ModuleType) -> None:
    program = engine.compile_program([("seq", [(3, 4)])])
    columns = mailbox()
    run = engine.run_program
    assert run(columns, program, 8, 40, 0, 8) == bytes([0, 0, 1, 1, 0, 0, 0, 0])
    assert run(columns, program, 8, 50, 0, 8) == bytes([0, 0, 3, 1, 1, 0, 0, 0])
    assert run(columns, program, 8, 60, 0, 8) == bytes([0, 0, 3, 1, 1, 3, 0, 0])
    # A span counts from the beginning of the mailbox, wherever it begins.
    assert run(columns, program, 8, 60, 4, 8) == bytes([1, 3, 0, 0])
    assert run(columns, program, 5, 60, 3, 5) == bytes([1, 1])
    assert run(columns, program, 5, 60, 5, 5) == b""


@pytest.mark.parametrize("left", [NO, YES, MAYBE])
@pytest.mark.parametrize("right", [NO, YES, MAYBE])
def test_logic_of_three_values(engine: ModuleType, left: int, right: int) -> None:
    leaf: dict[int, Instruction] = {NO: ("none",), YES: ("all",), MAYBE: ("maybe", 1)}

    def value(*joined: Instruction) -> int:
        program = engine.compile_program(list(joined))
        return int(engine.run_program(mailbox(), program, 1, 0, 0, 1)[0])

    both = value(leaf[left], leaf[right], ("and",))
    either = value(leaf[left], leaf[right], ("or",))
    if NO in (left, right):
        assert both == NO
    else:
        assert both == (YES if left == right == YES else MAYBE)
    if YES in (left, right):
        assert either == YES
    else:
        assert either == (NO if left == right == NO else MAYBE)
    assert value(leaf[left], ("not",)) == {NO: YES, YES: NO, MAYBE: MAYBE}[left]


def test_leaves_are_filled_in_one_by_one(engine: ModuleType) -> None:
    # UNSEEN (leaf 7 OR NOT leaf 9)
    program = engine.compile_program(
        [("flags", 1, 0), ("maybe", 7), ("maybe", 9), ("not",), ("or",), ("and",)]
    )
    assert program.leaves == (7, 9)
    assert len(program) == 6
    columns = mailbox()

    def value(slot: int, **known: bool) -> int:
        results = {int(name[1:]): result for name, result in known.items()}
        return int(engine.evaluate_with(columns, program, slot, 8, 55, results))

    assert value(1) == NO
    assert value(0) == MAYBE
    assert value(0, k7=True) == YES
    assert value(0, k7=False) == MAYBE
    assert value(0, k7=False, k9=True) == NO
    assert value(0, k9=False) == YES
    assert value(2) == HIDDEN
    assert engine.evaluate_with(columns, program, 7, 7, 55, {}) == HIDDEN


BAD: list[list[Instruction]] = [
    [],
    [("all",), ("all",)],
    [("and",)],
    [("all",), ("and",)],
    [("not",)],
    [("all",), ("not", 1)],
    [("unknown",)],
    [("flags", 1)],
    [("flags", -1, 0)],
    [("flags", 2**32, 0)],
    [("keyword", 64)],
    [("keyword", -1)],
    [("larger", -1)],
    [("larger", 2**64)],
    [("smaller", "1")],
    [("received_before", 0)],
    [("received_before", 0, 1)],
    [("received_from", 2**63, True)],
    [("saved_before", -(2**63))],
    [("modseq_from", 2**64)],
    [("uid", ((1, 2),))],
    [("uid", [(0, 1)])],
    [("seq", [(3, 2)])],
    [("seq", [(1, 2), (2, 3)])],
    [("slots", [1, 2])],
    [("slots", array("I", [2, 1]))],
    [("slots", array("Q", [1]))],
    [("maybe", -1)],
    [*[("all",)] * 1001, *[("or",)] * 1000],
    [("all",), *[("not",)] * 100_000],
]


@pytest.mark.parametrize("postfix", BAD, ids=range(len(BAD)))
def test_ill_formed_program_is_refused(engine: ModuleType, postfix: list[Instruction]) -> None:
    with pytest.raises(ValueError, match="."):
        engine.compile_program(postfix)


def test_longest_and_deepest_program_runs(engine: ModuleType) -> None:
    deep: list[Instruction] = [*[("none",)] * 999, ("all",), *[("or",)] * 999]
    assert check_program(deep) == 1000
    columns = mailbox()
    program = engine.compile_program(deep)
    assert engine.run_program(columns, program, 1, 0, 0, 1) == b"\x01"
    long: list[Instruction] = [("all",), *[("not",)] * 99_999]
    program = engine.compile_program(long)
    assert engine.run_program(columns, program, 1, 0, 0, 1) == b"\x00"


def test_span_outside_the_view_is_refused(engine: ModuleType) -> None:
    columns, program = mailbox(), engine.compile_program([("all",)])
    for limit, start, stop in ((9, 0, 1), (-1, 0, 0), (8, -1, 2), (8, 3, 2), (4, 0, 5)):
        with pytest.raises(ValueError, match="view"):
            engine.run_program(columns, program, limit, 0, start, stop)
    for slot in (-1, 8):
        with pytest.raises(IndexError):
            engine.evaluate_with(columns, program, slot, 8, 0, {})
    with pytest.raises(ValueError, match="view"):
        engine.evaluate_with(columns, program, 0, 9, 0, {})


def test_blocks_join_without_seam() -> None:
    """More than a block, and long enough to run without the GIL."""
    columns = Columns()
    for uid in range(1, 5001):
        columns.append(2 * uid, uid, uid % 7, 0, uid, 0, uid, uid, 1, 1, uid % 5)
        if uid % 11 == 0:
            columns.set_gone(uid - 1, uid)
    postfix: list[Instruction] = [
        ("flags", 1, 1),
        ("seq", [(1, 1000), (1500, 1500), (2000, 4000)]),
        ("and",),
        ("uid", [(2040, 2060), (9000, 9500)]),
        ("or",),
        ("slots", array("I", range(1000, 2100, 3))),
        ("not",),
        ("and",),
        *[("not",)] * 20,
    ]
    fast, slow = search.compile_program(postfix), plain.compile_program(postfix)
    told = 3000
    whole = search.run_program(columns, fast, 5000, told, 0, 5000)
    pieces = [
        search.run_program(columns, fast, 5000, told, start, min(start + 777, 5000))
        for start in range(0, 5000, 777)
    ]
    assert b"".join(pieces) == whole
    for start in (0, 1000, 2030, 4990):
        part = plain.run_program(columns, slow, 5000, told, start, start + 10)
        assert part == whole[start : start + 10]


U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
MS = st.one_of(st.integers(-5, 20).map(lambda hours: hours * HOUR), st.integers(-(2**62), 2**62))
SMALL = st.one_of(st.integers(0, 20), U32)


def ranges(top: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    points = st.lists(st.integers(1, top), unique=True, max_size=8).map(sorted)
    return points.map(lambda p: list(zip(p[::2], p[1::2], strict=False)))


LEAF: st.SearchStrategy[Instruction] = st.one_of(
    st.just(("all",)),
    st.just(("none",)),
    st.tuples(st.just("flags"), st.integers(0, 15), st.integers(0, 15)),
    st.tuples(st.just("keyword"), st.integers(0, 63)),
    st.tuples(st.sampled_from(["larger", "smaller"]), st.one_of(SMALL, U64)),
    st.tuples(st.sampled_from(["received_before", "received_from"]), MS, st.booleans()),
    st.tuples(st.sampled_from(["saved_before", "saved_from"]), MS),
    st.tuples(st.just("modseq_from"), st.one_of(st.integers(0, 30), U64)),
    st.tuples(st.sampled_from(["uid", "seq"]), ranges(40)),
    st.tuples(st.sampled_from(["uid", "seq"]), ranges(2**33)),
    st.tuples(
        st.just("slots"),
        st.sets(st.integers(0, 30)).map(lambda slots: array("I", sorted(slots))),
    ),
    st.tuples(st.just("maybe"), st.integers(0, 3)),
)


def join(parts: st.SearchStrategy[list[Instruction]]) -> st.SearchStrategy[list[Instruction]]:
    pair = st.tuples(parts, parts, st.sampled_from([("and",), ("or",)]))
    return st.one_of(
        pair.map(lambda p: [*p[0], *p[1], p[2]]), parts.map(lambda part: [*part, ("not",)])
    )


PROGRAM = st.recursive(LEAF.map(lambda leaf: [leaf]), join, max_leaves=10)
MESSAGE = st.tuples(
    SMALL,  # size
    st.integers(0, 15),  # flags
    st.integers(-(2**15), 2**15 - 1),  # zone
    st.one_of(MS, st.integers(-(2**63), 2**63 - 1)),  # received
    st.one_of(st.just(0), MS),  # saved
    st.one_of(st.integers(0, 3), U64),  # keywords
    st.sampled_from([0, 0, 0, 5, 10, 15]),  # gone
)


@given(
    program=PROGRAM,
    messages=st.lists(MESSAGE, max_size=20),
    told=st.sampled_from([0, 5, 10, 15]),
    span=st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)),
    known=st.dictionaries(st.integers(0, 3), st.booleans()),
)
def test_same_as_the_twin(
    program: list[Instruction],
    messages: list[tuple[int, ...]],
    told: int,
    span: tuple[int, int, int],
    known: dict[int, bool],
) -> None:
    columns = Columns()
    for i, (size, flags, zone, received, saved, keywords, gone) in enumerate(messages):
        columns.append(2 * i + 1, size, flags, zone, received, saved, i, i, 1, 1, keywords)
        if gone:
            columns.set_gone(i, gone)
    start, stop, limit = sorted(min(number, len(messages)) for number in span)
    fast, slow = search.compile_program(program), plain.compile_program(program)
    assert fast.leaves == slow.leaves
    assert len(fast) == len(slow)
    found = search.run_program(columns, fast, limit, told, start, stop)
    assert found == plain.run_program(columns, slow, limit, told, start, stop)
    for slot in range(len(messages)):
        value = search.evaluate_with(columns, fast, slot, limit, told, known)
        assert value == plain.evaluate_with(columns, slow, slot, limit, told, known)
        # What is certain without reading stays so whatever is read.
        if start <= slot < stop and found[slot - start] != MAYBE:
            assert value == found[slot - start]
