"""The only reader of time.    Everyone else is given a ``Clock``."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, elapsed time and sleeping."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        ...


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(seconds)


class FrozenClock:
    """A clock for tests: stands still until ``advance``; ``sleep`` advances it at once and is recorded."""

    __slots__ = ("_ms", "slept")

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._ms = now_ms
        self.slept: list[float] = []

    def now_ms(self) -> int:
        """The frozen time."""
        return self._ms

    def monotonic_s(self) -> float:
        """The frozen time in seconds."""
        return self._ms / 1000

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self._ms += round(seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        """Advance the time and let other tasks run once."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)
