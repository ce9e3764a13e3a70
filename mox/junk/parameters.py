"""How a junk filter is set.    One block per account; no block, no filter."""

import msgspec

from mox._speedups import WORDS_ONE, WORDS_THREE, WORDS_TWO

_RARE_MAX = 10  # above it the adjustment of rare words would turn ham into spam


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one filter; the defaults are those of new accounts.

    Errors  ValueError for a value that makes no sense, and where no kind of runs is on: every
            message would score 0.5.  ``onegrams``, ``twograms`` and ``threegrams`` must be those the
            filter was trained with.
    """

    threshold: float = 0.95  # reject above this probability
    onegrams: bool = True
    twograms: bool = False
    threegrams: bool = False
    max_power: float = 0.01  # a word's score stays within max_power .. 1 - max_power
    top_words: int = 10  # words used of either kind
    ignore_words: float = 0.1  # words whose score is closer to 0.5 are not used
    rare_words: int = 2  # words seen in at most so many messages are pulled towards 0.5

    def __post_init__(self) -> None:
        if not (self.onegrams or self.twograms or self.threegrams):
            raise ValueError("a junk filter needs onegrams, twograms or threegrams")
        if not 0 <= self.threshold <= 1:
            raise ValueError("threshold outside of 0 .. 1")
        if not 0 < self.max_power < 0.5:
            raise ValueError("max_power outside of 0 .. 0.5")
        if self.top_words < 1:
            raise ValueError("top_words below 1")
        if not 0 <= self.ignore_words < 0.5:
            raise ValueError("ignore_words outside of 0 .. 0.5")
        if not 0 <= self.rare_words <= _RARE_MAX:
            raise ValueError(f"rare_words outside of 0 .. {_RARE_MAX}")

    @property
    def grams(self) -> int:
        """The kinds of runs as ``words`` takes them."""
        return WORDS_ONE * self.onegrams + WORDS_TWO * self.twograms + WORDS_THREE * self.threegrams
