"""The limits of what one address may do, as configured; their counts kept over a restart if wanted.

Source  spec/smtp-server.md section 2.  Counts of open connections end with the connections.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from mox.base.clock import Clock
from mox.base.files import write_atomic
from mox.base.limits import RATE_STATE_FILE, RATE_STATE_S
from mox.base.log import get_logger
from mox.base.ratelimit import Limits, OpenCounter, RateLimiter, Window, WindowState
from mox.config.static import RateLimits

log = get_logger("worker")

FILE = "rates.json"
NO_LIMITS: Limits = (1 << 30, 1 << 30, 1 << 30)


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the file.    Of another version of mox: whatever it lacks is not known."""

    connections: list[WindowState] = []
    login_failures: list[WindowState] = []


class Rates:
    """The limiters that all services of a worker share."""

    def __init__(self, clock: Clock, limits: RateLimits, *, limited: bool = True) -> None:
        """Input  limited: False where everybody is on this machine."""

        def allowed(configured: Limits) -> Limits:
            return configured if limited else NO_LIMITS

        self.connections = RateLimiter(clock, Window(60, allowed(limits.connections_per_minute)))
        self.open_connections = OpenCounter(allowed(limits.connections_open))
        self.login_failures = RateLimiter(
            clock,
            Window(60, allowed(limits.login_failures_per_minute)),
            Window(86_400, allowed(limits.login_failures_per_day)),
        )


class RateFile:
    """Keeps the counts in a file of the data folder.    A crash loses what came after the last minute."""

    def __init__(self, rates: Rates, data: Path, clock: Clock) -> None:
        self._rates = rates
        self._path = data / FILE
        self._clock = clock

    async def load(self) -> None:
        """Go on where the last process ended.    A file that cannot be used is told and left out."""
        try:
            kept = await asyncio.to_thread(self._read)
            if kept is not None:
                self._rates.connections.restore(kept.connections)
                self._rates.login_failures.restore(kept.login_failures)
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            log.warn("rates.not_loaded", file=str(self._path), error=str(error))

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Save every minute while this is open, and at its end."""
        task = asyncio.create_task(self._keep(), name="rates")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.save()

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(RATE_STATE_S)
            await self.save()

    async def save(self) -> None:
        """Write the counts of this moment.    What cannot be written is told."""
        connections = self._rates.connections.snapshot()
        login_failures = self._rates.login_failures.snapshot()

        def write() -> None:
            content = _File(
                connections=connections.states(), login_failures=login_failures.states()
            )
            write_atomic(self._path, msgspec.json.encode(content))

        try:
            await asyncio.to_thread(write)
        except OSError as error:
            log.error("rates.not_saved", error, file=str(self._path))

    def _read(self) -> _File | None:
        try:
            with self._path.open("rb") as file:
                content = file.read(RATE_STATE_FILE + 1)
        except FileNotFoundError:
            return None
        if len(content) > RATE_STATE_FILE:
            raise ValueError("the file is too large")
        return msgspec.json.decode(content, type=_File)
