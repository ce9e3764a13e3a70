"""``Knowledge`` over the store.

What blocks runs in the reader threads of the account's shard.  Short reads of the index do not: they keep
the GIL, so that a thread spares the event loop nothing, and handing over costs more than they do.  Where
such a read was slow, which is where it came from the disk, the next ones run in threads after all.
Decision 0023.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from mox.base.clock import Clock, SystemClock
from mox.junk.model import Count, Counts
from mox.junk.reputation import History, Sender
from mox.store.account import Account
from mox.store.rates import Limits
from mox.store.subjectpasskeys import key_for
from mox.store.votes import read_history
from mox.store.words import read_counts

T = TypeVar("T")

SLOW_S: Final = (
    0.002  # ten times what fifteen reads from memory take (benchmarks: bench_reputation)
)
AFTER_SLOW: Final = 100  # reads in threads


class StoreKnowledge:
    """For all accounts."""

    __slots__ = ("_clock", "_in_threads", "_limits")

    def __init__(self, limits: Limits, *, clock: Clock | None = None) -> None:
        self._limits = limits
        self._clock = clock or SystemClock()
        self._in_threads = 0  # so many of the next reads of history

    async def rate_exceeded(
        self, account: Account, sender: Sender, size: int, now_ms: int
    ) -> str | None:
        """As ``Knowledge``."""
        return await account.shard.rates.exceeded(
            account, sender.ip1, sender.ip2, sender.ip3, size, now_ms, self._limits
        )

    async def count(self, account: Account, sender: Sender, size: int, now_ms: int) -> None:
        """As ``Knowledge``."""
        await account.shard.rates.count(account, sender.ip1, sender.ip2, sender.ip3, size, now_ms)

    async def by_history(self, account: Account, mailbox: str, read: Callable[[History], T]) -> T:
        """As ``Knowledge``."""
        history = read_history(account, mailbox)
        if self._in_threads:
            self._in_threads -= 1
            return await account.shard.in_thread(partial(history.at_once, read))
        began = self._clock.monotonic_s()
        try:
            return history.at_once(read)
        finally:
            if self._clock.monotonic_s() - began > SLOW_S:
                self._in_threads = AFTER_SLOW

    async def counted(
        self, account: Account, words: list[bytes]
    ) -> tuple[Count, Sequence[Count | None]]:
        """As ``Knowledge``."""
        counts = read_counts(account)
        found = counts.known(words)
        return await account.shard.in_thread(counts.read, words) if found is None else found

    def counts(self, account: Account) -> Counts:
        """As ``Knowledge``."""
        return read_counts(account)

    async def in_thread(self, account: Account, call: Callable[[], T]) -> T:
        """As ``Knowledge``."""
        return await account.shard.in_thread(call)

    async def pass_key(self, account: Account, address: str) -> str:
        """As ``Knowledge``."""
        return (await key_for(account, address)).decode("ascii")
