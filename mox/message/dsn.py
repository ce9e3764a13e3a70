"""Delivery status notifications: built and read.    RFC 3464, 3461 §6, 6522, 6533.

Laws  What peers said (addresses, replies) cannot end a field or open a comment.
      A notification for a path without SMTPUTF8 is ASCII, but for a whole message that comes back with
      8 bits (``Built.has_8bit``).
      Reading accepts or raises BadReport; ``parse(build(x))`` gives back what is in the fields of x.
"""

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import DSN_RECIPIENTS, DSN_STATUS, HEADER_PARSE
from mox.message import body, compose, header, mime
from mox.message.buffer import Buffer
from mox.message.charset import decode as decode_charset
from mox.message.date import format_date, parse_date
from mox.message.parameters import value as parameter
from mox.message.parameters import without_comments
from mox.message.part import Part
from mox.message.section import Located, source
from mox.message.trace import address_literal

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
# RFC 6533 §3: what stands for itself in utf-8-addr-xtext.
_QCHAR = re.compile(r"[!-*,-<>-\[\]-~]")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_FOLD_AT: Final = 76
_IP = re.compile(r"\(\[(?:IPv6:)?([0-9A-Fa-f.:]{2,60})\]\)")
_REPLY_LINE = re.compile(r"[2-5][0-9]{2}(?:[ -]|\Z)")


class BadReport(Malformed):
    """No notification, or one that breaks its format."""

    default = "malformed delivery status notification"


class Action(StrEnum):
    """What was done about a recipient.    RFC 3464 §2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class TypedAddress(msgspec.Struct, frozen=True):
    """An address with its type, as text: in Unicode, without the encodings of RFC 3461 and 6533."""

    kind: str  # lower case: rfc822, utf-8, ...
    address: str


def typed(address: str) -> TypedAddress:
    """An Internet address.    RFC 6533 §3: beyond ASCII it has a type of its own."""
    return TypedAddress("rfc822" if address.isascii() else "utf-8", address)


class Mta(msgspec.Struct, frozen=True):
    """A mail server: its name, and its address where it is known."""

    name: str
    ip: str = ""


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one recipient."""

    final: TypedAddress
    original: TypedAddress | None = None  # as the sender wrote it (ORCPT)
    action: Action
    status: str  # 5.1.1
    comment: str = ""  # about the status, for people
    remote: Mta | None = None  # who said what is in the diagnostic
    diagnostic: tuple[str, ...] = ()  # reply of SMTP, line by line, with its codes
    last_attempt_ms: int | None = None
    will_retry_until_ms: int | None = None  # DELAYED only
    final_log_id: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The part that machines read."""

    reporting: Mta
    recipients: tuple[Recipient, ...]
    envelope_id: str = ""  # ENVID, without its xtext
    gateway: str = ""
    received_from: Mta | None = None
    arrival_ms: int | None = None
    future_release: str = ""  # RFC 4865 §5


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A message that tells a sender what became of his.    The text has LF line ends."""

    from_: compose.Mailbox
    to: compose.Mailbox
    subject: str
    message_id: str  # without brackets
    references: str = ""  # id of the original message, without brackets
    date_ms: int
    text: str
    report: Report
    original: bytes = b""  # header of the message, or the message; empty: nothing comes back
    is_whole: bool = False  # it is the message
    is_utf8: bool = False  # it is one of SMTPUTF8


class Built(msgspec.Struct, frozen=True):
    """The bytes of a notification."""

    message: bytes
    has_8bit: bool


# ---------------------------------------------------------------- building


def build(
    notification: Notification, make_boundary: Callable[[], str], *, utf8: bool = False
) -> Built:
    """The message, with Return-Path and the like still to be put before it.

    Input  utf8: the way to the sender takes SMTPUTF8 (and 8 bits); only of use where the
           original message needed it, or an address does.
    """
    fields = (
        compose.address_field("From", [notification.from_], utf8=utf8),
        compose.address_field("To", [notification.to], utf8=utf8),
        compose.text_field("Subject", notification.subject, utf8=utf8),
        compose.field("Message-Id", f"<{_one_word(notification.message_id)}>"),
        _references(notification, utf8=utf8),
        compose.field("Date", format_date(notification.date_ms)),
        # RFC 3834 §5: so that no other machine answers.
        compose.field("Auto-Submitted", "auto-replied"),
    )
    parts = [
        compose.text(notification.text, eight_bit=utf8),
        _status_part(notification.report, utf8=utf8),
    ]
    if notification.original:
        parts.append(_original_part(notification, utf8=utf8))
    content = compose.Multipart("report", tuple(parts), (("report-type", "delivery-status"),))
    message = compose.render(fields, content, make_boundary)
    return Built(message, not message.isascii())


def _references(notification: Notification, *, utf8: bool) -> bytes:
    reference = _one_word(notification.references)
    if not reference or not (utf8 or reference.isascii()):
        return b""
    return compose.field("References", f"<{reference}>")


def _one_word(text: str) -> str:
    return "".join(compose.clean(text).split())


def _status_part(report: Report, *, utf8: bool) -> compose.Leaf:
    lines = _Fields(utf8=utf8)
    # RFC 3464 §2.2.1, §2.3.2: as they were written.
    lines.add_whole("Original-Envelope-Id", report.envelope_id)
    lines.add("Reporting-MTA", _mta(report.reporting))
    lines.add("DSN-Gateway", f"dns; {report.gateway}" if report.gateway else "")
    lines.add("Received-From-MTA", _mta(report.received_from))
    lines.add_date("Arrival-Date", report.arrival_ms)
    lines.add("Future-Release-Request", report.future_release)
    for recipient in report.recipients:
        lines.end_group()
        _add_recipient(lines, recipient, utf8=utf8)
    kind = "message/global-delivery-status" if utf8 else "message/delivery-status"
    data = lines.data
    encoding = "8bit" if utf8 and not data.isascii() else "7bit"
    fields = (
        compose.content_type(kind),
        compose.field("Content-Transfer-Encoding", encoding),
    )
    return compose.Leaf(fields, data)


def _add_recipient(lines: "_Fields", recipient: Recipient, *, utf8: bool) -> None:
    if recipient.original is not None:
        lines.add_whole("Original-Recipient", _address(recipient.original, utf8=utf8))
    lines.add_whole("Final-Recipient", _address(recipient.final, utf8=utf8))
    lines.add("Action", recipient.action)
    comment = recipient.comment.translate(_IN_COMMENT).strip()
    lines.add("Status", f"{recipient.status} ({comment})" if comment else recipient.status)
    lines.add("Remote-MTA", _mta(recipient.remote))
    if recipient.diagnostic:
        lines.add_lines("Diagnostic-Code", "smtp;", recipient.diagnostic)
    lines.add_date("Last-Attempt-Date", recipient.last_attempt_ms)
    lines.add("Final-Log-Id", recipient.final_log_id)
    if recipient.action is Action.DELAYED:
        lines.add_date("Will-Retry-Until", recipient.will_retry_until_ms)


_IN_COMMENT = str.maketrans("()\\", "[]/")


class _Fields:
    """Fields of message/delivery-status, one group after the other."""

    def __init__(self, *, utf8: bool) -> None:
        self.data = b""
        self._utf8 = utf8

    def add(self, name: str, value: str) -> None:
        """A field, folded between words; none without a value."""
        words = self._plain(value).split()
        if words:
            self._put(name, [words])

    def add_whole(self, name: str, value: str) -> None:
        """A field whose value stays as it is, in one line; none without a value."""
        plain = self._plain(value).strip()
        if plain:
            self._put(name, [[plain]])

    def add_lines(self, name: str, first: str, lines: Iterable[str]) -> None:
        """A field whose value has lines of its own: each begins a line."""
        split = [self._plain(line).split() for line in lines]
        self._put(name, [[first, *split[0]], *split[1:]])

    def add_date(self, name: str, time_ms: int | None) -> None:
        """A field with a time."""
        if time_ms is not None:
            self._put(name, [[format_date(time_ms)]])

    def end_group(self) -> None:
        """An empty line."""
        self.data += b"\r\n"

    def _plain(self, text: str) -> str:
        plain = compose.clean(text)
        return plain if self._utf8 else plain.encode("ascii", "replace").decode()

    def _put(self, name: str, lines: list[list[str]]) -> None:
        out = [f"{name}:"]
        for index, words in enumerate(lines):
            for place, word in enumerate(words):
                fits = len(out[-1]) + 1 + len(word) <= _FOLD_AT
                is_beside = index == 0 and place == 0
                if is_beside or (fits and place > 0):
                    out[-1] += f" {word}"
                else:
                    out.append(f" {word}")
        self.data += "\r\n".join(out).encode() + b"\r\n"


def _mta(mta: Mta | None) -> str:
    if mta is None:
        return ""
    name = _one_word(mta.name).translate(_IN_COMMENT)
    return f"dns; {name} ({address_literal(_one_word(mta.ip))})" if mta.ip else f"dns; {name}"


def _address(address: TypedAddress, *, utf8: bool) -> str:
    text = compose.clean(address.address)
    if address.kind == "utf-8" and not utf8:
        text = encode_unitext(text)
    return f"{address.kind}; {text}"


def encode_unitext(text: str) -> str:
    """An address of type utf-8 in ASCII.    RFC 6533 §3: utf-8-addr-xtext."""
    return "".join(
        character if _QCHAR.fullmatch(character) else f"\\x{{{ord(character):02X}}}"
        for character in text
    )


def decode_unitext(text: str) -> str:
    """The address that it says; a number that is no character stays.    RFC 6533 §3."""

    def character(found: re.Match[str]) -> str:
        number = int(found[1], 16)
        is_one = number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
        return chr(number) if is_one else found[0]

    return _EMBEDDED.sub(character, text)


def _original_part(notification: Notification, *, utf8: bool) -> compose.Leaf:
    """RFC 6522 §3 (c), RFC 6533 §4: headers or the whole, in a type that fits its bytes."""
    original, whole = notification.original, notification.is_whole
    if utf8 and notification.is_utf8:
        kind = "message/global" if whole else "message/global-headers"
        return _leaf(kind, original, "7bit" if original.isascii() else "8bit")
    if whole and not notification.is_utf8:
        # message/rfc822 cannot be encoded (RFC 2046 §5.2.1): the path must take 8 bits.
        return _leaf("message/rfc822", original, "7bit" if original.isascii() else "8bit")
    if original.isascii() and not whole:
        return _leaf("text/rfc822-headers", original, "7bit")
    # RFC 6533 §4.5: 7-bit encodings where the way back takes no more.
    if whole:
        return _leaf("message/global", compose.base64_lines(original), "base64")
    encoded = compose.base64_lines(original)
    return _leaf("text/rfc822-headers", encoded, "base64", (("charset", "utf-8"),))


def _leaf(
    kind: str, data: bytes, encoding: str, parameters: tuple[tuple[str, str], ...] = ()
) -> compose.Leaf:
    fields = (
        compose.content_type(kind, parameters),
        compose.field("Content-Transfer-Encoding", encoding),
    )
    return compose.Leaf(fields, data)


# ---------------------------------------------------------------- reading


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that was read."""

    report: Report
    text: str  # of its first part
    original_header: bytes  # of the message it is about; empty where none came back


_STATUS_TYPES = (b"DELIVERY-STATUS", b"GLOBAL-DELIVERY-STATUS")
_ORIGINAL_TYPES = {
    (b"TEXT", b"RFC822-HEADERS"),
    (b"MESSAGE", b"GLOBAL-HEADERS"),
    (b"MESSAGE", b"RFC822"),
    (b"MESSAGE", b"GLOBAL"),
    (b"APPLICATION", b"OCTET-STREAM"),  # what could not be opened
}


def is_notification(message: Part) -> bool:
    """Does a message have the form of one?    RFC 6522 §3, RFC 6533 §4.4."""
    return (
        (message.media_type, message.media_subtype) == (b"MULTIPART", b"REPORT")
        and (parameter(message.params, b"report-type") or b"delivery-status").lower()
        in (b"delivery-status", b"global-delivery-status")
        and len(message.parts) >= 2
        and message.parts[1].media_type == b"MESSAGE"
        and message.parts[1].media_subtype in _STATUS_TYPES
    )


def parse(content: Buffer) -> Parsed:
    """Read a notification.    Errors: BadReport."""
    message = mime.parse(content)
    if not is_notification(message):
        raise BadReport("not a delivery status notification")
    if len(message.parts) > 3:
        raise BadReport("more than three parts")
    first, status, *rest = message.parts
    if rest and (rest[0].media_type, rest[0].media_subtype) not in _ORIGINAL_TYPES:
        raise BadReport("the third part is not the original message")
    if status.body_size > DSN_STATUS:
        raise BadReport("delivery status too large")
    return Parsed(
        report=_read_report(body.decoded(content, Located(status, ()))),
        # RFC 6522 §3 (a): mostly plain text; some servers put alternatives there.
        text=body.text_of(content, Located(first, ()), DSN_STATUS) if first.is_text else "",
        original_header=_original_header(content, rest[0]) if rest else b"",
    )


def _original_header(content: Buffer, part: Part) -> bytes:
    if part.message is not None:
        within = (part,) if part.message_decoded else ()
        data = source(content, within)
        return bytes(data[part.message.header_offset : part.message.body_offset])[:HEADER_PARSE]
    data = body.decoded(content, Located(part, ()))[:HEADER_PARSE]
    return data[: header.end_of_header(data)]


def _read_report(data: bytes) -> Report:
    groups = [group for group in re.split(rb"(?:\r?\n)(?:[ \t]*\r?\n)+", data.strip()) if group]
    if len(groups) < 2:
        raise BadReport("no recipient")
    if len(groups) - 1 > DSN_RECIPIENTS:
        raise BadReport("too many recipients")
    message = _Group(groups[0])
    reporting = message.mta(b"reporting-mta")
    if reporting is None:
        raise BadReport("no Reporting-MTA")
    gateway = message.mta(b"dsn-gateway")
    return Report(
        reporting=reporting,
        recipients=tuple(_read_recipient(_Group(group)) for group in groups[1:]),
        envelope_id=message.text(b"original-envelope-id"),
        gateway="" if gateway is None else gateway.name,
        received_from=message.mta(b"received-from-mta"),
        arrival_ms=message.date(b"arrival-date"),
        future_release=message.text(b"future-release-request"),
    )


def _read_recipient(group: "_Group") -> Recipient:
    final = group.address(b"final-recipient")
    if final is None:
        raise BadReport("no Final-Recipient")
    action = without_comments(group.raw(b"action")).strip().lower().decode("ascii", "replace")
    if action not in tuple(Action):
        raise BadReport("no Action")
    status, _, comment = group.text(b"status").partition("(")
    if not _STATUS.fullmatch(status.strip()):
        raise BadReport("no Status")
    kind, _, diagnostic = group.text(b"diagnostic-code").partition(";")
    is_smtp = kind.strip().lower() == "smtp"
    return Recipient(
        final=final,
        original=group.address(b"original-recipient"),
        action=Action(action),
        status=status.strip(),
        comment=comment.strip().removesuffix(")").strip(),
        remote=group.mta(b"remote-mta"),
        diagnostic=group.lines(b"diagnostic-code") if is_smtp and diagnostic else (),
        last_attempt_ms=group.date(b"last-attempt-date"),
        will_retry_until_ms=group.date(b"will-retry-until"),
        final_log_id=group.text(b"final-log-id"),
    )


_Read = TypeVar("_Read")


class _Group:
    """The fields of a group, each at most once."""

    def __init__(self, data: bytes) -> None:
        self._fields: dict[bytes, header.Field] = {}
        for found in header.fields(data):
            name = found.name.strip()
            if name in _KNOWN and name in self._fields:
                raise BadReport("a field is there twice")
            self._fields.setdefault(name, found)

    def raw(self, name: bytes) -> bytes:
        """The unfolded value; empty where there is none."""
        found = self._fields.get(name)
        return b"" if found is None else found.value

    def text(self, name: bytes) -> str:
        """The value as text, within its line."""
        return compose.clean(decode_charset(self.raw(name), b""))

    def lines(self, name: bytes) -> tuple[str, ...]:
        """A reply of SMTP behind the type: a new line where one begins with a code, else a fold."""
        raw = self._fields[name].value_raw.partition(b";")[2]
        lines: list[str] = []
        for piece in raw.split(b"\n"):
            line = decode_charset(piece.strip(b" \t\r"), b"")
            if line and lines and not _REPLY_LINE.match(line):
                lines[-1] += f" {line}"
            elif line:
                lines.append(line)
        return tuple(lines)

    def address(self, name: bytes) -> TypedAddress | None:
        """Type and address, decoded."""
        value = compose.clean(decode_charset(without_comments(self.raw(name)), b""))
        kind, semicolon, address = value.partition(";")
        kind, plain = kind.strip().lower(), address.strip()
        if not semicolon or not plain:
            return None
        if kind == "utf-8":
            decoded = compose.clean(decode_unitext(plain)).strip()
            # An escape that would make a comment of what follows stays as it was written.
            if decoded and without_comments(decoded.encode()) == decoded.encode():
                plain = decoded
        return TypedAddress(kind, plain)

    def mta(self, name: bytes) -> Mta | None:
        """Name and address of a server."""
        _, semicolon, value = self.text(name).partition(";")
        if not semicolon or not value.strip():
            return None
        ip = _IP.search(value)
        plain = value if ip is None else value[: ip.start()]
        return Mta(plain.strip(), "" if ip is None else ip[1])

    def date(self, name: bytes) -> int | None:
        """A time; None where there is none that can be read."""
        found = parse_date(self.raw(name))
        return None if found is None else found[0]


_KNOWN = frozenset(
    {
        b"original-envelope-id",
        b"reporting-mta",
        b"dsn-gateway",
        b"received-from-mta",
        b"arrival-date",
        b"original-recipient",
        b"final-recipient",
        b"action",
        b"status",
        b"remote-mta",
        b"diagnostic-code",
        b"last-attempt-date",
        b"final-log-id",
        b"will-retry-until",
    }
)
