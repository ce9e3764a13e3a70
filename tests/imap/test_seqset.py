"""Number sets: grammar, resolving, shortest form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base import limits
from mox.imap import seqset
from mox.imap.seqset import SeqSet


@pytest.mark.rfc("9051 §9")
@pytest.mark.parametrize(
    ("text", "largest", "resolved"),
    [
        (b"1", 9, [(1, 1)]),
        (b"2:4", 9, [(2, 4)]),
        (b"4:2", 9, [(2, 4)]),
        (b"2,4:7,9,12:*", 15, [(2, 2), (4, 7), (9, 9), (12, 15)]),
        (b"*:4,5:7", 10, [(4, 10)]),
        (b"*", 7, [(7, 7)]),
        (b"3291:*", 12, [(12, 3291)]),  # includes the largest even where it is smaller
        (b"1,2,3", 9, [(1, 3)]),
        (b"5,1:3,2", 9, [(1, 3), (5, 5)]),
        (b"*", 0, []),
        (b"1:*", 0, [(1, 1)]),
        (b"4294967295", 9, [(4294967295, 4294967295)]),
        (b"$", 9, [(3, 4)]),
        (b"1:2,$", 9, [(1, 4)]),
    ],
)
def test_sets(text: bytes, largest: int, resolved: list[tuple[int, int]]) -> None:
    assert seqset.parse(text).resolve(largest, [(3, 4)]) == resolved


@pytest.mark.parametrize(
    "text",
    [b"", b"0", b"01", b"1,", b",1", b"1,,2", b"1:", b":1", b"1:2:3", b"1-2", b"a", b"-1", b"**"]
    + [
        b"4294967296",
        b"99999999999",
        b"1:99999999999",
        b"$,1",
        b"$$",
        b"$:1",
        b"1:$",
        b"1 2",
        b"\xb2",
    ],
)
def test_what_is_no_set(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"number"):
        seqset.parse(text)


def test_what_a_command_asks_of_a_set() -> None:
    found = seqset.parse(b"3,9:*,5")
    assert (found.has_star, found.largest_named, found.saved) == (True, 9, False)
    assert (seqset.parse(b"$").has_star, seqset.parse(b"$").largest_named) == (False, 0)


def test_the_number_of_ranges_is_limited() -> None:
    assert len(seqset.parse(b"1," * (limits.IMAP_SET_RANGES - 1) + b"1").ranges) == 100_000
    with pytest.raises(ValueError, match="too many"):
        seqset.parse(b"1," * limits.IMAP_SET_RANGES + b"1")


def test_the_shortest_form() -> None:
    assert seqset.format_ranges([(1, 1), (3, 5)]) == b"1,3:5"
    assert seqset.format_ranges([]) == b""


def test_pieces_are_within_their_size_and_complete() -> None:
    ranges = [(n, n + 1) for n in range(1, 9000, 3)]
    lines = seqset.format_lines(ranges, 100)
    assert max(map(len, lines)) <= 100
    assert b",".join(lines) == seqset.format_ranges(ranges)
    assert seqset.format_lines([], 100) == []
    assert seqset.format_lines([(1, 1), (3, 3)], 1) == [b"1", b"3"]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1), st.integers(1, 20))
def test_resolving_is_the_set_of_all_ranges(pairs: list[tuple[int, int]], largest: int) -> None:
    numbers: set[int] = set()
    for first, last in pairs:
        a, b = sorted((first or largest, last or largest))
        numbers.update(range(a, b + 1))
    text = b",".join(b"%s:%s" % (_number(first), _number(last)) for first, last in pairs)
    found = seqset.parse(text)
    assert found == SeqSet(ranges=tuple(pairs))
    resolved = found.resolve(largest)
    assert {n for a, b in resolved for n in range(a, b + 1)} == numbers
    assert all(b + 1 < c for (_, b), (c, _) in zip(resolved, resolved[1:], strict=False))
    assert seqset.parse(seqset.format_ranges(resolved)).resolve(largest) == resolved


def _number(value: int) -> bytes:
    return b"%d" % value if value else b"*"
