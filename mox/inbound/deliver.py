"""Per recipient: trace fields, then into the mailbox.    The last step before the final 250."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from mox.config.live import AliasTarget, Target
from mox.inbound import trace
from mox.inbound.receive import Received
from mox.smtp.address import Address
from mox.smtp.params import Notify
from mox.store.blobs.base import SpoolFile
from mox.store.content import NewMessage
from mox.store.layout.rows import Facts

AT_ONCE: Final = 8  # copies being stored at one time; each may hold a message in memory


class Deliverer(Protocol):
    """The store, as far as delivery needs it."""

    async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
        """Store a message; the mailbox is made when it is missing.

        Returns once the message is on disk.  Spooled content is consumed in every case.
        Errors  those of the store.
        """
        ...


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted recipient.    ``target`` is None when nobody has the address."""

    address: Address
    target: Target | AliasTarget | None
    notify: frozenset[Notify] = frozenset()  # RFC 3461 §4.1; empty: nothing was said
    orcpt: str = ""  # RFC 3461 §4.2, as written


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message, where it came from and to whom it goes."""

    arrival: trace.Arrival
    sender: Address
    recipients: Sequence[Recipient]
    received: Received
    added_fields: bytes = b""  # Message-Id, Date of a submission
    message_id: str = ""


async def deliver(deliverer: Deliverer, delivery: Delivery) -> list[Exception | None]:
    """Store a copy for each recipient; the failure of each, None for success.

    Returns once every stored copy is on disk.  Every recipient must have a target.  The content is
    consumed.
    Errors  OSError before anything was stored.
    """
    room = asyncio.Semaphore(AT_ONCE)
    original = delivery.received.content
    copies = _copies(original, len(delivery.recipients))

    async def one(recipient: Recipient, content: bytes | SpoolFile) -> Exception | None:
        target = recipient.target
        assert isinstance(target, Target)
        async with room:
            try:
                message = _message(delivery, recipient, content)
                await deliverer.deliver(target.account, target.mailbox, message)
            except Exception as e:
                return e
            return None

    try:
        if isinstance(original, SpoolFile):
            await asyncio.to_thread(_link, original, copies)
        pairs = zip(delivery.recipients, copies, strict=True)
        return await asyncio.gather(*(one(*pair) for pair in pairs))
    finally:
        # Whatever was taken is gone from here already.
        for content in (original, *copies):
            remove(content)


def remove(content: bytes | SpoolFile) -> None:
    """Remove a spooled content that nobody took."""
    if isinstance(content, SpoolFile):
        content.path.unlink(missing_ok=True)


def prefix_for(delivery: Delivery, recipient: Recipient) -> bytes:
    """The fields that go before the content, newest first."""
    arrival = delivery.arrival
    single = recipient.address if len(delivery.recipients) == 1 else None
    fields = [
        trace.delivered_to(arrival, recipient.address),
        trace.return_path(arrival, delivery.sender),
    ]
    if arrival.authenticated:
        fields.append(trace.submitted_by(arrival, delivery.sender))
    fields += [trace.received(arrival, single), delivery.added_fields]
    if delivery.received.lacks_separator:
        fields.append(b"\r\n")
    return b"".join(fields)


def _message(delivery: Delivery, recipient: Recipient, content: bytes | SpoolFile) -> NewMessage:
    arrival = delivery.arrival
    prefix = prefix_for(delivery, recipient)
    return NewMessage(
        content=content,
        prefix=prefix,
        received_ms=arrival.received_ms,
        facts=Facts(
            prefix_length=len(prefix),
            message_id=delivery.message_id,
            mail_from=delivery.sender.unicode(),
            rcpt_to=recipient.address.unicode(),
            remote_ip=arrival.remote_ip,
            helo=arrival.hello,
        ),
    )


def _copies(content: bytes | SpoolFile, count: int) -> list[bytes | SpoolFile]:
    """A content of its own for each recipient: files are consumed one by one."""
    if isinstance(content, bytes):
        return [content] * count
    folder = content.path.parent
    return [
        SpoolFile(path=folder / f"spool-{secrets.token_hex(8)}", size=content.size, crc=content.crc)
        for _ in range(count)
    ]


def _link(original: SpoolFile, copies: list[bytes | SpoolFile]) -> None:
    """Second names for a spooled file, not second files.    Blocks.    Errors: OSError."""
    for copy in copies:
        assert isinstance(copy, SpoolFile)
        os.link(original.path, copy.path)
