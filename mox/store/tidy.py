"""What is kept for a while only is removed: records of decisions, counts of rates, marks of rejects.

Each account is looked at when it is opened, then at most once an hour while mail comes, and when its
records have become too many.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from mox.base.limits import VERDICT_BYTES, VERDICT_DAYS
from mox.base.log import get_logger
from mox.store import rejects, verdicts
from mox.store.errors import AccountMissing, StoreStopped

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.shard import Shard

log = get_logger("store")

INTERVAL_MS = 60 * 60 * 1000


class Tidier:
    """One task of a shard.    ``verdict_days``, ``verdict_bytes``: set by whoever knows the configuration."""

    def __init__(self, shard: "Shard") -> None:
        self.verdict_days = VERDICT_DAYS
        self.verdict_bytes = VERDICT_BYTES  # of one account
        self._shard = shard
        self._waiting: deque[Account] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="tidier")

    def wake(self, account: "Account") -> None:
        """Something is happening in an account; it may be due."""
        last = account.tidied_ms
        if last is None or not 0 <= self._shard.clock.now_ms() - last < INTERVAL_MS:
            self._queue(account)

    def added(self, account: "Account", size: int) -> None:
        """A record of a decision of so many bytes was added."""
        if account.verdict_bytes is not None:
            account.verdict_bytes += size
            # Not for each one beyond the limit: an eighth of it at a time.
            if account.verdict_bytes > self.verdict_bytes + self.verdict_bytes // 8:
                self._queue(account)
        self.wake(account)

    def _queue(self, account: "Account") -> None:
        if account not in self._waiting and not self._task.done():
            account.tidied_ms = self._shard.clock.now_ms()
            self._waiting.append(account)
            self._idle.clear()
            self._wake.set()

    async def idle(self) -> None:
        """Wait until nothing is left to do."""
        await self._idle.wait()

    async def close(self) -> None:
        """Finish the account at hand."""
        self._stopping = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        try:
            while not self._stopping:
                if self._waiting:
                    await self._tidy(self._waiting.popleft())
                    continue
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
        except StoreStopped:
            self._waiting.clear()
        finally:
            self._idle.set()

    async def _tidy(self, account: "Account") -> None:
        now_ms = self._shard.clock.now_ms()
        try:
            await verdicts.trim(account, now_ms, days=self.verdict_days, size=self.verdict_bytes)
            await self._shard.rates.sweep(account, now_ms)
            await rejects.sweep(account)
        except AccountMissing:
            log.debug("store.tidy_ended", account=account.name)
        except StoreStopped:
            raise
        except Exception as error:
            # What is too old stays a while longer.
            log.error("store.tidy_failed", error, account=account.name)
