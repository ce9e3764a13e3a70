"""Per recipient: trace fields, then into the mailbox.    The last step before the final 250."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from mox.config.live import Target
from mox.inbound import trace
from mox.inbound.receive import Received
from mox.smtp.address import Address
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
    target: Target | None


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
    """
    room = asyncio.Semaphore(AT_ONCE)
    contents = _contents(delivery.received.content, len(delivery.recipients))

    async def one(recipient: Recipient, content: bytes | SpoolFile) -> Exception | None:
        assert recipient.target is not None
        async with room:
            try:
                if isinstance(content, SpoolFile) and content is not delivery.received.content:
                    await asyncio.to_thread(os.link, _path_of(delivery.received), content.path)
                message = _message(delivery, recipient, content)
                target = recipient.target
                await deliverer.deliver(target.account, target.mailbox, message)
            except Exception as e:  # noqa: BLE001  each failure becomes a reply
                return e
            return None

    # The first content is the original file: it goes last, the others are links to it.
    pairs = list(zip(delivery.recipients, contents, strict=True))
    try:
        failures = await asyncio.gather(*(one(*pair) for pair in pairs[1:]))
        return [await one(*pairs[0]), *failures]
    finally:
        remove(delivery.received.content)


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


def _contents(content: bytes | SpoolFile, count: int) -> list[bytes | SpoolFile]:
    if isinstance(content, bytes):
        return [content] * count
    folder = content.path.parent
    links = [
        SpoolFile(path=folder / f"spool-{secrets.token_hex(8)}", size=content.size, crc=content.crc)
        for _ in range(count - 1)
    ]
    return [content, *links]


def _path_of(received: Received) -> str:
    assert isinstance(received.content, SpoolFile)
    return str(received.content.path)
