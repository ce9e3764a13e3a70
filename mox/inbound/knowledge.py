"""What an account knows that judging asks for: its rates, votes, word counts and keys.

``storeknowledge.StoreKnowledge`` reads them from the store.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from mox.junk.model import Count, Counts
from mox.junk.reputation import History, Sender
from mox.store.account import Account

T = TypeVar("T")


class Knowledge(Protocol):
    """Asked for one account at a time.    Errors: those of the store."""

    async def rate_exceeded(
        self, account: Account, sender: Sender, size: int, now_ms: int
    ) -> str | None:
        """The limit that one more message from these networks is over."""
        ...

    async def count(self, account: Account, sender: Sender, size: int, now_ms: int) -> None:
        """A message came from these networks and was stored."""
        ...

    async def by_history(self, account: Account, mailbox: str, read: Callable[[History], T]) -> T:
        """What a function makes of the history of a mailbox; it may run in a thread."""
        ...

    async def counted(
        self, account: Account, words: list[bytes]
    ) -> tuple[Count, Sequence[Count | None]]:
        """Messages trained, and the count of each word, in the order asked; None for unknown words."""
        ...

    def counts(self, account: Account) -> Counts:
        """The counts of words.    Its methods block: for use in a thread."""
        ...

    async def in_thread(self, account: Account, call: Callable[[], T]) -> T:
        """Run what blocks."""
        ...

    async def pass_key(self, account: Account, address: str) -> str:
        """The key of the subject passes for a canonical address."""
        ...
