"""What the header section of a message says, read once for everybody who judges it.

Strangers write it: work is bounded by limits.HEADER_PARSE and HEADER_FIELDS, whatever they wrote.
"""

import re
import unicodedata

import msgspec

from mox._speedups import (
    LEADING_SPACE,
    NO_COLON,
    NO_NAME,
    TOO_LARGE,
    header_values,
    scan_header,
)
from mox.base.limits import HEADER_FIELDS, HEADER_PARSE, SMTP_FROM, SMTP_LOCALPART
from mox.dns.name import BadName, Domain, parse_domain
from mox.mailauth.arc.chain import MESSAGE_SIGNATURE, RESULTS, SEAL
from mox.message import address as addresses
from mox.message import messageid
from mox.message.header import unfold
from mox.message.quoting import unquote
from mox.smtp.address import Address, domain_to_unicode

_ARC = (SEAL, MESSAGE_SIGNATURE, RESULTS)
_WANTED = frozenset((b"from", b"to", b"cc", b"subject", b"message-id", *_ARC))
_ODD_DOMAINS = 20  # domains in Unicode compared with one recipient
# RFC 5322 §4.5: space before the colon.  We take it for another field, some mail programs do not.
# The line end first: the search goes from one to the next.
_OBSOLETE_FROM = re.compile(rb"\n[Ff][Rr][Oo][Mm][ \t]+:")


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who a message says it is from."""

    localpart: str  # unquoted, NFC
    domain: Domain
    written: addresses.Address  # as it stands in the header

    def __str__(self) -> str:
        return f"{self.localpart}@{self.domain.unicode}"


class Heading:
    """The header section of one message."""

    __slots__ = (
        "_recipients",
        "_values",
        "author",
        "author_problem",
        "block",
        "is_ambiguous",
        "is_readable",
        "message_id",
    )

    def __init__(self, block: bytes) -> None:
        self.block = block  # with its empty line, as far as HEADER_PARSE
        self._values, _, _, faults = header_values(
            block, 0, len(block), HEADER_PARSE, HEADER_FIELDS, (), _WANTED
        )
        self.is_readable = not faults & (NO_COLON | LEADING_SPACE | NO_NAME | TOO_LARGE)
        self._recipients: dict[str, set[str]] | None = None  # local part to domains as written
        self.author: Author | None = None
        self.author_problem = ""
        self.is_ambiguous = False
        self._read_author()
        # The canonical Message-ID, empty where there is none.
        ids = self._values.get(b"message-id", [])
        found = messageid.canonical(unfold(ids[0])) if ids else None
        self.message_id = "" if found is None else found.value

    @property
    def is_complete(self) -> bool:
        """It was not cut at HEADER_PARSE."""
        return len(self.block) < HEADER_PARSE or self.block.endswith(b"\r\n\r\n")

    @property
    def has_arc(self) -> bool:
        """There are fields of a chain of seals."""
        return any(name in self._values for name in _ARC)

    def _read_author(self) -> None:
        """RFC 5322 §3.6.2, RFC 7489 §6.6.1: nothing is guessed about who it is."""
        values = self._values.get(b"from", [])
        if len(values) > 1 or (values and _has_obsolete_from(self.block)):
            self.author_problem, self.is_ambiguous = "several From fields", True
            return
        if not values:
            self.author_problem = "no From field"
            return
        if len(values[0]) > SMTP_FROM:
            self.author_problem, self.is_ambiguous = "From field too long", True
            return
        found, is_strict = addresses.parse_both(values[0])
        strict = addresses.mailboxes(found)
        if len([one for one in strict if one.host]) > 1:
            self.author_problem, self.is_ambiguous = "several addresses in From", True
            return
        if not is_strict:
            self.author_problem = "malformed From field"
            return
        if not strict:
            self.author_problem = "no address in From"
            return
        if len(strict[0].mailbox or b"") <= SMTP_LOCALPART:
            self.author = author_of(strict[0])
        if self.author is None:
            self.author_problem = "bad address in From"

    @property
    def subject(self) -> bytes:
        """The first Subject, unfolded, encoded words as they are; empty where there is none."""
        values = self._values.get(b"subject", [])
        return unfold(values[0]) if values else b""

    def is_addressed_to(self, address: Address) -> bool:
        """Is the address of the envelope in To or Cc?    The exact local part; any form of its domain.

        Cost  the first time, of a header full of addresses, 50 ms.
        """
        if self._recipients is None:
            self._recipients = self._read_recipients()
        domains = self._recipients.get(address.localpart, set())
        known = {address.domain, domain_to_unicode(address.domain)}
        if not known.isdisjoint(domains):
            return True
        # Other spellings; each costs, and a stranger wrote them.
        odd = [domain for domain in domains if not domain.isascii()][:_ODD_DOMAINS]
        return any(found is not None and found.ascii in known for found in map(_domain, odd))

    def _read_recipients(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        values = [*self._values.get(b"to", ()), *self._values.get(b"cc", ())]
        for one in addresses.parse_fields(values):
            if one.host:
                host = one.host.decode("utf-8", "replace").lower()
                found.setdefault(_localpart(one), set()).add(host)
        return found

    def fields(self, limit: int) -> list[tuple[bytes, bytes]]:
        """Names in lower case and unfolded values, in order, at most so many."""
        spans = scan_header(self.block, 0, len(self.block), HEADER_PARSE, limit, (), None)[0]
        return [(name, unfold(self.block[value:end])) for name, _, value, end in spans]


def _has_obsolete_from(block: bytes) -> bool:
    return _OBSOLETE_FROM.search(b"\n" + block) is not None


def author_of(one: addresses.Address) -> Author | None:
    """An address of a header; None where its domain is no name."""
    domain = _domain((one.host or b"").decode("utf-8", "replace"))
    return None if domain is None else Author(localpart=_localpart(one), domain=domain, written=one)


def _localpart(one: addresses.Address) -> str:
    mailbox = one.mailbox or b""
    if mailbox.startswith(b'"'):
        mailbox = unquote(mailbox)
    return unicodedata.normalize("NFC", mailbox.decode("utf-8", "replace"))


def _domain(text: str) -> Domain | None:
    try:
        return parse_domain(text, lax=True)
    except BadName:
        return None
