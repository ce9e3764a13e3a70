"""A junk filter on its own, for trying out what it does: trained with files, kept in files.

The counts are one file, the words seen once another (``bloom``).  No account uses them.
"""

from typing import NamedTuple

import msgspec

from mox.base.errors import Malformed
from mox.junk.bloom import SIZE, Bloom
from mox.junk.classify import Classification, classify
from mox.junk.memory import MemoryCounts
from mox.junk.model import Count, train
from mox.junk.parameters import Parameters
from mox.junk.words import message_words
from mox.message import mime
from mox.message.buffer import Buffer

_VERSION = 1


class _Stored(msgspec.Struct, array_like=True):
    version: int
    grams: int
    counts: dict[bytes, tuple[int, int]]


class Trial:
    """Word counts in memory.

    ``bloom``: with one, a word is counted from the second message on; without, from the first.
    """

    def __init__(self, parameters: Parameters, bloom: Bloom | None = None) -> None:
        self.parameters = parameters
        self.bloom = bloom
        self.counts = MemoryCounts()

    def learn(self, content: Buffer, *, junk: bool) -> None:
        """Train a message."""
        words = message_words(content, mime.parse(content), self.parameters.grams)
        if self.bloom is not None:
            words = self.bloom.seen_before(words)
        self.counts.apply(train(words, junk=junk))

    def judge(self, content: Buffer) -> Classification:
        """How likely a message is junk."""
        words = message_words(content, mime.parse(content), self.parameters.grams)
        return classify(words, self.counts, self.parameters)

    def is_junk(self, content: Buffer) -> bool:
        """Is it above the threshold?"""
        return self.judge(content).probability > self.parameters.threshold

    def encode(self) -> bytes:
        """The counts as they are kept."""
        counts = {word: (count.ham, count.spam) for word, count in self.counts.rows.items()}
        return msgspec.msgpack.encode(_Stored(_VERSION, self.parameters.grams, counts))

    def decode(self, data: bytes) -> None:
        """Take over counts that were kept.    Errors: Malformed, also where they count other runs."""
        try:
            stored = msgspec.msgpack.decode(data, type=_Stored)
        except msgspec.DecodeError as error:
            raise Malformed("these are no counts of a junk filter", cause=error) from error
        if stored.version != _VERSION:
            raise Malformed("the counts were written by another version")
        if stored.grams != self.parameters.grams:
            raise Malformed("the counts are of other runs of words; give the same --...grams")
        self.counts.rows = {word: Count(*count) for word, count in stored.counts.items()}


def empty_bloom() -> Bloom:
    """One that has seen nothing."""
    return Bloom(bytearray(SIZE))


class Score(NamedTuple):
    """What became of messages whose kind is known."""

    ham_right: int = 0
    ham_wrong: int = 0
    spam_right: int = 0
    spam_wrong: int = 0

    def add(self, *, junk: bool, judged_junk: bool) -> "Score":
        """One more message."""
        right = junk is judged_junk
        ham, spam = int(not junk), int(junk)
        return Score(
            self.ham_right + ham * right,
            self.ham_wrong + ham * (not right),
            self.spam_right + spam * right,
            self.spam_wrong + spam * (not right),
        )

    @property
    def specificity(self) -> float:
        """Share of the ham that was taken for ham; 1 where there was none."""
        return _share(self.ham_right, self.ham_wrong)

    @property
    def sensitivity(self) -> float:
        """Share of the spam that was taken for spam; 1 where there was none."""
        return _share(self.spam_right, self.spam_wrong)

    @property
    def accuracy(self) -> float:
        """Share of all messages that were taken for what they are."""
        return _share(self.ham_right + self.spam_right, self.ham_wrong + self.spam_wrong)


def _share(right: int, wrong: int) -> float:
    return right / (right + wrong) if right + wrong else 1.0
