"""TLSRPT records: who wants reports about TLS to a domain's servers.    RFC 8460 §3."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import TLSRPT_RECORD, TLSRPT_URIS
from mox.dns.base import Resolver

RECORD_LABEL: Final = "_smtp._tls"


class BadRecord(Malformed):
    """A record that means to be TLSRPT and is none, or one of several."""

    default = "malformed TLSRPT record"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a record says."""

    rua: tuple[str, ...]  # URIs, at least one

    @property
    def mail_addresses(self) -> tuple[str, ...]:
        """The addresses of its mailto URIs, still percent-encoded; each once."""
        found = (uri[len("mailto:") :] for uri in self.rua if uri[:7].lower() == "mailto:")
        return tuple(dict.fromkeys(found))


# RFC 8460 §3: the version comes first, is case-sensitive, and ends with ";"
_VERSION = re.compile(rb"v=TLSRPTv1[ \t]*+;")
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e \t][^;]*+)")
# RFC 3986 §3.1; "," "!" and ";" must be percent-encoded
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+:[\x23-\x2b\x2d-\x3a\x3c-\x7e]++")


def is_record(text: bytes) -> bool:
    """Whether a TXT text means to be a TLSRPT record.    RFC 8460 §3: others are ignored."""
    return _VERSION.match(text) is not None


def choose_record(texts: Sequence[bytes]) -> Record | None:
    """The one record among the texts of ``_smtp._tls``; None where there is none.

    Errors  BadRecord: several, or one that cannot be read.
    """
    records = [text for text in texts if is_record(text)]
    if not records:
        return None
    if len(records) > 1:
        raise BadRecord("several TLSRPT records")
    return parse_record(records[0])


def parse_record(text: bytes) -> Record:
    """A record from its TXT text.    Errors: BadRecord."""
    if len(text) > TLSRPT_RECORD or not text.isascii() or not is_record(text):
        raise BadRecord
    pieces = [piece.strip(" \t") for piece in text.decode("ascii").split(";")]
    if pieces[-1] == "":
        pieces.pop()  # the ";" that may end it
    addresses: list[str] = []
    for piece in pieces[1:]:
        found = _FIELD.fullmatch(piece)
        if found is None:
            raise BadRecord
        if found[1] == "rua":
            addresses += [uri.strip(" \t") for uri in found[2].split(",")]
    if not addresses:
        raise BadRecord("TLSRPT record without rua")
    if len(addresses) > TLSRPT_URIS:
        raise BadRecord("TLSRPT record with too many addresses")
    if not all(_URI.fullmatch(uri) for uri in addresses):
        raise BadRecord("TLSRPT record with a malformed address")
    return Record(rua=tuple(addresses))


async def look_up(resolver: Resolver, domain: str) -> tuple[Record | None, bool]:
    """The record for mail to a domain or host, and whether DNSSEC proves the answer.

    Errors  BadRecord; NotFound, Temporary and BadName of the look-up.
    """
    answer = await resolver.txt(f"{RECORD_LABEL}.{domain}")
    return choose_record(answer.records), answer.authentic
