"""Sets of numbers as ranges, against Python's sets; both implementations."""

from array import array
from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._speedups import modseq
from mox._speedups.reference import modseq as plain

Ranges = list[tuple[int, int]]
TOP = 2**63 - 1


@pytest.fixture(params=[modseq, plain], ids=["c", "py"])
def sets(request: pytest.FixtureRequest) -> ModuleType:
    module = request.param
    assert isinstance(module, ModuleType)
    return module


def numbers_of(ranges: Ranges) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def is_normal(ranges: Ranges) -> bool:
    """Ascending, disjoint, not adjacent."""
    return all(first <= last for first, last in ranges) and all(
        left[1] + 1 < right[0] for left, right in zip(ranges, ranges[1:], strict=False)
    )


SET = st.sets(st.integers(0, 60))
RANGE = st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda p: (p[0], p[0] + p[1]))
LARGE = st.lists(st.integers(0, TOP), unique=True, max_size=12).map(sorted)


@given(numbers=SET)
def test_ranges_of_numbers(numbers: set[int]) -> None:
    for sets in (modseq, plain):
        for given_as in (sorted(numbers), array("I", sorted(numbers)), iter(sorted(numbers))):
            ranges = sets.ranges_of(given_as)
            assert is_normal(ranges)
            assert numbers_of(ranges) == numbers
            assert sets.count_ranges(ranges) == len(numbers)


@given(parts=st.lists(st.lists(RANGE, max_size=6), max_size=4))
def test_union_of_ranges_in_any_order(parts: list[Ranges]) -> None:
    expected = set().union(*(numbers_of(part) for part in parts))
    for sets in (modseq, plain):
        merged = sets.merge_ranges(parts)
        assert is_normal(merged)
        assert numbers_of(merged) == expected


@given(left=SET, right=SET)
def test_intersection_and_difference(left: set[int], right: set[int]) -> None:
    a, b = plain.ranges_of(sorted(left)), plain.ranges_of(sorted(right))
    for sets in (modseq, plain):
        both, rest = sets.intersect_ranges(a, b), sets.subtract_ranges(a, b)
        assert is_normal(both)
        assert is_normal(rest)
        assert numbers_of(both) == left & right
        assert numbers_of(rest) == left - right


@given(left=LARGE, right=LARGE, extra=st.sets(st.integers(0, 11)))
def test_same_as_the_twin_with_large_numbers(
    left: list[int], right: list[int], extra: set[int]
) -> None:
    shared = sorted({*right, *(left[i] for i in extra if i < len(left))})
    a: Ranges = list(zip(left[::2], left[1::2], strict=False))
    b: Ranges = list(zip(shared[::2], shared[1::2], strict=False))
    assert modseq.intersect_ranges(a, b) == plain.intersect_ranges(a, b)
    assert modseq.subtract_ranges(a, b) == plain.subtract_ranges(a, b)
    assert modseq.merge_ranges([b, a]) == plain.merge_ranges([b, a])
    assert modseq.count_ranges(a) == plain.count_ranges(a)
    assert modseq.encode_ranges(a) == plain.encode_ranges(a)
    for sets in (modseq, plain):
        assert sets.decode_ranges(sets.encode_ranges(a)) == a


def decoded(sets: ModuleType, data: bytes) -> Ranges | None:
    try:
        ranges = sets.decode_ranges(data)
    except ValueError:
        return None
    assert isinstance(ranges, list)
    return ranges


@given(
    data=st.one_of(
        st.binary(max_size=40), st.lists(st.sampled_from(b"\x00\x01\x7f\x80\xff")).map(bytes)
    )
)
def test_damaged_bytes_are_refused_alike(data: bytes) -> None:
    ranges = decoded(modseq, data)
    assert ranges == decoded(plain, data)
    if ranges is not None:
        # What is accepted is a set, and says the same when it is written again.
        assert modseq.decode_ranges(modseq.encode_ranges(ranges)) == ranges


def test_byte_form_is_compact_and_fixed(sets: ModuleType) -> None:
    # It is on disk: changing it needs a new version of the rows that hold it.
    assert sets.encode_ranges([]) == b""
    assert sets.encode_ranges([(1, 1)]) == b"\x01\x00"
    assert sets.encode_ranges([(5, 9), (300, 300)]) == b"\x05\x04\xa3\x02\x00"
    assert sets.encode_ranges([(0, TOP)]) == b"\x00" + b"\xff" * 8 + b"\x7f"
    assert sets.decode_ranges(b"\x05\x04\xa3\x02\x00") == [(5, 9), (300, 300)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x01",
        b"\x80",
        b"\x01\x80",
        b"\x01\x00\x00\x00",  # a second range at the end of the first
        b"\x80" * 9 + b"\x00\x00",
        b"\xff" * 8 + b"\x7f\x01",  # beyond 2^63
    ],
)
def test_damaged_bytes(sets: ModuleType, data: bytes) -> None:
    with pytest.raises(ValueError, match="range|number"):
        sets.decode_ranges(data)


@pytest.mark.parametrize(
    "ranges", [[(2, 1)], [(-1, 1)], [(0, TOP + 1)], [(5, 6), (1, 2)], [(1, 3), (3, 4)], [(1, 2, 3)]]
)
def test_what_is_no_set_is_refused(sets: ModuleType, ranges: Ranges) -> None:
    calls: list[Callable[[Ranges], object]] = [
        sets.count_ranges,
        sets.encode_ranges,
        lambda bad: sets.intersect_ranges(bad, []),
        lambda bad: sets.intersect_ranges([], bad),
        lambda bad: sets.subtract_ranges(bad, []),
        lambda bad: sets.subtract_ranges([], bad),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="range|unpack"):
            call(ranges)
    if ranges[0] in ((2, 1), (-1, 1), (0, TOP + 1)):
        with pytest.raises(ValueError, match="range"):
            sets.merge_ranges([[(7, 8)], ranges])


@pytest.mark.parametrize("numbers", [[1, 1], [2, 1], [-1], [TOP + 1], [2**70]])
def test_numbers_that_do_not_ascend_are_refused(sets: ModuleType, numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="numbers"):
        sets.ranges_of(numbers)


def test_one_wide_range_against_many_small_ones_is_linear(sets: ModuleType) -> None:
    small: Ranges = [(3 * i, 3 * i) for i in range(10_000)]
    wide: Ranges = [(0, 30_000)]
    assert sets.count_ranges(sets.subtract_ranges(wide, small)) == 20_001
    assert sets.subtract_ranges(small, wide) == []
    assert sets.intersect_ranges(wide, small) == small
