"""Notifications to senders: written when an outcome asks for one, delivered until it worked.

Source  spec/smtp-client-queue.md section 8; RFC 3461 §5.2, §6; RFC 3464.

The outcome and the wish to tell of it are one batch.  The message is made when it is delivered, from
the content that the wish keeps.  A crash between delivery and the note of it repeats the notification;
none is lost.
"""

import asyncio
import secrets
import textwrap
from collections.abc import Callable

import msgspec

from mox.base.limits import (
    HEADER_PARSE,
    QUEUE_NOTICE_KEEP_S,
    QUEUE_NOTICE_PAUSES_S,
    QUEUE_NOTICES,
    QUEUE_RETURNED,
)
from mox.base.log import get_logger
from mox.message import dsn, messageid
from mox.message.compose import Mailbox
from mox.message.date import format_date
from mox.message.header import end_of_header
from mox.message.trace import format_delivered_to, format_return_path
from mox.queue import keys
from mox.queue.carry import Returns
from mox.queue.database import Database
from mox.queue.edit import Edit
from mox.queue.entry import Entry, Notice, NoticeKind, NoticeRecipient, decode
from mox.smtp.xtext import decode_original_recipient, decode_xtext
from mox.store.engine.base import Family
from mox.store.errors import DataDamaged, StoreStopped

log = get_logger("queue")

Random = Callable[[int], bytes]

_WIDTH = 72  # characters of a line of text
_SUBJECTS = {
    NoticeKind.FAILED: "mail delivery failed",
    NoticeKind.DELAYED: "mail delivery delayed",
    NoticeKind.RELAYED: "mail was relayed",
}
_UNKNOWN_STATUS = {
    NoticeKind.FAILED: "5.0.0",
    NoticeKind.DELAYED: "4.0.0",
    NoticeKind.RELAYED: "2.0.0",
}


class Notices:
    """Delivers what is due.    For one caller at a time."""

    def __init__(
        self,
        database: Database,
        returns: Returns,
        hostname: str,
        *,
        random: Random = secrets.token_bytes,
    ) -> None:
        """Input  hostname: ours, A-labels."""
        self._database = database
        self._returns = returns
        self._hostname = hostname
        self._random = random
        self.stopping = False  # deliver no more than what is begun

    async def step(self) -> int | None:
        """Deliver what is due; when the next one is, None for never.    Errors: StoreStopped."""
        while not self.stopping:
            due, next_ms = await self._due()
            if not due:
                return next_ms
            results = await asyncio.gather(*(self._try(notice) for notice in due))
            edit = self._database.edit()
            for notice, error in zip(due, results, strict=True):
                self._note(edit, notice, error)
            await self._database.committer.synced(edit.stage())
        return None

    async def _due(self) -> tuple[list[Notice], int | None]:
        database = self._database
        await database.settled()
        floor, database.notice_floor_ms = database.notice_floor_ms, keys.NEVER
        found = _Due(database, floor)
        try:
            await database.in_thread(found.read)
        except BaseException:
            database.notice_floor_ms = floor
            raise
        # One that came meanwhile has lowered it.
        database.notice_floor_ms = min(database.notice_floor_ms, found.first_ms)
        if found.damaged:
            edit = database.edit()
            for key in found.damaged:
                edit.batch.delete(Family.KV, key)
            edit.stage()
        return found.due, found.next_ms

    async def _try(self, notice: Notice) -> Exception | None:
        try:
            await self._returns.deliver(notice, await self.compose(notice))
        except StoreStopped:
            raise
        except Exception as error:  # noqa: BLE001 - it is logged with what follows from it
            return error
        return None

    def _note(self, edit: Edit, notice: Notice, error: Exception | None) -> None:
        account = _entry(notice).account
        if error is None:
            log.info("queue.notice", kind=notice.kind, to=account)
            edit.end_notice(notice)
            return
        later = self._later(notice)
        if later is None:
            log.error("queue.notice_lost", error, notice=notice.id, to=account)
            edit.end_notice(notice)
        else:
            log.warn("queue.notice_delayed", notice=notice.id, to=account, error=str(error))
            edit.postpone_notice(notice, later)

    def _later(self, notice: Notice) -> Notice | None:
        now = self._database.clock.now_ms()
        if now - notice.created_ms >= QUEUE_NOTICE_KEEP_S * 1000:
            return None
        first, longest = QUEUE_NOTICE_PAUSES_S
        pause_s = min(longest, first * 2 ** min(notice.tries, 20))
        return msgspec.structs.replace(
            notice, tries=notice.tries + 1, due_ms=now + round(pause_s * 1000)
        )

    async def compose(self, notice: Notice) -> bytes:
        """The message, with its trace fields.    Errors: DataDamaged, OSError."""
        entry = _entry(notice)
        # RFC 3461 §6.2: the whole of it only where delivery failed, and not if it is large.
        whole = (
            notice.kind is NoticeKind.FAILED
            and entry.ret == "FULL"
            and entry.size <= QUEUE_RETURNED
        )
        try:
            content = await self._database.contents.read(
                entry.content, 0, entry.size if whole else min(entry.size, HEADER_PARSE)
            )
        except (DataDamaged, OSError) as error:
            # The sender is told all the same, without his message.
            log.error("queue.content_unreadable", error, entry=entry.id)
            content, whole = b"", False
        sender = entry.sender
        utf8 = entry.smtputf8 or sender.needs_utf8
        to = sender.unicode() if utf8 else str(sender)
        postmaster = f"postmaster@{self._hostname}"
        built = dsn.build(
            dsn.Notification(
                from_=Mailbox("", postmaster),
                to=Mailbox("", to or postmaster),
                subject=_SUBJECTS[notice.kind],
                message_id=messageid.make(self._random(16), self._hostname),
                references=entry.message_id,
                date_ms=self._database.clock.now_ms(),
                text=_text(notice, self._hostname),
                report=_report(notice, self._hostname),
                original=content if whole else content[: end_of_header(content)],
                is_whole=whole,
                is_utf8=entry.smtputf8,
            ),
            self._boundary,
            utf8=utf8,
        )
        # RFC 3461 §6.1, section 0 of the specification: the path back from a notification is null.
        return format_return_path("") + format_delivered_to(to or postmaster) + built.message

    def _boundary(self) -> str:
        return f"=_{self._random(16).hex()}"


class _Due:
    """What is due, read in a thread."""

    def __init__(self, database: Database, floor_ms: int) -> None:
        self._database = database
        self._floor_ms = floor_ms
        self._now_ms = database.clock.now_ms()
        self.due: list[Notice] = []
        self.damaged: list[bytes] = []
        self.first_ms = keys.NEVER  # of all that there are
        self.next_ms: int | None = None  # of those not in ``due``

    def read(self) -> None:
        """Blocks."""
        for key, value in self._database.engine.scan(Family.KV, *keys.notices(self._floor_ms)):
            due_ms = keys.time_of(key)
            self.first_ms = min(self.first_ms, due_ms)
            if due_ms > self._now_ms or len(self.due) == QUEUE_NOTICES:
                self.next_ms = due_ms
                return
            try:
                self.due.append(decode(Notice, value))
            except DataDamaged as error:
                # Out of the way of the others.
                log.error("queue.notice_unreadable", error, notice=keys.last_number(key))
                self.damaged.append(key)


def _entry(notice: Notice) -> Entry:
    """What its recipients have in common can be read from the first."""
    return notice.recipients[0].entry


# ---------------------------------------------------------------- for machines


def _report(notice: Notice, hostname: str) -> dsn.Report:
    entry = _entry(notice)
    return dsn.Report(
        reporting=dsn.Mta(hostname),
        recipients=tuple(_recipient(notice.kind, each) for each in notice.recipients),
        envelope_id=decode_xtext(entry.envelope_id),
        arrival_ms=entry.queued_ms,
        future_release=entry.future_release,
    )


def _recipient(kind: NoticeKind, each: NoticeRecipient) -> dsn.Recipient:
    entry, attempt = each.entry, each.attempt
    original = None
    if entry.original_recipient:
        original = dsn.TypedAddress(*decode_original_recipient(entry.original_recipient))
    return dsn.Recipient(
        final=dsn.typed(entry.recipient.unicode() if entry.smtputf8 else str(entry.recipient)),
        original=original,
        action=dsn.Action(kind),
        status=status_of(kind, attempt.code, attempt.enhanced),
        comment=attempt.error,
        remote=dsn.Mta(attempt.remote_host, attempt.remote_ip) if attempt.remote_host else None,
        diagnostic=attempt.lines,
        last_attempt_ms=attempt.start_ms,
        will_retry_until_ms=each.retry_until_ms or None,
        final_log_id=str(entry.id),
    )


def status_of(kind: NoticeKind, code: int, enhanced: str) -> str:
    """The Status field.    RFC 3464 §2.3.3: what failed after many tries may have a status of 4."""
    if enhanced:
        return enhanced
    return f"{code // 100}.0.0" if code // 100 in (2, 4, 5) else _UNKNOWN_STATUS[kind]


# ---------------------------------------------------------------- for people


def _text(notice: Notice, hostname: str) -> str:
    entry = _entry(notice)
    many = len(notice.recipients) > 1
    pieces = [f"This is the mail server at {hostname}.", _opening(notice.kind, many=many)]
    pieces += [_about(notice.kind, each) for each in notice.recipients]
    known = [
        f"  Sent:        {format_date(entry.queued_ms)}",
        f"  Subject:     {entry.subject}" if entry.subject else "",
        f"  Message-Id:  <{entry.message_id}>" if entry.message_id else "",
    ]
    pieces.append("\n".join(["Your message:", "", *(line for line in known if line)]))
    return "\n\n".join(pieces) + "\n"


_OPENINGS = {
    NoticeKind.FAILED: "Your message could not be delivered to {}. It is not tried again.",
    NoticeKind.DELAYED: "Your message could not be delivered to {} yet. It is tried again, and you"
    " need not send it again. If it cannot be delivered at all, you will be told.",
    NoticeKind.RELAYED: "Your message was accepted by the next mail server for {}. That server does"
    " not tell about deliveries, so you will hear nothing more.",
}


def _opening(kind: NoticeKind, *, many: bool) -> str:
    said = _OPENINGS[kind].format("these recipients" if many else "this recipient")
    return textwrap.fill(said, _WIDTH)


def _about(kind: NoticeKind, each: NoticeRecipient) -> str:
    entry, attempt = each.entry, each.attempt
    lines = [f"  {entry.recipient.unicode() if entry.smtputf8 else entry.recipient}"]
    if attempt.error:
        lines += _indented(f"Error: {attempt.error}")
    if attempt.remote_host:
        address = f" ({attempt.remote_ip})" if attempt.remote_ip else ""
        lines.append(f"    Server: {attempt.remote_host}{address}")
    if attempt.lines:
        lines.append("    It said:")
        for line in attempt.lines:
            lines += [f"      {part}" for part in textwrap.wrap(line, _WIDTH) or [""]]
    lines.append(f"    Last attempt: {format_date(attempt.start_ms)}")
    if kind is NoticeKind.DELAYED:
        lines.append(f"    Next attempt: {format_date(entry.next_ms)}")
        lines.append(f"    Last one to come: {format_date(each.retry_until_ms)}")
    return "\n".join(lines)


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="      ")
