"""Notifications of mail that did not arrive: into the mailbox of a sender of ours, or back to others.

Source  spec/smtp-client-queue.md section 8, spec/smtp-server.md section 8.3.
"""

import secrets
from collections.abc import Sequence

from mox.base import flags
from mox.base.clock import Clock
from mox.base.errors import MoxError
from mox.config.live import AliasTarget, Live
from mox.dns.name import parse_domain
from mox.inbound.deliver import Deliverer, Recipient
from mox.inbound.hooks import Bounce
from mox.message import dsn, messageid
from mox.message.compose import Mailbox
from mox.message.header import end_of_header
from mox.message.trace import format_delivered_to, format_return_path
from mox.outbound.signer import Keys, signatures
from mox.outbound.submit import Submitted
from mox.queue.adding import NewRecipient, Submission, add
from mox.queue.database import Database
from mox.queue.entry import Notice
from mox.smtp.address import NULL_PATH, Address
from mox.smtp.reply import Reply
from mox.smtp.xtext import decode_original_recipient, decode_xtext
from mox.store.content import NewMessage

_DMARC_FAILURES = "dmarc"  # below the postmaster's mailbox


class Returning:
    """``queue.Returns``, ``outbound.submit.Returned`` and ``inbound.hooks.Bouncer``."""

    def __init__(
        self, live: Live, clock: Clock, deliverer: Deliverer, queue: Database, keys: Keys
    ) -> None:
        self._live = live
        self._clock = clock
        self._deliverer = deliverer
        self._queue = queue
        self._keys = keys

    # -------------------------------------------------------------- queue

    async def deliver(self, notice: Notice, message: bytes) -> None:
        """A notification about queued mail.    Errors: those of the store."""
        entry = notice.recipients[0].entry
        config = self._live.config
        postmaster = config.static.postmaster
        if entry.is_dmarc_report:
            # Nobody wants to read of every reporting address that does not work.
            mailbox = f"{postmaster.mailbox}/{_DMARC_FAILURES}"
            await self._store(postmaster.account, mailbox, message, seen=True)
        elif entry.account in config.domains.accounts:
            await self._store(entry.account, "Inbox", message)
        else:
            await self._store(postmaster.account, postmaster.mailbox, message)

    async def _store(
        self, account: str, mailbox: str, message: bytes, *, seen: bool = False
    ) -> None:
        new = NewMessage(
            content=message,
            flags=flags.SEEN if seen else 0,
            received_ms=self._clock.now_ms(),
        )
        await self._deliverer.deliver(account, mailbox, new)

    # -------------------------------------------------------------- submission

    async def return_failures(
        self, submitted: Submitted, failures: Sequence[tuple[Recipient, Exception]]
    ) -> None:
        """Recipients of ours did not get what others got.    Errors: those of the store."""
        await self._return(
            submitted,
            [
                _recipient(str(one.address), one.orcpt, "5.0.0", _public(error), ())
                for one, error in failures
            ],
        )

    async def return_arrivals(self, submitted: Submitted, recipients: Sequence[Recipient]) -> None:
        """Recipients of ours got it, as the sender wanted to know.    Errors: those of the store."""
        if submitted.delivery.sender.is_null:
            return  # RFC 3461 §5.2: nobody is to be told
        await self._return(
            submitted,
            [
                _arrived(str(one.address), one.orcpt, isinstance(one.target, AliasTarget))
                for one in recipients
            ],
        )

    async def _return(self, submitted: Submitted, recipients: Sequence[dsn.Recipient]) -> None:
        delivery = submitted.delivery
        sender = delivery.sender
        utf8 = delivery.arrival.smtputf8
        to = (sender.unicode() if utf8 else str(sender)) or f"postmaster@{self._hostname}"
        built = dsn.build(
            self._notification(
                to=to,
                references=delivery.message_id,
                recipients=recipients,
                envelope_id=submitted.envelope_id,
                header=delivery.added_fields + delivery.received.header,
                hostname=self._hostname,
            ),
            _boundary,
            utf8=utf8,
        )
        message = format_return_path("") + format_delivered_to(to) + built.message
        await self._store(submitted.account, "Inbox", message)

    # -------------------------------------------------------------- reception

    async def bounce(self, bounce: Bounce) -> None:
        """Some recipients of a stranger's message did not get it, or he asked.    Errors: those of the queue."""

        def written(address: Address) -> str:
            return address.unicode() if bounce.smtputf8 else str(address)

        to = written(bounce.sender)
        about = [one.address for one in bounce.failed] + [one.address for one in bounce.arrived]
        notification = self._notification(
            to=to,
            references=bounce.message_id,
            recipients=[
                *(
                    _recipient(
                        written(one.address),
                        one.orcpt,
                        one.reply.enhanced or f"{one.reply.code // 100}.0.0",
                        one.reply.text,
                        _lines(one.reply),
                    )
                    for one in bounce.failed
                ),
                *(
                    _arrived(written(one.address), one.orcpt, one.is_alias)
                    for one in bounce.arrived
                ),
            ],
            envelope_id=bounce.envid,
            header=bounce.header[: end_of_header(bounce.header)],
            hostname=bounce.hostname,
            sender_domain=about[0].domain,
            received_from=bounce.remote_name,
        )
        content = await self._signed(dsn.build(notification, _boundary).message, notification)
        utf8 = None
        if bounce.smtputf8:
            built = dsn.build(notification, _boundary, utf8=True)
            utf8 = await self._signed(built.message, notification)
        await add(
            self._queue,
            Submission(
                account=self._live.config.static.postmaster.account,
                sender=NULL_PATH,
                recipients=(NewRecipient(address=bounce.sender),),
                content=content,
                content_utf8=utf8,
                require_tls=bounce.require_tls,
                message_id=notification.message_id,
                subject=notification.subject,
            ),
        )

    async def _signed(self, message: bytes, notification: dsn.Notification) -> bytes:
        domain = notification.from_.address.rpartition("@")[2]
        fields = await signatures(
            self._keys.of(domain),
            message[: end_of_header(message)],
            message,
            body_offset=end_of_header(message),
            now_s=self._clock.now_ms() // 1000,
            local_part="postmaster",
        )
        return fields + message

    @property
    def _hostname(self) -> str:
        return parse_domain(self._live.config.static.hostname).ascii

    def _notification(
        self,
        *,
        to: str,
        references: str,
        recipients: Sequence[dsn.Recipient],
        envelope_id: str,
        header: bytes,
        hostname: str,
        sender_domain: str = "",
        received_from: str = "",
    ) -> dsn.Notification:
        now_ms = self._clock.now_ms()
        failed = [one for one in recipients if one.action is dsn.Action.FAILED]
        arrived = [one for one in recipients if one.action is not dsn.Action.FAILED]
        text = f"This is the mail server at {hostname}.\n"
        if failed:
            names = "\n".join(f"  {one.final.address}: {one.comment}" for one in failed)
            text += (
                "\nYour message was delivered to some of its recipients, and not to these:\n\n"
                f"{names}\n"
            )
        if arrived:
            names = "\n".join(f"  {one.final.address}" for one in arrived)
            text += f"\nYour message was delivered to these recipients:\n\n{names}\n"
        return dsn.Notification(
            from_=Mailbox("", f"postmaster@{sender_domain or hostname}"),
            to=Mailbox("", to),
            subject="mail delivery failed" if failed else "mail delivered",
            message_id=messageid.make(secrets.token_bytes(16), hostname),
            references=references,
            date_ms=now_ms,
            text=text,
            report=dsn.Report(
                reporting=dsn.Mta(hostname),
                recipients=tuple(recipients),
                envelope_id=decode_xtext(envelope_id),
                received_from=dsn.Mta(received_from) if received_from else None,
                arrival_ms=now_ms,
            ),
            original=header,
        )


def _recipient(
    address: str, original: str, status: str, comment: str, lines: tuple[str, ...]
) -> dsn.Recipient:
    return dsn.Recipient(
        final=dsn.typed(address),
        original=dsn.TypedAddress(*decode_original_recipient(original)) if original else None,
        action=dsn.Action.FAILED,
        status=status,
        comment=comment,
        diagnostic=lines,
    )


def _arrived(address: str, original: str, is_alias: bool) -> dsn.Recipient:
    """RFC 3461 §5.2.3; of an address that stands for several, §5.2.7.2."""
    return dsn.Recipient(
        final=dsn.typed(address),
        original=dsn.TypedAddress(*decode_original_recipient(original)) if original else None,
        action=dsn.Action.EXPANDED if is_alias else dsn.Action.DELIVERED,
        status="2.0.0",
    )


def _lines(said: Reply) -> tuple[str, ...]:
    enhanced = f"{said.enhanced} " if said.enhanced else ""
    return tuple(f"{said.code} {enhanced}{line}" for line in said.lines)


def _public(error: Exception) -> str:
    return error.public if isinstance(error, MoxError) else "internal error"


def _boundary() -> str:
    return f"=_{secrets.token_hex(16)}"
