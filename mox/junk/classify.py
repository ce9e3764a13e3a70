"""How likely a message is junk, by its words, and which of them said so.

Which words say most, and how much: ``mox._speedups.reference.scores``.
Source  naive Bayes with the few words that say most, after Graham and Robinson.
"""

import math
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import msgspec

from mox._speedups import strongest
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


def classify(words: Collection[bytes], counts: Counts, parameters: Parameters) -> Classification:
    """The probability from the features of a message.    Blocks where counting does."""
    listed = list(words)
    return weigh(listed, counts.totals(), counts.get_many(listed), parameters)


def weigh(
    words: list[bytes], totals: Count, counts: Sequence[Count | None], parameters: Parameters
) -> Classification:
    """The same with what is known of each word at hand.    Cost: about 0.02 us for each."""
    ham, spam = strongest(
        words,
        counts,
        *totals,
        parameters.top_words,
        parameters.max_power,
        parameters.ignore_words,
        parameters.rare_words,
    )
    return Classification(
        probability=_probability([score for _, score, _, _ in ham + spam]),
        significant=totals.ham >= SIGNIFICANT_HAM,
        ham=tuple(map(ScoredWord._make, ham)),
        spam=tuple(map(ScoredWord._make, spam)),
    )


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
