"""``Knowledge`` over the store."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from mox.junk.model import Counts
from mox.junk.reputation import History, Sender
from mox.store.account import Account
from mox.store.rates import Limits
from mox.store.subjectpasskeys import key_for
from mox.store.votes import read_history
from mox.store.words import read_counts

T = TypeVar("T")


class StoreKnowledge:
    """What blocks runs in the reader threads of the account's shard."""

    __slots__ = ("_limits",)

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

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
        return await account.shard.in_thread(partial(history.at_once, read))

    def counts(self, account: Account) -> Counts:
        """As ``Knowledge``."""
        return read_counts(account)

    async def in_thread(self, account: Account, call: Callable[[], T]) -> T:
        """As ``Knowledge``."""
        return await account.shard.in_thread(call)

    async def pass_key(self, account: Account, address: str) -> str:
        """As ``Knowledge``."""
        return (await key_for(account, address)).decode("ascii")
