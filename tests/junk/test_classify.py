"""Probability from counts: the worked table, clamps, ties, limits, and learning."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.junk.classify import (
    Classification,
    ScoredWord,
    classify,
    classify_message,
    describe_words,
)
from mox.junk.memory import MemoryCounts
from mox.junk.model import TOTALS, Count, train, untrain
from mox.junk.parameters import Parameters
from mox.junk.words import message_words
from mox.message import mime

TOTAL = Count(100, 80)
TABLE = {
    b"meeting": (Count(30, 1), 0.04),
    b"agenda": (Count(12, 0), 0.01),
    b"viagra": (Count(0, 40), 0.99),
    b"offer": (Count(10, 30), 0.789474),
    b"hello": (Count(50, 45), None),
    b"unicorn": (Count(0, 1), 0.892),
    b"lottery": (Count(0, 2), 0.941),
}
HAM = b"From: friend@example.org\r\nSubject: lunch meeting\r\n\r\nShall we have lunch on Tuesday?"
SPAM = b"From: shop@example.net\r\nSubject: cheap pills\r\n\r\nBuy pills, cheap and safe, order now"


def counts_of(rows: dict[bytes, Count], totals: Count = TOTAL) -> MemoryCounts:
    counts = MemoryCounts()
    counts.rows = {TOTALS: totals, **rows}
    return counts


TABLE_COUNTS = counts_of({word: count for word, (count, _) in TABLE.items()})


def score_of(count: Count, totals: Count) -> float | None:
    """Of a word with these counts; None where it is not used."""
    found = classify([b"word"], counts_of({b"word": count}, totals), Parameters())
    used = found.ham + found.spam
    return used[0].score if used else None


@pytest.mark.parametrize("word", TABLE)
def test_scores_of_the_table(word: bytes) -> None:
    count, expected = TABLE[word]
    found = score_of(count, TOTAL)
    assert found is None if expected is None else found == pytest.approx(expected, abs=1e-6)


def test_probability_of_the_table() -> None:
    found = classify([*TABLE, b"unknown"], TABLE_COUNTS, Parameters())
    assert found.probability == pytest.approx(0.9536662270460311, abs=1e-12)
    assert [one.word for one in found.ham] == [b"agenda", b"meeting"]
    assert [one.word for one in found.spam] == [b"viagra", b"lottery", b"unicorn", b"offer"]
    assert found.spam[1].score == pytest.approx(0.941)
    assert found.spam[1][2:] == (0, 2)
    assert found.significant


def test_top_words_of_either_kind_are_used() -> None:
    found = classify(list(TABLE), TABLE_COUNTS, Parameters(top_words=1))
    assert found.probability == pytest.approx(0.5, abs=1e-12)
    assert ([one.word for one in found.ham], [one.word for one in found.spam]) == (
        [b"agenda"],
        [b"viagra"],
    )


def test_without_known_words_nothing_is_known() -> None:
    assert classify([], TABLE_COUNTS, Parameters()).probability == 0.5
    assert classify([b"unknown", b"hello"], TABLE_COUNTS, Parameters()).probability == 0.5
    assert classify([b"unknown"], MemoryCounts(), Parameters()) == Classification(
        probability=0.5, significant=False
    )


@pytest.mark.parametrize(
    ("count", "totals", "expected"),
    [
        (Count(0, 5), Count(0, 10), 0.99),  # no ham trained
        (Count(5, 0), Count(10, 0), 0.01),
        (Count(5, 5), Count(0, 0), None),
        (Count(0, 0), Count(10, 10), None),
        (Count(0, 1), Count(9, 9), 0.99 - 2 * 0.049),
        (Count(0, 2), Count(9, 9), 0.99 - 0.049),
        (Count(0, 3), Count(9, 9), 0.99),
        (Count(4, 6), Count(10, 10), None),  # nearer to 0.5 than ignore_words, by rounding
        (Count(39, 61), Count(100, 100), 0.61),
    ],
)
def test_edges_of_scores(count: Count, totals: Count, expected: float | None) -> None:
    found = score_of(count, totals)
    assert found is None if expected is None else found == pytest.approx(expected, abs=1e-9)


def test_of_equal_scores_the_longer_word_goes_first_then_the_lesser() -> None:
    words = [b"aaa", b"ccc", b"bbb", b"longest", b"longer", b"abc"]
    # different counts with one score: both are clamped
    rows = {word: Count(0, 20 + len(word)) for word in words}
    found = classify(words, counts_of(rows), Parameters(top_words=4))
    assert [one.word for one in found.spam] == [b"longest", b"longer", b"aaa", b"abc"]
    found = classify(words[::-1], counts_of(rows), Parameters(top_words=4))
    assert [one.word for one in found.spam] == [b"longest", b"longer", b"aaa", b"abc"]


def test_fifty_hams_make_it_significant() -> None:
    for ham, significant in ((49, False), (50, True)):
        found = classify([], counts_of({}, Count(ham, 1)), Parameters())
        assert found.significant is significant


def test_many_strong_words_do_not_overflow() -> None:
    words = [b"word%d" % number for number in range(1000)]
    parameters = Parameters(max_power=1e-9, top_words=1000)
    spam = classify(words, counts_of(dict.fromkeys(words, Count(0, 9))), parameters)
    ham = classify(words, counts_of(dict.fromkeys(words, Count(9, 0))), parameters)
    assert (spam.probability, ham.probability) == (1.0, 0.0)


@given(
    st.dictionaries(
        st.binary(min_size=3, max_size=6), st.builds(Count, st.integers(0, 60), st.integers(0, 60))
    ),
    st.integers(1, 5),
)
def test_it_is_the_formula(rows: dict[bytes, Count], top: int) -> None:
    """Against the rules written down one after the other."""
    parameters = Parameters(top_words=top)
    totals = Count(60, 60)
    scored = []
    for word, (ham, spam) in rows.items():
        if ham == spam == 0:
            continue
        r = (spam / 60) / (spam / 60 + ham / 60)
        r = 0.01 if r < 0.01 else min(0.99, r)
        if ham + spam <= 2:
            r += (3 - ham - spam) * (0.5 - r) / 10
        if abs(0.5 - r) >= 0.1:
            scored.append((r, -len(word), word))
    ham_used = sorted(one for one in scored if one[0] < 0.5)[:top]
    spam_used = sorted((-r, size, word) for r, size, word in scored if r > 0.5)[:top]
    used = [r for r, _, _ in ham_used] + [-r for r, _, _ in spam_used]
    eta = sum(math.log(1 - r) - math.log(r) for r in used)
    found = classify(list(rows), counts_of(rows, totals), parameters)
    assert found.probability == pytest.approx(1 / (1 + math.exp(eta)), abs=1e-9)
    assert [one.word for one in found.ham] == [word for _, _, word in ham_used]
    assert [one.word for one in found.spam] == [word for _, _, word in spam_used]


@pytest.mark.parametrize(
    "kinds",
    [{"onegrams": True}, {"onegrams": False, "twograms": True}, {"threegrams": True}],
    ids=str,
)
def test_it_learns_and_forgets(kinds: dict[str, bool]) -> None:
    parameters = Parameters(max_power=0.1, rare_words=1, **kinds)
    counts = MemoryCounts()

    def probability(message: bytes) -> float:
        return classify_message(message, mime.parse(message), counts, parameters).probability

    features = {
        message: message_words(message, mime.parse(message), parameters.grams)
        for message in (HAM, SPAM)
    }
    for _ in range(2):
        assert counts.apply(train(features[HAM], junk=False)) == 0
        assert counts.apply(train(features[SPAM], junk=True)) == 0
    assert counts.totals() == Count(2, 2)
    assert probability(HAM) <= 0.1
    assert probability(SPAM) >= 0.9
    for _ in range(2):
        counts.apply(untrain(features[HAM], junk=False))
        counts.apply(untrain(features[SPAM], junk=True))
    assert counts.rows == {}
    assert probability(HAM) == probability(SPAM) == 0.5


@pytest.mark.rfc("2045 §5.1")
def test_a_broken_content_type_is_enough_where_we_are_pedantic() -> None:
    message = b"Content-Type: text plain\r\n\r\nagenda"
    part = mime.parse(message)
    found = classify_message(message, part, TABLE_COUNTS, Parameters(), pedantic=True)
    assert (found.probability, found.significant) == (1, True)
    lenient = classify_message(message, part, TABLE_COUNTS, Parameters())
    assert lenient.probability < 1
    fine = b"\r\nagenda"
    found = classify_message(fine, mime.parse(fine), TABLE_COUNTS, Parameters(), pedantic=True)
    assert found.probability == pytest.approx(0.01)


def test_words_are_described() -> None:
    used = (ScoredWord(b"Subject:pills", 0.99, 0, 9), ScoredWord("für".encode(), 0.8123, 1, 9))
    assert describe_words(used, utf8=True) == "Subject:pills 0.990, für 0.812"
    assert describe_words(used, utf8=False) == "Subject:pills 0.990, 1 not shown"
    assert describe_words((), utf8=False) == ""


@pytest.mark.parametrize(
    "bad",
    [
        {"onegrams": False},
        {"threshold": 1.1},
        {"max_power": 0},
        {"max_power": 0.5},
        {"top_words": 0},
        {"ignore_words": 0.5},
        {"rare_words": 11},
    ],
)
def test_parameters_without_sense_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"grams|outside|below"):
        Parameters(**bad)  # type: ignore[arg-type]


def test_parameters_of_new_accounts() -> None:
    found = Parameters()
    assert (found.threshold, found.max_power, found.top_words) == (0.95, 0.01, 10)
    assert (found.ignore_words, found.rare_words, found.grams) == (0.1, 2, 1)
    assert Parameters(onegrams=False, twograms=True, threegrams=True).grams == 6
