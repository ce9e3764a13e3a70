"""Counts of words → those that say most about a message: the plain twin of ``scores.pyx``.

The score of a word is its share of junk, 0 .. 1, were there as much ham as junk.  It stays within
``max_power`` of the ends; of a word seen in at most ``rare`` messages it is pulled towards 0.5, by a
tenth of the way for each message that is missing.  What is closer to 0.5 than ``ignored`` says nothing.
"""

import heapq
from collections.abc import Iterable, Sequence

Scored = tuple[bytes, float, int, int]


def _score(
    count: tuple[int, int],
    totals: tuple[int, int],
    max_power: float,
    ignored: float,
    rare: int,
) -> float | None:
    in_ham, in_spam = (one / of if of else 0.0 for one, of in zip(count, totals, strict=True))
    if not in_spam and not in_ham:
        return None
    score = in_spam / (in_spam + in_ham)
    score = min(max(score, max_power), 1 - max_power)
    seen = sum(count)
    if seen <= rare:
        score += (1 + rare - seen) * (0.5 - score) / 10
    if score == 0.5 or abs(0.5 - score) < ignored:
        return None
    return score


def _chosen(scored: Iterable[Scored], most: int, sign: int) -> list[Scored]:
    """Of words with one score the longer go first, then the lesser ones."""
    return heapq.nsmallest(most, scored, key=lambda one: (sign * one[1], -len(one[0]), one[0]))


def strongest(
    words: list[bytes],
    counts: Sequence[tuple[int, int] | None],
    ham: int,
    spam: int,
    most: int,
    max_power: float,
    ignored: float,
    rare: int,
) -> tuple[list[Scored], list[Scored]]:
    """The words that say most, and how much.

    Input   counts: of each word (ham, spam), or None for one that is not known.  ham, spam: messages
            trained.  most: words of either kind.  max_power, ignored, rare: as ``Parameters``.
    Output  the words for ham, the words for spam: (word, score, ham, spam), strongest first.
    """
    if len(counts) != len(words):
        raise ValueError("as many counts as words")
    if most < 0:
        raise ValueError("most below 0")
    scored: list[Scored] = []
    for word, count in zip(words, counts, strict=True):
        score = None if count is None else _score(count, (ham, spam), max_power, ignored, rare)
        if count is not None and score is not None:
            scored.append((word, score, *count))
    return (
        _chosen((one for one in scored if one[1] <= 0.5), most, 1),
        _chosen((one for one in scored if one[1] > 0.5), most, -1),
    )
