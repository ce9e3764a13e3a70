"""Which hosts take mail for a domain.    RFC 5321 §5.1, RFC 7505, RFC 7672 §2.2.1."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from mox.base.limits import OUTBOUND_HOSTS, OUTBOUND_LOOKUP
from mox.dns.base import DnsError, Mx, NotFound, Resolver, T, Temporary
from mox.dns.name import BadName, parse_domain
from mox.smtp.reply import Reply, reply
from mox.smtpclient.errors import DeliveryError

IMPLICIT: Final = -1  # preference of a domain that is its own host
# RFC 7505 §4.2
NULL_MX: Final[Reply] = reply(556, "5.1.10", "the domain does not accept mail")


class NoHosts(DeliveryError):
    """The domain takes no mail, or its hosts cannot be found out."""

    default = "no mail host found"


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A domain and its mail hosts."""

    domain: str  # A-labels
    expanded: str  # the end of its aliases
    hosts: tuple[str, ...]  # in the order to be tried
    authentic: bool  # by DNSSEC, the way from the domain to the names of its hosts
    implicit: bool  # no MX: the domain is its own host


async def find_hosts(
    resolver: Resolver, domain: str, shuffle: Callable[[list[str]], None]
) -> Destination:
    """The hosts of a domain, by preference; those of equal preference in any order.

    Input   shuffle: puts a list into random order (RFC 5321 §5.1: to spread the load).
    Errors  NoHosts: permanent for a null MX and for names that do not exist.
    """
    try:
        answer = await in_time(resolver.mx(domain))
    except NotFound as error:
        # RFC 5321 §5.1: without MX the domain itself; whether it exists its addresses will tell.
        return Destination(
            domain=domain,
            expanded=domain,
            hosts=(domain,),
            authentic=error.authentic,
            implicit=True,
        )
    except BadName as error:
        raise NoHosts(f"{domain} is no domain name", permanent=True, cause=error) from error
    except DnsError as error:
        raise NoHosts(f"mail hosts of {domain}: {error.public}", cause=error) from error
    if [one.host for one in answer.records] == [""]:
        raise NoHosts(f"{domain} does not accept mail", permanent=True, reply=NULL_MX)
    return Destination(
        domain=domain,
        expanded=answer.name,
        hosts=_ordered(answer.records, shuffle, domain),
        authentic=answer.authentic,
        implicit=False,
    )


def _ordered(
    records: tuple[Mx, ...], shuffle: Callable[[list[str]], None], domain: str
) -> tuple[str, ...]:
    by_preference: dict[int, list[str]] = {}
    for record in sorted(records):
        if _is_host(record.host):
            by_preference.setdefault(record.preference, []).append(record.host)
    for same in by_preference.values():
        shuffle(same)
    hosts = dict.fromkeys(host for same in by_preference.values() for host in same)
    if not hosts:
        raise NoHosts(f"the mail hosts of {domain} have no valid names", permanent=True)
    return tuple(hosts)[:OUTBOUND_HOSTS]


def _is_host(name: str) -> bool:
    try:
        parse_domain(name, lax=True)
    except BadName:
        return False
    return True


async def in_time(lookup: Awaitable[T]) -> T:
    """What a look-up finds within limits.OUTBOUND_LOOKUP.    Errors: its own; Temporary."""
    try:
        async with asyncio.timeout(OUTBOUND_LOOKUP):
            return await lookup
    except TimeoutError as error:
        raise Temporary("name look-up took too long", cause=error) from error
