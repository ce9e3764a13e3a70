"""The one door for mail of our users: limits, header fields, signatures; then the queue.

Recipients of ours get their copy in the same step; what cannot be delivered to them is told at once
where all recipients are ours, else by a notification.
Source  RFC 6409; spec/smtp-server.md sections 0 and 7.
"""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec

from mox.base.clock import Clock
from mox.base.errors import Refused
from mox.base.limits import MESSAGE_IN_MEMORY
from mox.config.live import Live
from mox.config.lookup import canonical_address, has_from_id
from mox.config.names import unicode_domain
from mox.inbound import deliver, trace
from mox.inbound.copies import Copies
from mox.inbound.deliver import Deliverer, Delivery, Recipient
from mox.message.header import values_of
from mox.outbound.bcc import without_bcc
from mox.outbound.needs import needs_smtputf8
from mox.outbound.signer import Keys, signatures
from mox.queue.adding import NewRecipient, Submission, add
from mox.queue.database import Database
from mox.smtp.address import Address
from mox.store.account import Account
from mox.store.content import NewMessage, compose
from mox.store.outgoing import Outgoing

FROM_ID_BYTES = 16


class OpenAccounts(Protocol):
    """The accounts, as configured and stored."""

    def using(self, name: str) -> AbstractAsyncContextManager[Account]:
        """An account that is not removed meanwhile.    Errors: those of the store."""
        ...


class OneRecipientOnly(Refused):
    """A sender with a unique id was given, and more than one recipient."""

    default: ClassVar[str] = "only one recipient with a unique sender address"


class Returned(Protocol):
    """Tells a sender of ours what became of local recipients."""

    async def return_failures(
        self, submitted: "Submitted", failures: Sequence[tuple[Recipient, Exception]]
    ) -> None:
        """They did not get a message that went out to others.    Errors: those of the store."""
        ...

    async def return_arrivals(
        self, submitted: "Submitted", recipients: Sequence[Recipient]
    ) -> None:
        """They got it, and the sender asked to be told.    Errors: those of the store."""
        ...


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a user, checked as to who sends it.

    ``delivery.added_fields`` are those the message lacked; recipients without target are elsewhere.
    """

    account: str
    login_address: str
    author: Address  # of From
    delivery: Delivery
    smtputf8: bool = False  # said by the client
    require_tls: bool | None = None
    release_ms: int = 0
    future_release: str = ""
    ret: str = ""
    envelope_id: str = ""


class Submitter:
    """For the submission ports, and whoever else sends for our users."""

    def __init__(
        self,
        *,
        live: Live,
        clock: Clock,
        accounts: OpenAccounts,
        outgoing: Outgoing,
        keys: Keys,
        queue: Database,
        deliverer: Deliverer,
        returned: Returned,
        spool_folder: Path,
    ) -> None:
        self._live = live
        self._clock = clock
        self._accounts = accounts
        self._outgoing = outgoing
        self._keys = keys
        self._queue = queue
        self._deliverer = deliverer
        self._returned = returned
        self._spool_folder = spool_folder

    async def submit(self, submitted: Submitted) -> list[Exception | None]:
        """Take a message: for each recipient None, or why it did not get it.

        Durable when it returns.  The content is consumed in every case.
        Errors  SendLimit, OneRecipientOnly, FromIdTaken, those of the store and the queue: then nobody
                gets it.
        """
        delivery = submitted.delivery
        try:
            config = self._live.config
            account = config.domains.accounts[submitted.account]
            addresses = [
                canonical_address(config, one.address.localpart, one.address.domain)
                for one in delivery.recipients
            ]
            async with self._accounts.using(submitted.account) as owner:
                now_ms = self._clock.now_ms()
                await self._outgoing.check(
                    owner,
                    addresses,
                    now_ms,
                    per_day=account.max_outgoing_messages_per_day,
                    new_per_day=account.max_first_time_recipients_per_day,
                )
                try:
                    failures = await self._take(submitted)
                except BaseException:
                    self._outgoing.drop(owner, addresses)
                    raise
                await self._outgoing.record(owner, addresses, now_ms)
                return failures
        finally:
            deliver.remove(delivery.received.content)

    async def _take(self, submitted: Submitted) -> list[Exception | None]:
        submitted = await self._prepared(submitted)
        try:
            recipients = submitted.delivery.recipients
            # RFC 4865 §4: until its time nobody gets it.  Only the queue holds, so those of the
            # recipients who are ours get it by way of it, too.
            held = submitted.release_ms > self._clock.now_ms()
            away = [one for one in recipients if held or one.target is None]
            here = [one for one in recipients if not held and one.target is not None]
            if away:
                # First, for what follows can no longer be taken back.
                await self._queue_for(submitted, away)
            found = dict(zip(map(id, here), await self._store(submitted, here), strict=True))
            arrived = [one for one in here if one.wants_success and found[id(one)] is None]
            if arrived:
                await self._returned.return_arrivals(submitted, arrived)
            lost = [(one, error) for one in here if (error := found[id(one)]) is not None]
            if not away or not lost:
                return [found.get(id(one)) for one in recipients]
            told = [(one, error) for one, error in lost if one.wants_failure]
            if told:
                await self._returned.return_failures(submitted, told)
            return [None] * len(recipients)
        finally:
            deliver.remove(submitted.delivery.received.content)

    async def _prepared(self, submitted: Submitted) -> Submitted:
        """Without blind copies, with what it needs known, and signed."""
        delivery = submitted.delivery
        received = await without_bcc(delivery.received, self._spool_folder)
        utf8 = await needs_smtputf8(
            received.content,
            has_8bit=received.has_8bit,
            addresses=(delivery.sender, *(one.address for one in delivery.recipients)),
        )
        signed = await signatures(
            self._keys.of(submitted.author.domain),
            delivery.added_fields + received.header,
            received.content,
            body_offset=len(received.header),
            now_s=self._clock.now_ms() // 1000,
            local_part=submitted.author.localpart,
        )
        arrival = msgspec.structs.replace(delivery.arrival, smtputf8=utf8)
        return msgspec.structs.replace(
            submitted,
            delivery=msgspec.structs.replace(
                delivery,
                arrival=arrival,
                received=received,
                added_fields=signed + delivery.added_fields,
            ),
        )

    async def _store(
        self, submitted: Submitted, here: Sequence[Recipient]
    ) -> list[Exception | None]:
        if not here:
            return []
        delivery = msgspec.structs.replace(submitted.delivery, recipients=here)
        return await deliver.deliver(self._deliverer, delivery)

    async def _queue_for(self, submitted: Submitted, away: Sequence[Recipient]) -> None:
        delivery = submitted.delivery
        received, arrival = delivery.received, delivery.arrival
        prefix = b"".join(
            (
                # Of several none is named, so that all get the same bytes.
                trace.received(arrival, away[0].address if len(away) == 1 else None),
                delivery.added_fields,
                trace.submitted_by(arrival, delivery.sender),
            )
        )
        # The original stays for those of the recipients who are ours.
        content = await Copies(received.content).one()
        message = NewMessage(content=content, prefix=prefix, received_ms=0)
        if isinstance(content, bytes) and message.size <= MESSAGE_IN_MEMORY:
            content = message.prefix + content
        else:
            content = await self._queue.in_thread(compose, message, self._queue.spool_folder)
        subject = values_of(received.header, [b"subject"]).get(b"subject", [b""])[0]
        await add(
            self._queue,
            Submission(
                account=submitted.account,
                sender=delivery.sender,
                recipients=tuple(self._recipients(submitted, away)),
                content=content,
                has_8bit=received.has_8bit,
                smtputf8=arrival.smtputf8,
                require_tls=submitted.require_tls,
                release_ms=submitted.release_ms,
                future_release=submitted.future_release,
                ret=submitted.ret,
                envelope_id=submitted.envelope_id,
                message_id=delivery.message_id,
                subject=subject.decode("utf-8", "replace"),
            ),
        )

    def _recipients(
        self, submitted: Submitted, away: Sequence[Recipient]
    ) -> Iterator[NewRecipient]:
        """Each with a sender of its own where the login has these.    Errors: OneRecipientOnly."""
        sender = submitted.delivery.sender
        base, given = sender.localpart, ""
        separator = self._separator(submitted)
        if separator:
            base, _, given = base.partition(separator)
            if given and len(submitted.delivery.recipients) > 1:
                raise OneRecipientOnly
        for one in away:
            from_id, own = "", None
            if separator:
                from_id = (
                    given or urlsafe_b64encode(secrets.token_bytes(FROM_ID_BYTES)).decode()[:22]
                )
                own = Address(f"{base}{separator}{from_id}", sender.domain)
            yield NewRecipient(
                address=one.address,
                sender=own,
                from_id=from_id,
                notify=",".join(sorted(one.notify)),
                original_recipient=one.orcpt,
            )

    def _separator(self, submitted: Submitted) -> str:
        """Between local part and unique id; empty where the login has no such senders."""
        config, sender = self._live.config, submitted.delivery.sender
        if sender.is_null or not has_from_id(config, submitted.account, submitted.login_address):
            return ""
        domain = config.domains.domains.get(unicode_domain(sender.domain) or "")
        return domain.separators[0] if domain is not None and domain.separators else ""
