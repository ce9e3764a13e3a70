"""Parameters of MAIL and RCPT: one table each, open for extensions.

Source  RFC 5321 §4.1.2; RFC 1870 (SIZE), RFC 6152 (BODY), RFC 4954 §5 (AUTH), RFC 6531 §3.4
        (SMTPUTF8).  RCPT has none yet: DSN is not implemented.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from mox.smtp.cursor import Cursor
from mox.smtp.errors import CommandError
from mox.smtp.replies import DUPLICATE_PARAM, SYNTAX, UNKNOWN_PARAM
from mox.smtp.reply import reply

_KEYWORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(rb"[!-<>-~\x80-\xff]+")  # RFC 5321 §4.1.2 esmtp-value, RFC 6531 §3.3
_SIZE = re.compile(rb"[0-9]{1,20}")  # RFC 1870 §3: size-value
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # RFC 3461 §4


@dataclass(slots=True)
class MailParams:
    """What the parameters of MAIL say."""

    size: int | None = None  # bytes, as announced
    body_8bit: bool = False
    smtputf8: bool = False


@dataclass(slots=True)
class RcptParams:
    """What the parameters of RCPT say: nothing yet."""


def _size(params: MailParams, value: bytes | None) -> None:
    if value is None or not _SIZE.fullmatch(value):
        raise CommandError(SYNTAX.with_suffix(": bad SIZE"))
    params.size = int(value)


def _body(params: MailParams, value: bytes | None) -> None:
    match (value or b"").upper():
        case b"7BIT":
            params.body_8bit = False
        case b"8BITMIME":
            params.body_8bit = True
        case _:
            # RFC 3030 §3: BINARYMIME is not announced.
            raise CommandError(reply(555, "5.5.4", "unrecognized value of BODY"))


def _auth(_params: MailParams, value: bytes | None) -> None:
    # RFC 4954 §5: a server that does not trust the client behaves as if AUTH=<> was given.
    if value is None or (value != b"<>" and not _XTEXT.fullmatch(value)):
        raise CommandError(SYNTAX.with_suffix(": bad AUTH"))


def _smtputf8(params: MailParams, value: bytes | None) -> None:
    if value is not None:
        raise CommandError(SYNTAX.with_suffix(": SMTPUTF8 has no value"))
    params.smtputf8 = True


MAIL_PARAMS: Final[Mapping[bytes, Callable[[MailParams, bytes | None], None]]] = MappingProxyType(
    {b"SIZE": _size, b"BODY": _body, b"AUTH": _auth, b"SMTPUTF8": _smtputf8}
)
RCPT_PARAMS: Final[Mapping[bytes, Callable[[RcptParams, bytes | None], None]]] = MappingProxyType(
    {}
)


def read_mail_params(cursor: Cursor) -> MailParams:
    """All parameters up to the end of the line.    Errors: CommandError."""
    params = MailParams()
    _read(cursor, MAIL_PARAMS, params)
    return params


def read_rcpt_params(cursor: Cursor) -> RcptParams:
    """All parameters up to the end of the line.    Errors: CommandError."""
    params = RcptParams()
    _read(cursor, RCPT_PARAMS, params)
    return params


P = TypeVar("P")


def _read(
    cursor: Cursor, table: Mapping[bytes, Callable[[P, bytes | None], None]], params: P
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
        apply = table.get(name)
        if apply is None:
            # RFC 5321 §4.1.1.11: 555 for parameters not recognized.
            raise CommandError(UNKNOWN_PARAM)
        apply(params, value)
