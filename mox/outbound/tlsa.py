"""Whether DNS says which certificates a mail host has.    RFC 7672 §2.1, §2.2."""

from mox.dns.base import Answer, DnsError, NotFound, Resolver, Temporary
from mox.dns.name import BadName, IPAddress
from mox.outbound.hosts import Destination, in_time
from mox.tlspolicy import dane
from mox.tlspolicy.choose import NO_DANE, DaneFinding, DaneState


async def find_tlsa(
    resolver: Resolver,
    destination: Destination,
    host: str,
    addresses: Answer[IPAddress],
    port: int = 25,
) -> DaneFinding:
    """The records of a host.    Input  addresses: what its look-up gave.

    Nothing that DNSSEC does not vouch for counts, from the recipient's domain on (RFC 7672 §2.2.1).
    """
    if not destination.authentic:
        return NO_DANE
    bases = await _bases(resolver, host, addresses)
    for base in bases:
        finding = await _at(resolver, base, port, _names(destination, host, base))
        if finding.state is not DaneState.NONE:
            return finding
    return NO_DANE


async def _bases(resolver: Resolver, host: str, addresses: Answer[IPAddress]) -> list[str]:
    """Where the records may be: the end of the aliases first.    RFC 7672 §2.2.2."""
    if addresses.authentic:
        return list(dict.fromkeys((addresses.name, host)))
    if addresses.name == host:
        return []
    try:
        alias = await in_time(resolver.cname(host))
    except (DnsError, BadName):
        return []
    # An alias that is vouched for, whose target is not: the alias itself may have records.
    return [host] if alias.authentic else []


async def _at(resolver: Resolver, base: str, port: int, names: tuple[str, ...]) -> DaneFinding:
    try:
        answer = await in_time(resolver.tlsa(dane.record_name(base, port)))
    except (NotFound, BadName):
        return NO_DANE
    except Temporary as error:
        # RFC 7672 §2.1.2: a look-up that fails must not mean that there are no records.
        return DaneFinding(state=DaneState.FAILED, names=names, problem=error.public)
    if not answer.authentic:
        return NO_DANE
    usable = dane.usable(answer.records)
    return DaneFinding(
        state=DaneState.RECORDS if usable else DaneState.UNUSABLE,
        records=answer.records,
        names=names,
    )


def _names(destination: Destination, host: str, base: str) -> tuple[str, ...]:
    """What a certificate below an anchor may name; the first is told to the server.

    RFC 7672 §3.2.2, §3.2.3: the base of the records, the host, and, since the way from it is vouched
    for, the recipient's domain.
    """
    names = [base, host]
    if not destination.implicit:
        names += [destination.domain, destination.expanded]
    return tuple(dict.fromkeys(names))
