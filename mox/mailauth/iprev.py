"""iprev: does the client's address have a name that leads back to it?    RFC 8601 §3."""

import enum
import ipaddress

import msgspec

from mox.base.limits import IPREV_NAMES
from mox.dns.base import Answer, BadName, Kind, NotFound, Resolver, Temporary
from mox.dns.name import IPAddress, unmapped


class Status(enum.StrEnum):
    """RFC 8601 §2.7.3."""

    PASS = "pass"  # noqa: S105  # not a password
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict and what it came from."""

    status: Status
    ip: IPAddress
    name: str = ""  # the one that leads back, where there is one
    names: tuple[str, ...] = ()  # what the address claims, as far as it was looked at
    authentic: bool = False  # both ways, by DNSSEC
    problem: str = ""


async def evaluate(resolver: Resolver, ip: IPAddress) -> Result:
    """Look the names of an address up, and their addresses; the first that leads back counts.

    Errors  none: every trouble is a status.  Time is the caller's to limit.
    """
    ip = unmapped(ip)
    try:
        claimed = await resolver.ptr(ip)
    except NotFound:
        # RFC 8601 §3: "no name": permerror
        return Result(status=Status.PERMERROR, ip=ip, problem="the address has no name")
    except Temporary as e:
        return Result(status=Status.TEMPERROR, ip=ip, problem=e.public)
    # An attacker owns this list; RFC 7208 §4.6.4 cuts it likewise.
    names = claimed.records[:IPREV_NAMES]
    for name in names:
        resolver.prefetch(name, Kind.A if ip.version == 4 else Kind.AAAA)
    failed: Temporary | None = None
    for name in names:
        try:
            answer = await _addresses(resolver, name, ip)
        except (NotFound, BadName):
            continue
        except Temporary as e:
            failed = e
            continue
        if ip in answer.records:
            authentic = claimed.authentic and answer.authentic
            return Result(status=Status.PASS, ip=ip, name=name, names=names, authentic=authentic)
    if failed is not None:
        return Result(status=Status.TEMPERROR, ip=ip, names=names, problem=failed.public)
    return Result(status=Status.FAIL, ip=ip, names=names, problem="no name leads back")


async def _addresses(
    resolver: Resolver, name: str, ip: IPAddress
) -> Answer[ipaddress.IPv4Address] | Answer[ipaddress.IPv6Address]:
    return await resolver.a(name) if ip.version == 4 else await resolver.aaaa(name)
