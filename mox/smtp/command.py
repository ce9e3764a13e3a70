"""One line → verb and arguments; the arguments of each command.

Source  RFC 5321 §4.1.1, RFC 4954 §4, RFC 3207 §4, RFC 3030 §2.
Laws    parsing is complete before anything is done; it raises CommandError only.
"""

import binascii
import re
from collections.abc import Set
from ipaddress import ip_address

import msgspec

from mox.base.limits import SMTP_CHUNK_DIGITS
from mox.smtp import replies
from mox.smtp.address import Address, Path, read_domain, read_literal, read_path
from mox.smtp.cursor import Cursor
from mox.smtp.errors import CommandError
from mox.smtp.params import (
    NO_PARAMS,
    MailParams,
    RcptParams,
    read_mail_params,
    read_rcpt_params,
)
from mox.smtp.reply import Reply
from mox.smtp.xtext import decode_xtext

_STRING = re.compile(rb'"(?:[ !#-\[\]-~\x80-\xff]|\\[ -~])*"|[!#-~\x80-\xff]+')
_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}")  # RFC 4422 §3.1
_BASE64 = re.compile(
    rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
)  # RFC 4648 §4, padding required
_SPACES = re.compile(rb" +")
_XFORWARD_NAME = re.compile(rb"[A-Za-z]+")
_XFORWARD_VALUE = re.compile(rb"[!-<>-~]+")
_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
XFORWARD_NAMES = (b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO", b"IDENT", b"SOURCE")
_CHUNK_SIZE = re.compile(rb"[0-9]{1,%d}" % SMTP_CHUNK_DIGITS)  # RFC 3030 §2: chunk-size


class Command(msgspec.Struct, frozen=True):
    """A line taken apart: the verb in upper case, the rest with its leading space."""

    verb: bytes
    rest: bytes


class MailFrom(msgspec.Struct, frozen=True):
    """MAIL, read."""

    sender: Address
    params: MailParams


class RcptTo(msgspec.Struct, frozen=True):
    """RCPT, read.    The bare postmaster has an empty domain."""

    recipient: Address
    params: RcptParams


class Bdat(msgspec.Struct, frozen=True):
    """BDAT, read.    ``size`` octets follow its line; ``last``: they end the message."""

    size: int
    last: bool


class Forwarded(msgspec.Struct, frozen=True):
    """XFORWARD, read.    None: nothing was said of it; empty: the other server does not know it."""

    ip: str | None = None  # of the client that the other server had the message from
    hello: str | None = None  # its name or address literal


class Auth(msgspec.Struct, frozen=True):
    """AUTH, read.    ``initial`` is decoded; None when there was no initial response."""

    mechanism: str
    initial: bytes | None


class Hello(msgspec.Struct, frozen=True):
    """EHLO or HELO, read.    ``name`` is a domain or an address literal in brackets."""

    name: str


def split_command(line: bytes) -> Command:
    """The verb up to the first space, and the rest.    RFC 5321 §2.4: verbs in any case."""
    verb, space, rest = line.partition(b" ")
    return Command(verb.upper(), space + rest)


def parse_hello(rest: bytes, *, extended: bool) -> Hello:
    """EHLO (``extended``) takes a domain or a literal, HELO a domain.    RFC 5321 §4.1.1.1."""
    cursor = Cursor(rest.rstrip(b" \t"))
    cursor.expect(b" ")
    if extended and cursor.peek() == b"[":
        name = read_literal(cursor)
        if cursor.peek() in {b"", b" "}:  # text after a literal is ignored
            return Hello(name)
        raise cursor.fail("unexpected text after the address literal")
    start = cursor.pos
    name = read_domain(cursor)
    if not rest[start : cursor.pos].isascii():
        # RFC 6531 §3.7.1: A-labels in EHLO.
        cursor.pos = start
        raise cursor.fail("expected an ascii domain")
    cursor.end()
    return Hello(name)


def parse_mail(rest: bytes, *, exact_end: bool, refused: Set[bytes] = NO_PARAMS) -> MailFrom:
    """``FROM:<path>`` and parameters.

    The path may use UTF-8 only if SMTPUTF8 follows it.
    Input   exact_end: no spaces at the end; refused: parameters that are not offered here.
    """
    cursor = _arguments(rest, exact_end=exact_end)
    cursor.expect(b" FROM:")
    cursor.take(b" ")  # a common mistake, harmless
    path = read_path(cursor, null=True)
    params = read_mail_params(cursor, refused=refused)
    if not params.smtputf8:
        check_ascii(path, replies.MAIL_NEEDS_UTF8)
    return MailFrom(path.address, params)


def parse_rcpt(
    rest: bytes, *, exact_end: bool, smtputf8: bool, refused: Set[bytes] = NO_PARAMS
) -> RcptTo:
    """``TO:<path>`` and parameters.    RFC 5321 §4.1.1.3.    Input: as ``parse_mail``."""
    cursor = _arguments(rest, exact_end=exact_end)
    cursor.expect(b" TO:")
    cursor.take(b" ")
    path = read_path(cursor, postmaster=True)
    params = read_rcpt_params(cursor, refused=refused)
    if not smtputf8:
        check_ascii(path, replies.RCPT_NEEDS_UTF8)
        if params.orcpt_utf8:  # RFC 6533 §3: unitext is for SMTPUTF8 only
            raise CommandError(replies.SYNTAX.with_suffix(": bad ORCPT"))
    return RcptTo(path.address, params)


def check_ascii(path: Path, refusal: Reply) -> None:
    """Refuse what needs SMTPUTF8.    RFC 6531 §3.5: 550 or 553 with X.6.7 for a local part."""
    if path.localpart_utf8:
        raise CommandError(refusal)
    if path.domain_utf8:
        raise CommandError(replies.SYNTAX.with_suffix(": non-ascii domain requires smtputf8"))


def parse_nothing(rest: bytes, *, exact_end: bool) -> None:
    """No arguments: DATA, RSET, QUIT, STARTTLS."""
    _arguments(rest, exact_end=exact_end).end()


def parse_bdat(rest: bytes, *, exact_end: bool) -> Bdat:
    """The size of a chunk, and LAST.    RFC 3030 §2.

    Errors  CommandError; where the chunk ends is then unknown.
    """
    cursor = _arguments(rest, exact_end=exact_end)
    cursor.expect(b" ")
    size = cursor.match(_CHUNK_SIZE)
    if size is None:
        raise cursor.fail("expected the size of the chunk")
    last = not cursor.at_end
    if last:
        cursor.expect(b" LAST")
    cursor.end()
    return Bdat(int(size), last)


def parse_xforward(rest: bytes) -> Forwarded:
    """What another server of ours tells of its client.    Postfix's XFORWARD_README.

    Errors  CommandError.  A client's name that is none counts as unknown: it is the client's fault.
    """
    cursor = Cursor(rest)
    found = {}
    while True:
        cursor.expect(b" ")
        name = cursor.match(_XFORWARD_NAME)
        if name is None or name.upper() not in XFORWARD_NAMES:
            raise cursor.fail("unknown attribute")
        cursor.expect(b"=")
        value = cursor.match(_XFORWARD_VALUE)
        if value is None:
            raise cursor.fail("expected a value")
        text = decode_xtext(value.decode("ascii"))
        found[name.upper()] = "" if text.upper() in _UNKNOWN else text
        if cursor.at_end:
            break
    ip, hello = found.get(b"ADDR"), found.get(b"HELO")
    try:
        if ip:
            ip = str(ip_address(ip[5:] if ip[:5].upper() == "IPV6:" else ip))
    except ValueError as e:
        raise cursor.fail("bad ADDR") from e
    return Forwarded(ip, None if hello is None else _name_of_client(hello))


def _name_of_client(text: str) -> str:
    try:
        return parse_hello(f" {text}".encode(), extended=True).name
    except CommandError:
        return ""


def parse_optional_string(rest: bytes, *, exact_end: bool) -> None:
    """NOOP and HELP: at most one string, which is ignored.    RFC 5321 §4.1.1.9."""
    cursor = _arguments(rest, exact_end=exact_end)
    if not cursor.at_end:
        _skip_string(cursor)
    cursor.end()


def parse_verify(rest: bytes, *, exact_end: bool) -> None:
    """VRFY and EXPN: one string, maybe SMTPUTF8.    RFC 5321 §4.1.1.6, RFC 6531 §3.7.4.2."""
    cursor = _arguments(rest, exact_end=exact_end)
    _skip_string(cursor)
    cursor.take(b" SMTPUTF8")
    cursor.end()


def parse_auth(rest: bytes, *, exact_end: bool) -> Auth:
    """Mechanism and initial response.    RFC 4954 §4."""
    cursor = _arguments(rest, exact_end=exact_end)
    if cursor.match(_SPACES) is None:
        raise cursor.fail("expected a mechanism")
    name = cursor.match(_MECHANISM)
    if name is None:
        raise cursor.fail("expected a mechanism")
    if name != name.upper():
        raise CommandError(replies.AUTH_MECHANISM_CASE)
    if cursor.peek() not in {b"", b" "}:
        raise CommandError(replies.AUTH_MECHANISM)
    if cursor.at_end:
        # A trailing space announces an initial response that is not there.
        if rest.endswith(b" "):
            raise cursor.fail("expected an initial response")
        return Auth(name.decode("ascii"), None)
    if cursor.match(_SPACES) is None or cursor.at_end:
        raise cursor.fail("expected an initial response")
    encoded = cursor.remainder
    # RFC 4954 §4: "=" is the empty initial response.
    initial = b"" if encoded == b"=" else decode_response(encoded)
    return Auth(name.decode("ascii"), initial)


def decode_response(line: bytes) -> bytes:
    """Base64 of a client's answer.    RFC 4954 §4: anything else is a 501."""
    if _BASE64.fullmatch(line) is None:
        raise CommandError(replies.AUTH_BASE64)
    return binascii.a2b_base64(line)


def _arguments(rest: bytes, *, exact_end: bool) -> Cursor:
    # RFC 5321 §4.1.1: receivers should tolerate trailing white space; submission clients are held
    # to the letter.
    return Cursor(rest if exact_end else rest.rstrip(b" \t"))


def _skip_string(cursor: Cursor) -> None:
    cursor.expect(b" ")
    if cursor.match(_STRING) is None:
        raise cursor.fail("expected a string")
