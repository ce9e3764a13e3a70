"""How many deliveries go to a domain at one time, learned from how it answers: pure.

A domain begins with a few.  Each success opens the window a little, up to a limit; a reply that asks
for less halves it and is followed by a pause; when nothing answers at all, one delivery at a time
tries, with growing pauses.  So a domain that is slow, down or rationing costs little, whatever waits
for it, and the attempts of what waits are not used up.
"""

from enum import Enum, auto
from typing import Final

from mox.base.limits import (
    QUEUE_DOMAIN_MAX,
    QUEUE_DOMAIN_START,
    QUEUE_PAUSE_MAX_S,
    QUEUE_PAUSE_START_S,
)
from mox.queue.carry import Carried, Result

_UNREACHED_FREE: Final = 3  # attempts in a row that met nobody before there is a pause


class Answer(Enum):
    """What a delivery says about its destination as a whole."""

    GOOD = auto()  # it answers; what it refused, it refused for its own reasons
    SLOW_DOWN = auto()  # it asks for less
    SILENT = auto()  # nobody answered


def read_answer(carried: Carried) -> Answer:
    """The answer of the outcomes of a delivery."""
    outcomes = carried.outcomes
    if any(outcome.result is Result.DELIVERED for outcome in outcomes):
        return Answer.GOOD
    if not carried.reached:
        return Answer.SILENT
    if any(_asks_for_less(outcome.code, outcome.enhanced) for outcome in outcomes):
        return Answer.SLOW_DOWN
    return Answer.GOOD


def _asks_for_less(code: int, enhanced: str) -> bool:
    # RFC 5321 §3.8: 421 closes the channel.  RFC 3463 §3.4, §3.5, §3.8: 4.3.2 not accepting now, 4.4.5
    # congestion, 4.7.x policy, which large receivers use for rates.
    return code == 421 or (
        400 <= code < 500 and (enhanced in ("4.3.2", "4.4.5") or enhanced.startswith("4.7."))
    )


class Pace:
    """Of one domain."""

    __slots__ = ("_pause_s", "_unreached", "not_before_ms", "running", "window")

    def __init__(self) -> None:
        self.window: float = QUEUE_DOMAIN_START
        self.running = 0
        self.not_before_ms = 0
        self._pause_s: float = 0
        self._unreached = 0

    def room(self) -> int:
        """How many more deliveries may begin, once there is no pause."""
        return max(0, int(self.window) - self.running)

    def began(self) -> None:
        """A delivery began."""
        self.running += 1

    def ended(self, answer: Answer, now_ms: int) -> None:
        """A delivery ended."""
        self.running -= 1
        match answer:
            case Answer.GOOD:
                self.window = min(QUEUE_DOMAIN_MAX, self.window + 1 / self.window)
                self._pause_s = 0
                self._unreached = 0
            case Answer.SLOW_DOWN:
                # The others that are running will say the same: once is enough.
                if now_ms >= self.not_before_ms:
                    self.window = max(1, self.window / 2)
                    self._pause(now_ms)
            case Answer.SILENT:
                self._unreached += 1
                if self._unreached >= _UNREACHED_FREE and now_ms >= self.not_before_ms:
                    self.window = 1
                    self._pause(now_ms)

    def _pause(self, now_ms: int) -> None:
        self._pause_s = min(QUEUE_PAUSE_MAX_S, self._pause_s * 2 or QUEUE_PAUSE_START_S)
        self.not_before_ms = now_ms + round(self._pause_s * 1000)
