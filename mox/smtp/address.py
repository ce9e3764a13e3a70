"""Addresses of the envelope: local part, domain or address literal, path.

Source  RFC 5321 §4.1.2, §4.1.3, RFC 6531 §3.3, RFC 5890.
Laws    parse(format(address)) == address; equal addresses are equal values (NFC local part, lower
        case A-label domain); parsing raises CommandError only.
"""

import ipaddress
import re
import unicodedata
from functools import lru_cache
from typing import Final

import idna
import msgspec

from mox.base.limits import SMTP_DOMAIN, SMTP_LOCALPART, SMTP_PATH
from mox.smtp.cursor import Cursor
from mox.smtp.errors import CommandError
from mox.smtp.replies import SYNTAX

# RFC 5321 §4.1.2, RFC 6531 §3.3: atext and qtextSMTP, each with UTF8-non-ascii.
_ATEXT = rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\xff]"
_DOT_STRING = re.compile(_ATEXT + rb"+(?:\." + _ATEXT + rb"+)*")
_QUOTED = re.compile(rb'"((?:[ !#-\[\]-~\x80-\xff]|\\[ -~])*)"')
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_DOMAIN_RUN = re.compile(rb"[A-Za-z0-9.\-\x80-\xff]+")
_LABEL = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LITERAL = re.compile(rb"\[([0-9A-Za-z.:\-]{1,100})\]")
_PLAIN_LOCALPART = re.compile(
    r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\U0010ffff]+"
    r"(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\U0010ffff]+)*"
)


class Address(msgspec.Struct, frozen=True, order=True):
    """A mailbox of the envelope.

    ``localpart`` is unquoted and in NFC; it may be empty (``""@example.org``).  ``domain`` is in
    lower case with A-labels, or an address literal in brackets; it is empty only for the null
    reverse path (then ``localpart`` is empty too) and for the bare ``postmaster``.
    """

    localpart: str
    domain: str

    @property
    def is_null(self) -> bool:
        """The null reverse path ``<>``."""
        return not self.localpart and not self.domain

    @property
    def is_literal(self) -> bool:
        """The domain is an address literal."""
        return self.domain.startswith("[")

    @property
    def needs_utf8(self) -> bool:
        """Can only travel with SMTPUTF8.    RFC 6531 §3.1; an IDNA domain alone does not count."""
        return not self.localpart.isascii()

    def __str__(self) -> str:
        """With A-labels; quoted only where needed; empty for the null reverse path."""
        return self._format(self.domain)

    def unicode(self) -> str:
        """With U-labels, for people and for SMTPUTF8 messages."""
        return self._format(domain_to_unicode(self.domain))

    def path(self) -> str:
        """As in MAIL and RCPT: in angle brackets, with A-labels."""
        return f"<{self}>"

    def _format(self, domain: str) -> str:
        if not domain:
            return quote_localpart(self.localpart) if self.localpart else ""
        return f"{quote_localpart(self.localpart)}@{domain}"


NULL_PATH: Final = Address("", "")


class Path(msgspec.Struct, frozen=True):
    """An address as written in a command, with what matters about the writing."""

    address: Address
    localpart_utf8: bool  # the written local part has non-ASCII characters
    domain_utf8: bool  # the written domain has U-labels


def quote_localpart(localpart: str) -> str:
    """As it is where the grammar allows, else a quoted string.    RFC 5321 §4.1.2."""
    if _PLAIN_LOCALPART.fullmatch(localpart):
        return localpart
    return '"' + localpart.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_path(cursor: Cursor, *, null: bool = False, postmaster: bool = False) -> Path:
    """Read ``<...>``; a source route is read and forgotten (RFC 5321 §4.1.1.3, appendix C).

    Input   null: ``<>`` is allowed; postmaster: ``<postmaster>`` without a domain is allowed and
            its length is limited (RFC 5321 §4.5.3.1.3).
    Errors  CommandError.  Non-ASCII characters are allowed here; the caller knows about SMTPUTF8.
    """
    start = cursor.pos
    cursor.expect(b"<")
    if null and cursor.take(b">"):
        return Path(NULL_PATH, localpart_utf8=False, domain_utf8=False)
    if postmaster and cursor.take(b"POSTMASTER>"):
        return Path(Address("postmaster", ""), localpart_utf8=False, domain_utf8=False)
    if cursor.peek() == b"@":
        _skip_route(cursor)
    path = _read_address(cursor)
    cursor.expect(b">")
    if postmaster and cursor.pos - start > SMTP_PATH:
        raise cursor.fail("path too long")
    return path


def parse_address(text: str) -> Address:
    """``localpart@domain`` as people write it in settings and login forms.    Errors: CommandError."""
    cursor = Cursor(text.encode("utf-8", "surrogateescape"))
    address = _read_address(cursor).address
    cursor.end()
    return address


def read_domain(cursor: Cursor) -> str:
    """A domain name in lower case with A-labels.    Errors: CommandError."""
    raw = cursor.match(_DOMAIN_RUN)
    if raw is None:
        raise cursor.fail("expected a domain")
    return _canonical_domain(raw)


def read_literal(cursor: Cursor) -> str:
    """``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` in canonical form.    RFC 5321 §4.1.3."""
    found = _LITERAL.match(cursor.data, cursor.pos)
    if found is None:
        raise cursor.fail("expected an address literal")
    text = found[1].decode("ascii")
    try:
        if text[:5].lower() == "ipv6:":
            literal = f"[IPv6:{ipaddress.IPv6Address(text[5:])}]"
        else:
            literal = f"[{ipaddress.IPv4Address(text)}]"
    except ValueError as e:
        raise cursor.fail("bad address literal") from e
    cursor.pos = found.end()
    return literal


def ip_literal(ip: str) -> str:
    """An IP address as an address literal.    RFC 5321 §4.1.3."""
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"


def parse_domain(text: str) -> str:
    """A domain name in lower case with A-labels.    Errors: CommandError."""
    cursor = Cursor(text.encode("utf-8", "surrogateescape"))
    domain = read_domain(cursor)
    cursor.end()
    return domain


def domain_to_unicode(domain: str) -> str:
    """A domain with U-labels; a label that has none stays."""
    if "xn--" not in domain:
        return domain
    return ".".join(_label_to_unicode(label) for label in domain.split("."))


def _label_to_unicode(label: str) -> str:
    try:
        return idna.ulabel(label)
    except idna.IDNAError:
        return label


def _skip_route(cursor: Cursor) -> None:
    # A-d-l = At-domain *( "," At-domain ), then ":".  Bounded by the length of the line.
    cursor.expect(b"@")
    read_domain(cursor)
    while cursor.take(b","):
        cursor.expect(b"@")
        read_domain(cursor)
    cursor.expect(b":")


def _read_address(cursor: Cursor) -> Path:
    localpart, localpart_utf8 = _read_localpart(cursor)
    cursor.expect(b"@")
    start = cursor.pos
    domain = read_literal(cursor) if cursor.peek() == b"[" else read_domain(cursor)
    domain_utf8 = not cursor.data[start : cursor.pos].isascii()
    return Path(Address(localpart, domain), localpart_utf8=localpart_utf8, domain_utf8=domain_utf8)


def _read_localpart(cursor: Cursor) -> tuple[str, bool]:
    if cursor.peek() == b'"':
        found = _QUOTED.match(cursor.data, cursor.pos)
        if found is None:
            raise cursor.fail("bad quoted localpart")
        cursor.pos = found.end()
        raw = _QUOTED_PAIR.sub(rb"\1", found[1])
    else:
        plain = cursor.match(_DOT_STRING)
        if plain is None:
            raise cursor.fail("expected a localpart")
        raw = plain
    if len(raw) > SMTP_LOCALPART:
        raise cursor.fail("localpart too long")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        raise cursor.fail("localpart is not valid utf-8") from e
    # RFC 6531 §3.1 leaves equality to the delivering server; NFC makes both writings one address.
    return unicodedata.normalize("NFC", text), not raw.isascii()


@lru_cache(
    maxsize=4096
)  # the domains of a day are few, and each is looked at several times per message
def _canonical_domain(raw: bytes) -> str:
    # The limit is of the A-label form; in UTF-8 a character takes up to four bytes.
    if len(raw) > 4 * SMTP_DOMAIN:
        raise _bad_domain("domain too long")
    try:
        text = raw.decode("utf-8").lower()
        if not text.isascii() or "xn--" in text:
            # RFC 5890 §2.3.2.1: valid A-labels and U-labels only; UTS 46 folds case and width.
            text = idna.encode(text, uts46=True).decode("ascii")
    except UnicodeError as e:  # idna.IDNAError is one
        raise _bad_domain("bad internationalised domain") from e
    if len(text) > SMTP_DOMAIN:
        raise _bad_domain("domain too long")
    if not all(_LABEL.fullmatch(label.encode()) for label in text.split(".")):
        raise _bad_domain("bad domain")
    # RFC 5321 §4.1.3: an address needs brackets; a name that looks like one is refused.
    if text.rpartition(".")[2].isdigit():
        raise _bad_domain("an ip address needs brackets")
    return text


def _bad_domain(what: str) -> CommandError:
    return CommandError(SYNTAX.with_suffix(f": {what}"))
