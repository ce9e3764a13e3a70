"""What is kept about outgoing mail: entries, attempts, what became of them, notices, hold rules.

Source  spec/smtp-client-queue.md sections 1, 9 to 12.
Laws    every value begins with a version byte; fields are only ever added at the end, with a default,
        so that older values are read.  Times are ms since 1970 UTC, durations ms.
"""

import re
from enum import StrEnum
from typing import TypeVar

import msgspec

from mox.base.limits import QUEUE_LINE, QUEUE_REPLIES, QUEUE_TEXT, QUEUE_TRIES
from mox.smtp.address import Address
from mox.store.errors import DataDamaged

VERSION = 1


class Ending(StrEnum):
    """What an operator asked for while the entry was being delivered: done when the attempt ends."""

    NONE = ""
    DROP = "drop"
    FAIL = "fail"


class Entry(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A message on its way to one recipient."""

    id: int
    base_id: int = 0  # first id of the submission; 0 where there is nothing to send together
    content: int  # id of the bytes, shared by the recipients of a submission
    content_utf8: int = 0  # the same as UTF-8, for hops that take it: notifications; 0 for none
    size: int  # bytes of the content
    size_utf8: int = 0
    queued_ms: int
    release_ms: int = 0  # not before; 0 for at once (RFC 4865)
    account: str  # who sent it: gets the notifications, counts for routes and limits
    sender_localpart: str
    sender_domain: str  # A-labels; empty with an empty local part: the null sender
    from_id: str = ""  # unique id in the sender's local part
    recipient_localpart: str
    recipient_domain: str  # A-labels, or an address literal in brackets
    attempts: int = 0  # begun so far
    max_attempts: int = 0  # 0: as the schedule says
    first_ms: int = 0  # begin of the first attempt; 0 before it
    last_ms: int = 0  # begin of the last attempt; 0 before the first
    next_ms: int  # not tried before
    hold: bool = False
    ending: Ending = Ending.NONE
    transport: str = ""  # forced; empty: routes decide
    require_tls: bool | None = None  # True: REQUIRETLS; False: TLS-Required: No (RFC 8689)
    has_8bit: bool = False
    smtputf8: bool = False
    is_dmarc_report: bool = False
    is_tls_report: bool = False
    future_release: str = ""  # as asked for: "for;3600" or "until;2026-12-01T00:00:00Z"
    message_id: str = ""  # without brackets
    subject: str = ""
    ret: str = ""  # FULL, HDRS or not said (RFC 3461 §4.3)
    envelope_id: str = ""  # ENVID as written: xtext
    notify: str = ""  # value of NOTIFY as written, upper case
    original_recipient: str = ""  # ORCPT as written: type;xtext
    extra: dict[str, str] = {}  # for webhooks
    dialed: dict[str, tuple[str, ...]] = {}  # by host: addresses connected to, in order
    last_error: str = ""

    @property
    def sender(self) -> Address:
        """MAIL FROM."""
        return Address(self.sender_localpart, self.sender_domain)

    @property
    def recipient(self) -> Address:
        """RCPT TO."""
        return Address(self.recipient_localpart, self.recipient_domain)

    @property
    def is_report(self) -> bool:
        """A report of ours: it has fewer attempts and no notice of delay."""
        return self.is_dmarc_report or self.is_tls_report

    def wants(self, what: str) -> bool | None:
        """Does NOTIFY ask for SUCCESS, FAILURE or DELAY?    None where nothing was said."""
        return what in self.notify.split(",") if self.notify else None


class HostTry(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What happened with one host in an attempt."""

    host: str
    ip: str = ""
    start_ms: int = 0
    duration_ms: int = 0
    policy: str = ""  # the TLS that was asked for: opportunistic, mta-sts enforce, dane, ...
    policy_why: str = ""
    tls: str = ""  # what came about: version and cipher; empty for none
    certificate: str = ""  # the verdict on it
    replies: tuple[str, ...] = ()  # what the host said, the last ones
    outcome: str = ""
    next_step: str = ""  # what was done then: the next host, in clear, nothing


class Attempt(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One attempt for one entry.    Not finished: it is going on, or the server stopped in it."""

    number: int  # from 1
    start_ms: int
    duration_ms: int = 0
    finished: bool = False
    success: bool = False
    code: int = 0  # of SMTP; 0 where no server said anything
    enhanced: str = ""
    error: str = ""  # for people; empty after success
    remote_host: str = ""  # who decided
    remote_ip: str = ""
    lines: tuple[str, ...] = ()  # the reply that decided, line by line
    tries: tuple[HostTry, ...] = ()
    next_step: str = ""


class Retired(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An entry that is done, remembered for a while.    Its content is gone."""

    entry: Entry
    success: bool
    last_activity_ms: int
    keep_until_ms: int
    event: str


class Happened(StrEnum):
    """What can become of an entry, as webhooks name it (section 12)."""

    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"
    DELAYED = "delayed"
    FAILED = "failed"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    CANCELED = "canceled"


class Event(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Something a webhook may tell an account."""

    happened: Happened
    time_ms: int
    account: str
    entry_id: int
    recipient: str
    from_id: str = ""
    message_id: str = ""
    subject: str = ""
    is_dsn: bool = False  # told by a notification from elsewhere
    suppressing: bool = False  # the recipient was put on the suppression list
    code: int = 0
    enhanced: str = ""
    error: str = ""
    extra: dict[str, str] = {}


class NoticeKind(StrEnum):
    """Which notification the sender gets; the words are actions of RFC 3464 §2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"


class NoticeRecipient(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An entry as it was, and the attempt that led to the notification."""

    entry: Entry
    attempt: Attempt
    retry_until_ms: int = 0  # DELAYED: the time of the last attempt to come


class Notice(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A notification that is still to be delivered.    Its recipients share content and sender."""

    id: int
    kind: NoticeKind
    created_ms: int
    due_ms: int
    tries: int = 0
    recipients: tuple[NoticeRecipient, ...]


class HoldRule(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Entries that match all given fields are held; with none given, all are (section 9)."""

    id: int
    account: str = ""
    sender_domain: str = ""  # A-labels
    recipient_domain: str = ""

    def matches(self, entry: Entry) -> bool:
        """Is the entry to be held?"""
        return (
            self.account in ("", entry.account)
            and self.sender_domain in ("", entry.sender_domain)
            and self.recipient_domain in ("", entry.recipient_domain)
        )


class Suppression(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An address an account stops sending to (section 10)."""

    account: str
    base_address: str
    original_address: str
    manual: bool
    reason: str
    created_ms: int


_encoder = msgspec.msgpack.Encoder()
_T = TypeVar("_T", bound=msgspec.Struct)
_decoders: dict[type[msgspec.Struct], msgspec.msgpack.Decoder[msgspec.Struct]] = {}


def encode(record: msgspec.Struct) -> bytes:
    """Bytes of a record."""
    return b"\x01" + _encoder.encode(record)


def decode(kind: type[_T], value: bytes) -> _T:
    """Record of bytes.    Errors: DataDamaged."""
    if not value or value[0] != VERSION:
        raise DataDamaged(f"queue {kind.__name__}: unknown version {value[:1]!r}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        record = decoder.decode(memoryview(value)[1:])
    except msgspec.MsgspecError as error:
        raise DataDamaged(f"queue {kind.__name__}: {error}", cause=error) from error
    assert isinstance(record, kind)
    return record


_PLAIN = re.compile(r"(?:[!-~]+(?: [!-~]+)*)?")  # of one line, with single spaces


def clip(text: str, longest: int = QUEUE_TEXT) -> str:
    """A text of a peer, cut to what is kept, in one line of valid Unicode."""
    if len(text) <= longest and _PLAIN.fullmatch(text):
        return text
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


def clip_lines(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Lines of a peer: the last ones, each cut."""
    return tuple(clip(line, QUEUE_LINE) for line in lines[-QUEUE_REPLIES:])


def clip_tries(tries: tuple[HostTry, ...]) -> tuple[HostTry, ...]:
    """Tries with everything a peer said cut to what is kept; of many, the last ones."""
    return tuple(
        msgspec.structs.replace(
            each,
            host=clip(each.host),
            policy_why=clip(each.policy_why),
            certificate=clip(each.certificate),
            replies=clip_lines(each.replies),
            outcome=clip(each.outcome),
        )
        for each in tries[-QUEUE_TRIES:]
    )
