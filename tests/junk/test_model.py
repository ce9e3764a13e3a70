"""Training as changes of counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import JUNK_COUNT
from mox.junk.memory import MemoryCounts
from mox.junk.model import (
    TOTALS,
    Count,
    Delta,
    add,
    needs_training,
    retrain,
    train,
    untrain,
    wanted,
)

WORDS = {b"one", b"two"}
states = st.sampled_from([None, True, False])


def test_training_counts_each_word_once_and_the_message() -> None:
    delta = train(WORDS, junk=True)
    assert delta == Delta(words=(b"one", b"two"), ham=0, spam=1)
    assert delta.keys == (TOTALS, b"one", b"two") == tuple(sorted(delta.keys))
    assert untrain(WORDS, junk=False) == Delta(words=(b"one", b"two"), ham=-1, spam=0)


@pytest.mark.parametrize(
    ("junk", "notjunk", "expected"),
    [(False, False, None), (True, False, True), (False, True, False), (True, True, None)],
)
def test_flags_say_what_is_wanted(junk: bool, notjunk: bool, expected: bool | None) -> None:
    assert wanted(junk=junk, notjunk=notjunk) is expected


def test_flag_changes_train_and_untrain() -> None:
    counts = MemoryCounts()
    trained: bool | None = None
    seen = []
    # $Junk, the same again, both, $NotJunk alone, expunged
    for junk, notjunk in ((1, 0), (1, 0), (1, 1), (0, 1), (1, 0), (0, 0)):
        want = wanted(junk=bool(junk), notjunk=bool(notjunk))
        delta = retrain(WORDS, trained, want)
        assert (delta is not None) is needs_training(trained, want)
        if delta is not None:
            assert counts.apply(delta) == 0
        trained = want
        seen.append(counts.totals())
    assert seen == [(0, 1), (0, 1), (0, 0), (1, 0), (0, 1), (0, 0)]
    assert counts.rows == {}


@given(states, states)
def test_retraining_is_forgetting_and_learning(trained: bool | None, want: bool | None) -> None:
    at_once, in_steps = MemoryCounts(), MemoryCounts()
    for counts in (at_once, in_steps):
        counts.apply(train(WORDS | {b"other"}, junk=True))
        counts.apply(train(WORDS, junk=False))
        if trained is not None:
            counts.apply(train(WORDS, junk=trained))
    delta = retrain(WORDS, trained, want)
    if delta is not None:
        at_once.apply(delta)
    if trained is not None:
        in_steps.apply(untrain(WORDS, junk=trained))
    if want is not None:
        in_steps.apply(train(WORDS, junk=want))
    assert at_once.rows == in_steps.rows


def test_counts_do_not_fall_below_zero_and_that_is_told() -> None:
    counts = MemoryCounts()
    counts.apply(train([b"one"], junk=False))
    # two was never known: nothing to be missed
    assert counts.apply(untrain(WORDS, junk=True)) == 2
    assert counts.rows == {TOTALS: Count(1, 0), b"one": Count(1, 0)}
    assert add(None, untrain(WORDS, junk=True)).is_empty


def test_counts_fit_into_32_bits() -> None:
    added = add(Count(JUNK_COUNT, 0), train(WORDS, junk=False))
    assert added.after == Count(JUNK_COUNT, 0)
    assert not added.fell_short
    assert not added.is_empty


@given(st.lists(st.tuples(st.sets(st.sampled_from([b"aaa", b"bbb", b"ccc"])), st.booleans())))
def test_a_retrained_table_is_that_of_its_history(messages: list[tuple[set[bytes], bool]]) -> None:
    by_history, from_nothing = MemoryCounts(), MemoryCounts()
    for words, junk in messages:  # first all the wrong way
        by_history.apply(train(words, junk=not junk))
    for words, junk in messages:
        delta = retrain(words, not junk, junk)
        assert delta is not None
        by_history.apply(delta)
        from_nothing.apply(train(words, junk=junk))
    assert by_history.rows == from_nothing.rows
