"""A filter to try things out with."""

import pytest

from mox.base.errors import Malformed
from mox.junk.model import Count
from mox.junk.parameters import Parameters
from mox.junk.trial import Score, Trial, empty_bloom

SPAM = b"Subject: cheap pills\r\n\r\nbuy cheap pills now\r\n"
HAM = b"Subject: meeting\r\n\r\nagenda of the meeting\r\n"


def test_it_learns_and_judges() -> None:
    trial = Trial(Parameters())
    assert trial.judge(SPAM).probability == 0.5
    for _ in range(3):
        trial.learn(SPAM, junk=True)
        trial.learn(HAM, junk=False)
    assert trial.is_junk(SPAM)
    assert not trial.is_junk(HAM)
    assert trial.counts.totals() == Count(3, 3)


def test_with_a_bloom_filter_words_count_from_the_second_message_on() -> None:
    trial = Trial(Parameters(), empty_bloom())
    trial.learn(SPAM, junk=True)
    assert trial.counts.get_many([b"cheap"]) == [None]
    trial.learn(SPAM, junk=True)
    assert trial.counts.get_many([b"cheap"]) == [Count(0, 1)]
    assert trial.counts.totals() == Count(0, 2)


def test_counts_are_kept() -> None:
    trial = Trial(Parameters())
    trial.learn(SPAM, junk=True)
    trial.learn(HAM, junk=False)
    again = Trial(Parameters(threshold=0.5))
    again.decode(trial.encode())
    assert again.counts.rows == trial.counts.rows
    assert again.judge(SPAM) == trial.judge(SPAM)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", Trial(Parameters(twograms=True)).encode(), b"\x93\x09\x01\x80"]
)
def test_other_data_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Trial(Parameters()).decode(data)


def test_scores() -> None:
    score = Score()
    assert (score.specificity, score.sensitivity, score.accuracy) == (1, 1, 1)
    for junk, judged in ((True, True), (True, False), (False, False), (False, False)):
        score = score.add(junk=junk, judged_junk=judged)
    assert score == Score(ham_right=2, spam_right=1, spam_wrong=1)
    assert (score.specificity, score.sensitivity, score.accuracy) == (1, 0.5, 0.75)
    assert score.add(junk=False, judged_junk=True).specificity == pytest.approx(2 / 3)
