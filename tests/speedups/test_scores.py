"""Words that say most: compiled and plain choose the same ones, with the same scores to the bit."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._speedups import scores as compiled
from mox._speedups.reference import scores as plain

Pair = tuple[int, int] | None
WORDS = st.binary(max_size=4) | st.sampled_from([b"alike", b"aloof", b"longer word"])
# Few different ones, so that many score alike; and the largest that are stored.
NUMBERS = st.integers(0, 5) | st.integers(0, 1 << 32)
COUNTS = st.none() | st.tuples(NUMBERS, NUMBERS)


@pytest.fixture(params=["c", "py"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return compiled if request.param == "c" else plain


def chosen(
    module: ModuleType,
    words: list[bytes],
    counts: Sequence[Pair],
    *,
    totals: tuple[int, int] = (100, 100),
    most: int = 10,
    max_power: float = 0.01,
    ignored: float = 0.1,
    rare: int = 2,
) -> Any:
    return module.strongest(words, counts, *totals, most, max_power, ignored, rare)


@given(
    st.lists(st.tuples(WORDS, COUNTS), max_size=40),
    st.tuples(NUMBERS, NUMBERS),
    st.integers(0, 12),
    st.floats(0, 0.5, exclude_min=True, exclude_max=True),
    st.floats(0, 0.5, exclude_max=True),
    st.integers(0, 10),
)
def test_strongest_is_the_twin(
    rows: list[tuple[bytes, Pair]],
    totals: tuple[int, int],
    most: int,
    max_power: float,
    ignored: float,
    rare: int,
) -> None:
    words, counts = [word for word, _ in rows], [count for _, count in rows]
    by_c, by_py = (
        chosen(
            module,
            words,
            counts,
            totals=totals,
            most=most,
            max_power=max_power,
            ignored=ignored,
            rare=rare,
        )
        for module in (compiled, plain)
    )
    assert by_c == by_py


def test_of_many_the_strongest_in_order(module: ModuleType) -> None:
    words = [b"word%04d" % number for number in range(3000)]
    counts = [(number * 7919 % 3000, 1000) for number in range(3000)]
    ham, spam = chosen(module, words, counts, totals=(3000, 3000), most=50)
    assert [count for *_, count, _ in ham] == list(range(2999, 2949, -1))
    # those up to 10 hams are at the limit, in the order of their names
    assert [score for _, score, _, _ in spam[:12]] == [0.99] * 11 + [1000 / 1011]
    assert [word for word, *_ in spam[:11]] == sorted(word for word, *_ in spam[:11])
    assert [count for *_, count, _ in spam[11:]] == list(range(11, 50))


def test_the_longer_word_goes_first_then_the_lesser(module: ModuleType) -> None:
    words = [b"bbb", b"aaa", b"longest", b"aab", b"longer"]
    counts = [(0, 9), (0, 8), (0, 7), None, (0, 6)]
    found = chosen(module, words, counts, most=3)
    assert found == ([], [(b"longest", 0.99, 0, 7), (b"longer", 0.99, 0, 6), (b"aaa", 0.99, 0, 8)])
    assert chosen(module, words, tuple(counts), most=3) == found


def test_what_does_not_fit_is_refused(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="as many"):
        chosen(module, [b"word"], [])
    with pytest.raises(ValueError, match="most"):
        chosen(module, [b"word"], [(1, 1)], most=-1)


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["text"], [(1, 9)]),
        ([b"word"], [[1, 9]]),
        ([b"word"], [(1, 9, 9)]),
        ([b"word"], [(1.0, 9)]),
        ((b"word",), [(1, 9)]),
    ],
)
def test_other_types_are_refused(words: Any, counts: Any) -> None:
    with pytest.raises(TypeError):
        chosen(compiled, words, counts)


def test_counts_that_no_filter_has_are_refused() -> None:
    with pytest.raises(OverflowError):
        chosen(compiled, [b"word"], [(1 << 70, 1)])
