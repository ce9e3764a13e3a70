"""What the senders of DMARC and of TLS reports share: a message put together, signed and submitted.

A report comes from ``postmaster`` of this host, or of the domain that signs for it.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from mox.base import metrics
from mox.base.clock import Clock
from mox.base.limits import REPORT_ATTEMPTS
from mox.base.log import get_logger
from mox.config.live import Live
from mox.dns.name import parse_domain
from mox.mailauth.dkim.sign import SigningKey
from mox.message import compose, messageid
from mox.message.compose import Content, Mailbox
from mox.message.date import format_date
from mox.message.header import end_of_header
from mox.outbound.signer import Keys, signatures
from mox.queue.adding import NewRecipient, Submission, add
from mox.queue.database import Database
from mox.smtp.address import Address

log = get_logger("reports")

T = TypeVar("T")

POSTMASTER = "postmaster"
_BOUNDARY_BYTES = 15


class ReportMail(msgspec.Struct, frozen=True, kw_only=True):
    """A report ready to leave, to all its recipients alike."""

    sender: Address
    recipients: tuple[Address, ...]
    content: bytes
    message_id: str
    subject: str
    is_tls: bool  # else about DMARC


class Submit(Protocol):
    """Who takes reports to be sent."""

    async def submit(self, mail: ReportMail) -> None:
        """Take it for all recipients or for none; durable when it returns.

        Errors  Unavailable: another time it may be taken; Refused: it never will.
        """
        ...


class QueueSubmit:
    """Into the queue."""

    def __init__(self, queue: Database, live: Live) -> None:
        self._queue = queue
        self._live = live

    async def submit(self, mail: ReportMail) -> None:
        """As ``Submit``.    Failures are told the postmaster, delays nobody."""
        await add(
            self._queue,
            Submission(
                account=self._live.config.static.postmaster.account,
                sender=mail.sender,
                recipients=tuple(NewRecipient(address=one) for one in mail.recipients),
                content=mail.content,
                # RFC 8460 §5.3: TLS that fails must not keep a report about it from arriving.
                require_tls=False if mail.is_tls else None,
                message_id=mail.message_id,
                subject=mail.subject,
                max_attempts=REPORT_ATTEMPTS,
                is_dmarc_report=not mail.is_tls,
                is_tls_report=mail.is_tls,
            ),
        )


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """In whose name reports are written."""

    live: Live
    clock: Clock
    keys: Keys

    @property
    def hostname(self) -> str:
        """Ours, A-labels."""
        return parse_domain(self.live.config.static.hostname).ascii

    def signing_domain(self) -> tuple[str, Sequence[SigningKey]]:
        """The nearest domain of ours, at the hostname or above, that signs; empty where none does."""
        labels = self.hostname.split(".")
        for start in range(len(labels)):
            domain = ".".join(labels[start:])
            if keys := self.keys.of(domain):
                return domain, keys
        return "", ()

    async def write(
        self,
        content: Content,
        *,
        from_domain: str,
        recipients: Sequence[Address],
        subject: str,
        keys: Sequence[SigningKey],
        fields: Sequence[bytes] = (),
        is_tls: bool = False,
    ) -> ReportMail:
        """A signed message.    Input  fields: more of its header."""
        now_ms = self.clock.now_ms()
        sender = Address(POSTMASTER, from_domain)
        message_id = messageid.make(secrets.token_bytes(16), self.hostname)
        message = compose.render(
            (
                compose.address_field("From", [Mailbox("", str(sender))]),
                compose.address_field("To", [Mailbox("", str(one)) for one in recipients]),
                compose.text_field("Subject", subject),
                compose.field("Date", format_date(now_ms)),
                compose.field("Message-Id", f"<{message_id}>"),
                # RFC 3834 §5: nobody's holiday answer is wanted.
                compose.field("Auto-Submitted", "auto-generated"),
                *fields,
            ),
            content,
            _make_boundary,
        )
        end = end_of_header(message)
        signed = await signatures(
            keys,
            message[:end],
            message,
            body_offset=end,
            now_s=now_ms // 1000,
            local_part=POSTMASTER,
        )
        return ReportMail(
            sender=sender,
            recipients=tuple(recipients),
            content=signed + message,
            message_id=message_id,
            subject=subject,
            is_tls=is_tls,
        )


def _make_boundary() -> str:
    return secrets.token_urlsafe(_BOUNDARY_BYTES).replace("_", "=")


async def paced(
    clock: Clock,
    items: Sequence[T],
    work: Callable[[T], Awaitable[None]],
    *,
    total_s: float,
    pause_max_s: float,
) -> None:
    """Do some work for each item, begun evenly over a time; one that is slow holds up no other.

    What fails is logged and counted, and the others go on.
    """
    if not items:
        return
    pause_s = min(total_s / len(items), pause_max_s)

    async def guarded(item: T) -> None:
        try:
            await work(item)
        except Exception as error:
            metrics.unhandled("reports")
            log.error("reports.unhandled", error)

    async with asyncio.TaskGroup() as tasks:
        for number, item in enumerate(items):
            if number:
                await clock.sleep(pause_s)
            tasks.create_task(guarded(item))
