"""When an entry is tried again, and when not any more: pure.

Source  spec/smtp-client-queue.md section 2 with section 0; RFC 5321 §4.5.4.1.

The first attempts come soon, since most trouble is short (greylisting, a restart); later ones every 12
hours until 4 days after the first one, where a last attempt is made: RFC 5321 wants mail kept for at
least that long.  With the default pauses the attempts are at

    0   7.5 min   22.5 min   52.5 min   1 h 52.5 min (then the notice of delay)   3 h 52.5 min
    7 h 52.5 min   15 h 52.5 min   27 h 52.5 min  ...  87 h 52.5 min   96 h
"""

import random
from collections.abc import Callable
from typing import Final

import msgspec

_HOUR: Final = 3600.0

Jitter = Callable[[], float]
"""A factor near 1 for a pause, so that what failed together does not come back together."""


def random_jitter() -> float:
    """445 to 454 parts of 450, as the specification has it."""
    return random.randrange(445, 455) / 450  # noqa: S311  nobody gains by guessing it


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Pauses in seconds."""

    after_s: tuple[float, ...] = (450, 900, 1800, _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR)
    every_s: float = 12 * _HOUR
    give_up_s: float = 4 * 24 * _HOUR
    delayed_after: int = 5  # the attempt whose failure the sender is told of

    def pause_s(self, attempts: int) -> float:
        """The pause after so many attempts, without jitter."""
        return self.after_s[attempts - 1] if attempts <= len(self.after_s) else self.every_s

    def next_ms(
        self, attempts: int, first_ms: int, now_ms: int, max_attempts: int = 0, factor: float = 1.0
    ) -> int | None:
        """When to try again after so many attempts; None to give up.

        Input  first_ms: the first attempt, from which the time to give up counts; factor: of Jitter.
        """
        if max_attempts and attempts >= max_attempts:
            return None
        pause_ms = round(self.pause_s(attempts) * 1000 * factor)
        if max_attempts:
            return now_ms + pause_ms
        deadline_ms = first_ms + round(self.give_up_s * 1000)
        # A last attempt right after another one would say nothing new.
        if now_ms + round(self._least_pause_s() * 1000) > deadline_ms:
            return None
        return min(now_ms + pause_ms, deadline_ms)

    def last_ms(self, attempts: int, first_ms: int, next_ms: int, max_attempts: int = 0) -> int:
        """When the last attempt will be, if all fail; ``next_ms`` is already known.

        Cost  one step for each attempt to come.
        """
        last = next_ms
        while True:
            attempts += 1
            after = self.next_ms(attempts, first_ms, last, max_attempts)
            if after is None:
                return last
            last = after

    def _least_pause_s(self) -> float:
        return min((*self.after_s[:1], self.every_s))
