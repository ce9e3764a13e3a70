"""Per recipient: trace fields, then into the mailbox.    The last step before the final 250."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from mox.base.mailboxname import normalise_mailbox_name
from mox.config.live import AliasTarget, Target
from mox.dns.name import to_unicode
from mox.inbound import posting, rulesets, trace
from mox.inbound.copies import Copies
from mox.inbound.heading import Heading
from mox.inbound.receive import Received
from mox.junk.reputation import Sender
from mox.mailauth.publicsuffix import listed
from mox.smtp.address import Address, parse_address
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

    @property
    def wants_failure(self) -> bool:
        """The sender wants to hear that it failed; without NOTIFY everybody does.    RFC 3461 §4.1."""
        return not self.notify or Notify.FAILURE in self.notify

    @property
    def wants_success(self) -> bool:
        """The sender wants to hear that it was delivered."""
        return Notify.SUCCESS in self.notify


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message, where it came from and to whom it goes."""

    arrival: trace.Arrival
    sender: Address
    recipients: Sequence[Recipient]
    received: Received
    added_fields: bytes = b""  # Message-Id, Date of a submission
    message_id: str = ""  # of a submission
    is_traced: bool = False  # how it reached us is in the content: it waited in the queue


class _Copy(msgspec.Struct, frozen=True):
    """One copy to be stored: for which recipient, to whose mailbox."""

    recipient: int  # place among the recipients
    target: Target
    is_member: bool = False  # of an alias


async def deliver(deliverer: Deliverer, delivery: Delivery) -> list[Exception | None]:
    """Store a copy for each recipient, without judging; the failure of each, None for success.

    Rulesets choose the mailbox.  Of an alias every member gets a copy, and one that does is enough.
    Returns once every stored copy is on disk.  Every recipient must have a target.  The content is
    consumed.
    """
    room = asyncio.Semaphore(AT_ONCE)
    copies = Copies(delivery.received.content)
    heading = Heading(delivery.added_fields + delivery.received.header)
    wanted, failures = _wanted(delivery, heading)
    stored: set[int] = set()

    async def one(copy: _Copy) -> None:
        async with room:
            try:
                message = _message(delivery, copy, await copies.one(), heading)
                mailbox = _mailbox(delivery, copy.target, heading, message.facts.sender)
                await deliverer.deliver(copy.target.account, mailbox, message)
                stored.add(copy.recipient)
            except Exception as e:
                failures[copy.recipient] = failures[copy.recipient] or e

    try:
        if len(wanted) == 1:
            await one(wanted[0])  # most mail: no task, no group
        else:
            async with asyncio.TaskGroup() as group:
                for copy in wanted:
                    group.create_task(one(copy))
    finally:
        await copies.close()
    return [None if at in stored else failure for at, failure in enumerate(failures)]


def _wanted(delivery: Delivery, heading: Heading) -> tuple[list[_Copy], list[Exception | None]]:
    """The copies there are to be; who must not send to an alias has failed already."""
    copies: list[_Copy] = []
    failures: list[Exception | None] = [None] * len(delivery.recipients)
    taken = {one.target.address for one in delivery.recipients if isinstance(one.target, Target)}
    for at, recipient in enumerate(delivery.recipients):
        target = recipient.target
        assert target is not None
        if isinstance(target, Target):
            copies.append(_Copy(at, target))
        elif posting.may_post(target, heading.author):
            copies += [
                _Copy(at, member, is_member=True)
                for member, gets_copy in posting.members(target, heading.author, taken)
                if gets_copy
            ]
        else:
            failures[at] = posting.NotAllowed()
    return copies, failures


def _mailbox(delivery: Delivery, target: Target, heading: Heading, sender: Sender) -> str:
    if not target.destination.rulesets:
        return target.mailbox
    found = rulesets.choose(
        target.destination.rulesets,
        rulesets.Traits(mail_from=delivery.sender, sender=sender, heading=heading),
    )
    return target.mailbox if found is None else normalise_mailbox_name(found.mailbox)


def _identities(delivery: Delivery, heading: Heading) -> Sender:
    """Of a user who logged in we know who it is; of others nothing was found out."""
    author = heading.author
    if not delivery.arrival.authenticated or author is None:
        return Sender()
    return Sender(
        from_localpart=author.localpart,
        from_domain=author.domain.unicode,
        from_org_domain=to_unicode(listed().organizational(author.domain.ascii)),
        from_validated=True,
        dkim_domains=(author.domain.unicode,),  # as if it had come back to us
    )


def remove(content: bytes | SpoolFile) -> None:
    """Remove a spooled content that nobody took."""
    if isinstance(content, SpoolFile):
        content.path.unlink(missing_ok=True)


def prefix_for(delivery: Delivery, recipient: Recipient, to: Address | None = None) -> bytes:
    """The fields that go before the content, newest first.    ``to``: the member of an alias."""
    arrival = delivery.arrival
    single = recipient.address if len(delivery.recipients) == 1 else None
    fields = [
        trace.delivered_to(arrival, to or recipient.address),
        trace.return_path(arrival, delivery.sender),
    ]
    if not delivery.is_traced:
        if arrival.authenticated:
            fields.append(trace.submitted_by(arrival, delivery.sender))
        fields.append(trace.received(arrival, single))
    fields.append(delivery.added_fields)
    if delivery.received.lacks_separator:
        fields.append(b"\r\n")
    return b"".join(fields)


def _message(
    delivery: Delivery, copy: _Copy, content: bytes | SpoolFile, heading: Heading
) -> NewMessage:
    arrival, recipient = delivery.arrival, delivery.recipients[copy.recipient]
    member = parse_address(copy.target.address) if copy.is_member else None
    prefix = prefix_for(delivery, recipient, member)
    return NewMessage(
        content=content,
        prefix=prefix,
        received_ms=arrival.received_ms,
        facts=Facts(
            prefix_length=len(prefix),
            message_id=heading.message_id,
            mail_from=delivery.sender.unicode(),
            rcpt_to=recipient.address.unicode(),
            remote_ip=arrival.remote_ip,
            helo=arrival.hello,
            sender=_identities(delivery, heading),
        ),
    )
