"""How likely a message is junk, by its words, and which of them said so.

Source  naive Bayes with the few words that say most, after Graham and Robinson.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import msgspec

from mox.junk.model import Count, Counts
from mox.junk.parameters import Parameters
from mox.junk.words import message_words
from mox.message.buffer import Buffer
from mox.message.part import Part, walk

SIGNIFICANT_HAM: Final = 50  # ham messages trained; with fewer the result proves nothing


class ScoredWord(NamedTuple):
    """A word that was used: its score, 0 for ham to 1 for spam, and the messages it was in."""

    word: bytes
    score: float
    ham: int
    spam: int


class Classification(msgspec.Struct, frozen=True, kw_only=True):
    """The probability that a message is junk, and the words that mattered, strongest first."""

    probability: float
    significant: bool  # the filter knows enough ham
    ham: tuple[ScoredWord, ...] = ()
    spam: tuple[ScoredWord, ...] = ()


def word_score(count: Count, totals: Count, parameters: Parameters) -> float | None:
    """How much a word speaks for junk, 0 .. 1; None where it says too little to be used."""
    in_spam = count.spam / totals.spam if totals.spam else 0.0
    in_ham = count.ham / totals.ham if totals.ham else 0.0
    if not in_spam and not in_ham:
        return None
    score = in_spam / (in_spam + in_ham)
    score = min(max(score, parameters.max_power), 1 - parameters.max_power)
    seen = count.ham + count.spam
    if seen <= parameters.rare_words:
        score += (1 + parameters.rare_words - seen) * (0.5 - score) / 10
    if score == 0.5 or abs(0.5 - score) < parameters.ignore_words:
        return None
    return score


def classify(words: Collection[bytes], counts: Counts, parameters: Parameters) -> Classification:
    """The probability from the features of a message.

    Cost  one multi-get; about 0.1 us for each word.
    """
    totals = counts.totals()
    listed = list(words)
    by_count: defaultdict[Count | None, list[bytes]] = defaultdict(list)  # many share one
    for word, count in zip(listed, counts.get_many(listed), strict=True):
        by_count[count].append(word)
    by_score: defaultdict[float, list[Count]] = defaultdict(list)
    for known in by_count:
        score = None if known is None else word_score(known, totals, parameters)
        if known is not None and score is not None:
            by_score[score].append(known)
    ordered = sorted(by_score)
    ham: list[ScoredWord] = []
    for score in ordered:
        if score > 0.5 or len(ham) == parameters.top_words:
            break
        ham += _longest(score, by_score[score], by_count, parameters.top_words - len(ham))
    spam: list[ScoredWord] = []
    for score in reversed(ordered):
        if score < 0.5 or len(spam) == parameters.top_words:
            break
        spam += _longest(score, by_score[score], by_count, parameters.top_words - len(spam))
    return Classification(
        probability=_probability([used.score for used in ham + spam]),
        significant=totals.ham >= SIGNIFICANT_HAM,
        ham=tuple(ham),
        spam=tuple(spam),
    )


def _longest(
    score: float,
    counts: list[Count],
    by_count: Mapping[Count | None, list[bytes]],
    limit: int,
) -> list[ScoredWord]:
    """Of words with one score the longer go first, then the lesser ones."""
    words = [(-len(word), word, count) for count in counts for word in by_count[count]]
    return [ScoredWord(word, score, *count) for _, word, count in heapq.nsmallest(limit, words)]


def _probability(scores: list[float]) -> float:
    eta = math.fsum(math.log1p(-score) - math.log(score) for score in scores)
    if eta > 0:  # e^eta may be too large, e^-eta is not
        return math.exp(-eta) / (1 + math.exp(-eta))
    return 1 / (1 + math.exp(eta))


def classify_message(
    content: Buffer,
    message: Part,
    counts: Counts,
    parameters: Parameters,
    *,
    pedantic: bool = False,
) -> Classification:
    """The probability of a parsed message.

    ``pedantic``: a Content-Type that cannot be read is reason enough (RFC 2045 §5.1).
    """
    if pedantic and any("bad content-type" in (part.error or "") for part, _ in walk(message)):
        return Classification(probability=1.0, significant=True)
    return classify(message_words(content, message, parameters.grams), counts, parameters)


def describe_words(used: tuple[ScoredWord, ...], *, utf8: bool) -> str:
    """The words with their scores, for a header or the log; those not in ASCII only with ``utf8``.

    Safe on one line: words hold letters, digits, apostrophes, spaces and the name of a field.
    """
    shown = [f"{one.word.decode()} {one.score:.3f}" for one in used if utf8 or one.word.isascii()]
    hidden = len(used) - len(shown)
    return ", ".join([*shown, f"{hidden} not shown"] if hidden else shown)
