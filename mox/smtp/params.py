"""Parameters of MAIL and RCPT: one table each, open for extensions.

Source  RFC 5321 §4.1.2; RFC 1870 (SIZE), RFC 6152 and RFC 3030 (BODY), RFC 4954 §5 (AUTH),
        RFC 6531 §3.4 (SMTPUTF8), RFC 3461 §4 and RFC 6533 §3 (RET, ENVID, NOTIFY, ORCPT), RFC 8689
        (REQUIRETLS), RFC 4865 (HOLDFOR, HOLDUNTIL).
"""

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from mox.base.limits import SMTP_ENVID, SMTP_ORCPT
from mox.smtp.cursor import Cursor
from mox.smtp.errors import CommandError
from mox.smtp.replies import BAD_BODY, DUPLICATE_PARAM, SYNTAX, TWO_HOLDS, UNKNOWN_PARAM

_KEYWORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(rb"[!-<>-~\x80-\xff]+")  # RFC 5321 §4.1.2 esmtp-value, RFC 6531 §3.3
_SIZE = re.compile(rb"[0-9]{1,20}")  # RFC 1870 §3: size-value
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # RFC 3461 §4
# RFC 3461 §4.2, §4.4: what is encoded is printable ASCII: graphic characters, space and tab.
_PRINTABLE_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+(?:09|[2-6][0-9A-F]|7[0-9A-E]))+")
_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+")
# RFC 6533 §3: utf-8-addr-xtext and utf-8-addr-unitext; the hexadecimal number is a character.
_UNITEXT = re.compile(rb"(?:[!-*,-<>-\[\]-~\x80-\xff]|\\x\{([0-9A-Fa-f]{2,6})\})+")
_EMBEDDED = re.compile(rb"\\x\{([0-9A-Fa-f]{2,6})\}")
_INTERVAL = re.compile(rb"[1-9][0-9]{0,8}")  # RFC 4865 §4: future-release-interval
# RFC 4865 §4: an RFC 3339 date-time in UTC, written with Z.
_DATE_TIME = re.compile(
    rb"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?[Zz]", re.ASCII
)


class Body(StrEnum):
    """What the client says of the octets.    RFC 6152 §3, RFC 3030 §3."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Return(StrEnum):
    """How much of the message goes into a notification of failure.    RFC 3461 §4.3."""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(StrEnum):
    """When the sender wants to hear about a recipient.    RFC 3461 §4.1."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


@dataclass(slots=True)
class MailParams:
    """What the parameters of MAIL say."""

    size: int | None = None  # bytes, as announced
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    require_tls: bool = False
    hold_for_s: int | None = None
    hold_until_ms: int | None = None  # since 1970-01-01 UTC
    ret: Return | None = None
    envid: str = ""  # xtext, as written; empty: none


@dataclass(slots=True)
class RcptParams:
    """What the parameters of RCPT say."""

    notify: frozenset[Notify] = frozenset()  # empty: nothing was said
    orcpt: str = ""  # address type, semicolon, encoded address, as written; empty: none
    orcpt_utf8: bool = False  # it is written with UTF-8


def _size(params: MailParams, value: bytes | None) -> None:
    if value is None or not _SIZE.fullmatch(value):
        raise _bad("SIZE")
    params.size = int(value)


def _body(params: MailParams, value: bytes | None) -> None:
    try:
        params.body = Body((value or b"").decode("ascii", "replace").upper())
    except ValueError as e:
        raise CommandError(BAD_BODY) from e


def _auth(_params: MailParams, value: bytes | None) -> None:
    # RFC 4954 §5: a server that does not trust the client behaves as if AUTH=<> was given.
    if value is None or (value != b"<>" and not _XTEXT.fullmatch(value)):
        raise _bad("AUTH")


def _smtputf8(params: MailParams, value: bytes | None) -> None:
    if value is not None:
        raise CommandError(SYNTAX.with_suffix(": SMTPUTF8 has no value"))
    params.smtputf8 = True


def _require_tls(params: MailParams, value: bytes | None) -> None:
    if value is not None:
        raise CommandError(SYNTAX.with_suffix(": REQUIRETLS has no value"))
    params.require_tls = True


def _hold_for(params: MailParams, value: bytes | None) -> None:
    if value is None or not _INTERVAL.fullmatch(value):
        raise _bad("HOLDFOR")
    if params.hold_until_ms is not None:
        raise CommandError(TWO_HOLDS)
    params.hold_for_s = int(value)


def _hold_until(params: MailParams, value: bytes | None) -> None:
    found = None if value is None else _DATE_TIME.fullmatch(value)
    if found is None:
        raise _bad("HOLDUNTIL")
    if params.hold_for_s is not None:
        raise CommandError(TWO_HOLDS)
    *numbers, fraction = found.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    try:
        # RFC 3339 §5.7: second 60 is a leap second; our clock does not know it.
        begun = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError as e:
        raise _bad("HOLDUNTIL") from e
    if second > 60:
        raise _bad("HOLDUNTIL")
    milliseconds = int((fraction or b"0").ljust(3, b"0")[:3]) + 1000 * (second - begun.second)
    params.hold_until_ms = round(begun.timestamp()) * 1000 + milliseconds


def _ret(params: MailParams, value: bytes | None) -> None:
    try:
        params.ret = Return((value or b"").decode("ascii", "replace").upper())
    except ValueError as e:
        raise _bad("RET") from e


def _envid(params: MailParams, value: bytes | None) -> None:
    if value is None or len(value) > SMTP_ENVID or not _PRINTABLE_XTEXT.fullmatch(value):
        raise _bad("ENVID")
    params.envid = value.decode("ascii")


def _notify(params: RcptParams, value: bytes | None) -> None:
    words = (value or b"").decode("ascii", "replace").upper().split(",")
    try:
        found = frozenset(Notify(word) for word in words)
    except ValueError as e:
        raise _bad("NOTIFY") from e
    # RFC 3461 §4.1: NEVER must be alone.
    if len(found) != len(words) or (Notify.NEVER in found and len(found) > 1):
        raise _bad("NOTIFY")
    params.notify = found


def _orcpt(params: RcptParams, value: bytes | None) -> None:
    # RFC 3461 §4.2: up to 500 characters, the keyword included.
    if value is None or len(value) + len("ORCPT=") > SMTP_ORCPT:
        raise _bad("ORCPT")
    kind, semicolon, encoded = value.partition(b";")
    if not semicolon or not _ATOM.fullmatch(kind):
        raise _bad("ORCPT")
    if kind.lower() == b"utf-8":
        if not _is_unitext(encoded):
            raise _bad("ORCPT")
    elif not _PRINTABLE_XTEXT.fullmatch(encoded):
        raise _bad("ORCPT")
    params.orcpt = value.decode("utf-8")
    params.orcpt_utf8 = not value.isascii()


def _is_unitext(encoded: bytes) -> bool:
    """RFC 6533 §3: every number is that of a character, and other text is UTF-8."""
    if not _UNITEXT.fullmatch(encoded):
        return False
    try:
        encoded.decode("utf-8")
    except UnicodeDecodeError:
        return False
    numbers = [int(number, 16) for number in _EMBEDDED.findall(encoded)]
    return all(n <= 0x10FFFF and not 0xD800 <= n <= 0xDFFF for n in numbers)


def _bad(keyword: str) -> CommandError:
    return CommandError(SYNTAX.with_suffix(f": bad {keyword}"))


MAIL_PARAMS: Final[Mapping[bytes, Callable[[MailParams, bytes | None], None]]] = MappingProxyType(
    {
        b"SIZE": _size,
        b"BODY": _body,
        b"AUTH": _auth,
        b"SMTPUTF8": _smtputf8,
        b"RET": _ret,
        b"ENVID": _envid,
        b"REQUIRETLS": _require_tls,
        b"HOLDFOR": _hold_for,
        b"HOLDUNTIL": _hold_until,
    }
)
RCPT_PARAMS: Final[Mapping[bytes, Callable[[RcptParams, bytes | None], None]]] = MappingProxyType(
    {b"NOTIFY": _notify, b"ORCPT": _orcpt}
)

NO_PARAMS: Final[frozenset[bytes]] = frozenset()
DSN_PARAMS: Final = frozenset({b"RET", b"ENVID", b"NOTIFY", b"ORCPT"})


def read_mail_params(cursor: Cursor, *, refused: Set[bytes] = NO_PARAMS) -> MailParams:
    """All parameters up to the end of the line.    Errors: CommandError.

    Input   refused: those of extensions that are not offered here.
    """
    params = MailParams()
    _read(cursor, MAIL_PARAMS, params, refused)
    return params


def read_rcpt_params(cursor: Cursor, *, refused: Set[bytes] = NO_PARAMS) -> RcptParams:
    """All parameters up to the end of the line.    Errors and input: as ``read_mail_params``."""
    params = RcptParams()
    _read(cursor, RCPT_PARAMS, params, refused)
    return params


P = TypeVar("P")


def _read(
    cursor: Cursor,
    table: Mapping[bytes, Callable[[P, bytes | None], None]],
    params: P,
    refused: Set[bytes],
) -> None:
    seen: set[bytes] = set()
    while not cursor.at_end:
        cursor.expect(b" ")
        keyword = cursor.match(_KEYWORD)
        if keyword is None:
            raise cursor.fail("expected a parameter")
        value = None
        if cursor.take(b"="):
            value = cursor.match(_VALUE)
            if value is None:
                raise cursor.fail("expected a value")
        name = keyword.upper()
        if name in seen:
            raise CommandError(DUPLICATE_PARAM)
        seen.add(name)
        apply = None if name in refused else table.get(name)
        if apply is None:
            # RFC 5321 §4.1.1.11: 555 for parameters not recognized.
            raise CommandError(UNKNOWN_PARAM)
        apply(params, value)
