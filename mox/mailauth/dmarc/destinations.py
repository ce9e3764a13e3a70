"""Where aggregate reports about a domain go: those it names, as far as they agree.    RFC 7489 §7.1."""

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import DMARC_DESTINATIONS
from mox.dns.base import NotFound, Resolver, Temporary
from mox.dns.name import BadName
from mox.mailauth.dmarc.record import BadRecord, ReportUri, is_consent, parse_record
from mox.mailauth.publicsuffix import PublicSuffixes, is_same_organization
from mox.smtp.address import Address, parse_address


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """An address for reports."""

    address: Address
    uri: str  # as it was written
    max_size: int | None = None  # bytes of a message


class Destinations(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the addresses that a record names."""

    accepted: tuple[Destination, ...] = ()  # each address once
    problems: tuple[str, ...] = ()  # of others, in printable ASCII
    is_temporary: bool = False  # some could not be asked now


async def find_destinations(
    resolver: Resolver, policy_domain: str, uris: Sequence[ReportUri], suffixes: PublicSuffixes
) -> Destinations:
    """The addresses that reports about a domain may go to.

    Input   policy_domain: where the record is, A-labels; uris: of its rua.  Only mailto is known.
    Errors  none: what is wrong is told in the result.
    """
    accepted: dict[Address, Destination] = {}
    problems: list[str] = []
    is_temporary = False
    for uri in uris[:DMARC_DESTINATIONS]:
        destination = mail_destination(uri)
        if destination is None:
            continue
        host = destination.address.domain
        if is_same_organization(suffixes, policy_domain, host):
            accepted.setdefault(destination.address, destination)
            continue
        try:
            texts = await consents(resolver, policy_domain, host)
        except Temporary:
            problems.append(f"{host}: it cannot be asked now whether it takes reports")
            is_temporary = True
            continue
        if not texts:
            problems.append(f"{host} does not take reports about {policy_domain}")
            continue
        replacements, ignored = _replacements(texts, host)
        problems += [f"{host}: another host is named instead: {other}" for other in ignored]
        for one in replacements or [destination]:
            accepted.setdefault(one.address, one)
    return Destinations(
        accepted=tuple(accepted.values())[:DMARC_DESTINATIONS],
        problems=tuple(dict.fromkeys(problems)),
        is_temporary=is_temporary,
    )


async def consents(resolver: Resolver, policy_domain: str, host: str) -> list[bytes]:
    """The records by which a host agrees to receive reports about a domain.

    Source  RFC 7489 §7.1 points 3 to 6; the name begins with the domain where the policy is.
    Errors  Temporary.
    """
    try:
        answer = await resolver.txt(f"{policy_domain}._report._dmarc.{host}")
    except (NotFound, BadName):
        return []
    return [text for text in answer.records if is_consent(text)]


def _replacements(texts: Sequence[bytes], host: str) -> tuple[list[Destination], list[str]]:
    """Addresses that a host names instead of the one asked about, and hosts it must not name."""
    found: list[Destination] = []
    ignored: list[str] = []
    for text in texts:
        try:
            uris = parse_record(text).aggregate
        except BadRecord:
            continue  # most say nothing but that they agree
        for uri in uris[:DMARC_DESTINATIONS]:
            destination = mail_destination(uri)
            if destination is None:
                continue
            # RFC 7489 §7.1: the host must be the same, so that nobody is led elsewhere.
            if destination.address.domain == host:
                found.append(destination)
            else:
                ignored.append(destination.address.domain)
    return found, ignored


def mail_destination(uri: ReportUri) -> Destination | None:
    """The one address of a mailto URI; None for anything else.    RFC 6068 §2."""
    scheme, _, rest = uri.uri.partition(":")
    if scheme.lower() != "mailto":
        return None
    written = unquote_to_bytes(rest.partition("?")[0])
    try:
        address = parse_address(written.decode())
    except (Malformed, UnicodeDecodeError):
        return None
    if not address.domain or address.is_literal or address.needs_utf8:
        return None
    return Destination(address=address, uri=uri.uri, max_size=uri.max_size)
