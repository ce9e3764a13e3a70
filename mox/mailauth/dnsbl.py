"""DNS lists of addresses: is the client on one, and is the list itself well?    RFC 5782."""

import enum
import ipaddress
from typing import Final

import msgspec

from mox.base.limits import DNSBL_HEALTH_S, DNSBL_TEXT, DNSBL_ZONES
from mox.dns.base import BadName, DnsError, Kind, NotFound, Resolver
from mox.dns.name import IPAddress, canonical, reversed_labels, unmapped

# RFC 5782 §2.1: listings are within 127.0.0.0/8.
_LISTINGS: Final = ipaddress.IPv4Network("127.0.0.0/8")
# By custom of the large lists: not a listing but a refusal to answer (too many questions, or by way
# of a public resolver).
_REFUSALS: Final = ipaddress.IPv4Network("127.255.255.0/24")
# RFC 5782 §5: the first must not be listed, the second must be.
_NEVER: Final = ipaddress.IPv4Address("127.0.0.1")
_ALWAYS: Final = ipaddress.IPv4Address("127.0.0.2")


class Status(enum.StrEnum):
    """``pass``: not listed; ``fail``: listed; ``temperror``: the list did not say."""

    PASS = "pass"  # noqa: S105  # not a password
    FAIL = "fail"
    TEMPERROR = "temperror"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says of an address."""

    status: Status
    zone: str
    codes: tuple[ipaddress.IPv4Address, ...] = ()  # why it is listed, in the list's own code
    explanation: str = ""  # for people; a stranger's text, printable ASCII
    problem: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a list lists what it must, and not everything."""

    is_healthy: bool
    problem: str = ""


def query_name(zone: str, ip: IPAddress) -> str:
    """Where a list keeps what it says of an address.    RFC 5782 §2.1, §2.4."""
    return f"{reversed_labels(unmapped(ip))}.{canonical(zone)}"


async def lookup(resolver: Resolver, zone: str, ip: IPAddress) -> Result:
    """Ask one list.

    Errors  none: every trouble is a status.  Time is the caller's to limit.
    """
    name = query_name(zone, ip)
    zone = canonical(zone)
    try:
        answer = await resolver.a(name)
    except NotFound:
        return Result(status=Status.PASS, zone=zone)
    except (DnsError, BadName) as e:
        return Result(status=Status.TEMPERROR, zone=zone, problem=e.public)
    codes = tuple(code for code in answer.records if code in _LISTINGS and code not in _REFUSALS)
    if not codes:
        # A refusal, or the address of a parking page where the list has gone.
        seen = ", ".join(str(code) for code in answer.records[:5])
        return Result(
            status=Status.TEMPERROR,
            zone=zone,
            problem=f"the list answers {seen}, which lists nothing",
        )
    return Result(
        status=Status.FAIL, zone=zone, codes=codes, explanation=await _explanation(resolver, name)
    )


async def _explanation(resolver: Resolver, name: str) -> str:
    """RFC 5782 §2.2: a TXT record of the same name; a list need not have one."""
    try:
        texts = (await resolver.txt(name)).records
    except DnsError:
        return ""
    text = texts[0][:DNSBL_TEXT].decode("ascii", "replace")
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


async def check_health(resolver: Resolver, zone: str) -> Health:
    """Whether the list has its test entries.    RFC 5782 §5.

    A list that cannot be asked counts as healthy: then its answers are "temperror" anyway.
    """
    resolver.prefetch(query_name(zone, _ALWAYS), Kind.A)
    never = await lookup(resolver, zone, _NEVER)
    if never.status is Status.FAIL:
        return Health(is_healthy=False, problem=f"{_NEVER} is listed: the list may list everything")
    always = await lookup(resolver, zone, _ALWAYS)
    if always.status is Status.PASS:
        return Health(is_healthy=False, problem=f"{_ALWAYS} is not listed: the list may be gone")
    return Health(is_healthy=True, problem=never.problem or always.problem)


class HealthBook:
    """The health of lists, asked for again after four hours; nobody waits for another's check."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Health]] = {}

    async def check(self, resolver: Resolver, zone: str, now_s: float) -> Health:
        """As ``check_health``, remembered.    now_s: seconds on a clock that never goes back."""
        zone = canonical(zone)
        known = self._known.get(zone)
        if known is not None and now_s - known[0] < DNSBL_HEALTH_S:
            return known[1]
        health = await check_health(resolver, zone)
        if zone not in self._known and len(self._known) >= DNSBL_ZONES:
            del self._known[next(iter(self._known))]
        self._known[zone] = (now_s, health)
        return health


async def lookup_healthy(
    resolver: Resolver, book: HealthBook, zone: str, ip: IPAddress, now_s: float
) -> Result:
    """Ask a list that is well; one that is not says nothing."""
    resolver.prefetch(query_name(zone, ip), Kind.A)
    health = await book.check(resolver, zone, now_s)
    if not health.is_healthy:
        return Result(status=Status.TEMPERROR, zone=canonical(zone), problem=health.problem)
    return await lookup(resolver, zone, ip)
