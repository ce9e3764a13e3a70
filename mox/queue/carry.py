"""What the queue asks of those who carry mail out, and what they answer.

The queue decides when an entry is tried and what its outcome means; ``Carry`` finds hosts and speaks
SMTP.  ``Returns`` puts a notification into the sender's mailbox.  Both are filled by higher floors.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from mox.queue.entry import Entry, HostTry, Notice


class Content(Protocol):
    """The bytes of a message, read as often as it is sent."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes in order, in pieces of bounded size.    Errors: DataDamaged, OSError."""
        ...


class Result(StrEnum):
    """What became of one recipient in one attempt."""

    DELIVERED = "delivered"  # the next hop took the responsibility
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one entry of a delivery."""

    entry_id: int
    result: Result
    code: int = 0  # of the SMTP reply that decided; 0 where none did
    enhanced: str = ""
    error: str = ""  # one sentence for people; empty after success
    lines: tuple[str, ...] = ()  # that reply, line by line, with its codes
    remote_host: str = ""  # who said so
    remote_ip: str = ""
    passed_dsn: bool = False  # the next hop takes over what NOTIFY asks (RFC 3461 §5.2.1)


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """Results, and how they came about.

    ``reached``: some server answered; without one the destination as a whole may be down.
    ``dialed``: addresses connected to, by host, in order; added to those of the entries.
    """

    outcomes: tuple[Outcome, ...] = ()
    tries: tuple[HostTry, ...] = ()
    dialed: dict[str, tuple[str, ...]] = {}
    reached: bool = True


Settle = Callable[[Carried], Awaitable[None]]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work: recipients of one domain that get the same bytes.

    The entries have equal sender, transport, require_tls and number of attempts, of which the
    present one is already counted and on disk.  ``settle`` makes results durable before it returns; to
    be called after each transaction, so that a crash repeats only the one in flight.
    """

    entries: tuple[Entry, ...]
    content: Content
    content_utf8: Content | None  # to be sent instead where 8BITMIME and SMTPUTF8 are offered
    settle: Settle

    @property
    def domain(self) -> str:
        """The recipients' domain, A-labels or an address literal."""
        return self.entries[0].recipient_domain


class Carry(Protocol):
    """Tries to deliver."""

    async def carry(self, delivery: Delivery) -> Carried:
        """One attempt.    Output: what was not settled yet; an entry nobody names failed for now.

        Errors  Any: then the unsettled entries failed for now, and the error is logged.
        """
        ...


class Returns(Protocol):
    """Delivers notifications to senders, who are all local."""

    async def deliver(self, notice: Notice, message: bytes) -> None:
        """Put it into the Inbox of the sender's account, durably (section 8 says where else).

        Errors  Any: it is tried again later.
        """
        ...
