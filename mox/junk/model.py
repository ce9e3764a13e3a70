"""What a filter has learned: in how many ham and spam messages each word was.

Counts are read through the protocol ``Counts`` and changed by a ``Delta``, which whoever stores them
adds to its rows.  The totals are a row like any other, under ``TOTALS``, which is no word: words have
more than 2 bytes.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from mox.base.limits import JUNK_COUNT

TOTALS: Final = b"-"
"""The key of the numbers of messages trained, beside the words."""


class Count(NamedTuple):
    """Messages, of one word or of all."""

    ham: int = 0
    spam: int = 0


class Counts(Protocol):
    """The counts of one account."""

    def totals(self) -> Count:
        """Messages trained."""
        ...

    def get_many(self, words: Sequence[bytes]) -> Sequence[Count | None]:
        """The count of each word, in the order asked; None for unknown words."""
        ...


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """A change of counts: the same for each of the words, and for the totals."""

    words: tuple[bytes, ...]  # ascending, without TOTALS
    ham: int
    spam: int

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All rows it changes, ascending."""
        return (TOTALS, *self.words)  # no word begins with "-"


class Added(NamedTuple):
    """A count after a change; one without messages is a row to be deleted."""

    after: Count
    fell_short: bool  # more was taken away than there was: to be logged

    @property
    def is_empty(self) -> bool:
        """Nothing left."""
        return self.after == Count()


def train(words: Iterable[bytes], *, junk: bool) -> Delta:
    """Learn the words of a message."""
    return Delta(words=tuple(sorted(words)), ham=int(not junk), spam=int(junk))


def untrain(words: Iterable[bytes], *, junk: bool) -> Delta:
    """Forget the words of a message that was trained so."""
    return Delta(words=tuple(sorted(words)), ham=-int(not junk), spam=-int(junk))


def wanted(*, junk: bool, notjunk: bool) -> bool | None:
    """What the filter should hold of a message with these flags: is it junk; None for nothing."""
    return None if junk == notjunk else junk


def retrain(words: Collection[bytes], trained: bool | None, want: bool | None) -> Delta | None:
    """From what the filter holds of a message to what it should; None where nothing changes.

    Input   ``trained``, ``want``: as ``wanted`` tells; None for not trained.
    """
    if trained is want:
        return None
    ham = (want is False) - (trained is False)
    spam = (want is True) - (trained is True)
    return Delta(words=tuple(sorted(words)), ham=ham, spam=spam)


def needs_training(trained: bool | None, want: bool | None) -> bool:
    """Tell before a message is read whether its words are needed."""
    return trained is not want


def add(count: Count | None, delta: Delta) -> Added:
    """Add a change to a row; counts stay within 0 .. limits.JUNK_COUNT.

    A word that is not there is not missed when it is taken away.
    """
    before = count or Count()
    ham, spam = before.ham + delta.ham, before.spam + delta.spam
    after = Count(min(max(ham, 0), JUNK_COUNT), min(max(spam, 0), JUNK_COUNT))
    return Added(after, count is not None and (ham < 0 or spam < 0))
