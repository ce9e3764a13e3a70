"""``mox dmarc``: what a domain wants done with mail that is not from it.    RFC 7489."""

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from mox.base.errors import MoxError, Refused
from mox.cli.dkim import SignatureLine, signature_line, signature_text
from mox.cli.group import LazyGroup
from mox.cli.lookup import (
    ask,
    dnssec,
    domain_name,
    ip_address,
    not_understood,
    print_fields,
    resolver_option,
)
from mox.cli.setting import json_option, print_json
from mox.dns.name import BadName, IPAddress, parse_domain
from mox.dns.resolvconf import ResolverSettings

if TYPE_CHECKING:
    from mox.dns.base import Resolver
    from mox.mailauth.dmarc.evaluate import Evaluation
    from mox.mailauth.dmarc.record import ReportUri
    from mox.mailauth.spf import Sender

dmarc = LazyGroup(
    name="dmarc",
    help="Look up DMARC policies, judge messages by them, read reports.",
    table={
        "lookup": "mox.cli.dmarc:dmarc_lookup",
        "verify": "mox.cli.dmarc:verify",
        "checkreportaddrs": "mox.cli.dmarc:checkreportaddrs",
        "parsereportmsg": "mox.cli.reports:parse_dmarc",
        "reports": "mox.cli.reports:dmarc_reports",
        "report": "mox.cli.reports:dmarc_report",
    },
)


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message, for people and programs."""

    status: str
    from_domain: str
    rejects: bool
    policy: str
    policy_domain: str  # where the record is; empty without one
    percent: int | None = None  # of the mail the policy is for; None without a record
    authentic: bool
    reason: str = ""
    spf: str
    spf_domain: str
    is_spf_aligned: bool
    dkim: tuple[SignatureLine, ...]
    dkim_aligned: tuple[str, ...]


@click.command("lookup")
@click.argument("domain", type=domain_name)
@resolver_option
@json_option
def dmarc_lookup(domain: str, server: ResolverSettings | None, as_json: bool) -> None:
    """Print the DMARC policy for mail from a DOMAIN, and whether it came with DNSSEC.

    It is the DOMAIN's own, or else that of the registered domain above it.
    """
    from mox.mailauth.dmarc.evaluate import look_up
    from mox.mailauth.publicsuffix import listed

    found = ask(server, lambda resolver: look_up(resolver, domain, listed()))
    record = found.record
    if record is None:
        raise Refused(f"{found.domain or domain}: {found.reason} ({dnssec(found.authentic)})")
    if as_json:
        print_json(found)
        return
    print_fields(
        domain=found.domain,
        policy=record.policy,
        subdomain_policy=record.subdomain_policy or "",
        percent=record.percent,
        spf_alignment="strict" if record.is_spf_strict else "relaxed",
        dkim_alignment="strict" if record.is_dkim_strict else "relaxed",
        aggregate_reports=_uris(record.aggregate),
        failure_reports=_uris(record.failure),
        answer=dnssec(found.authentic),
    )


def _uris(uris: "tuple[ReportUri, ...]") -> str:
    return ", ".join(_with_limit(one.uri, one.max_size) for one in uris)


def _with_limit(address: str, max_size: int | None) -> str:
    return address if max_size is None else f"{address} (up to {max_size} bytes)"


class ReportAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where reports go."""

    address: str
    max_size: int | None  # bytes of a message


class ReportAddresses(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the addresses that a record names."""

    domain: str  # where the record is
    accepted: tuple[ReportAddress, ...]
    problems: tuple[str, ...]


@click.command()
@click.argument("domain", type=domain_name)
@resolver_option
@json_option
def checkreportaddrs(domain: str, server: ResolverSettings | None, as_json: bool) -> int:
    """Print where aggregate reports about a DOMAIN go, and which addresses are not used.

    Addresses at other organisations are used only where these agree. Exits with 1 when there is a
    problem with any.
    """
    from mox.mailauth.dmarc.destinations import find_destinations
    from mox.mailauth.dmarc.evaluate import look_up
    from mox.mailauth.publicsuffix import listed

    async def check(resolver: "Resolver") -> ReportAddresses:
        found = await look_up(resolver, domain, listed())
        if found.record is None:
            raise Refused(f"{found.domain or domain}: {found.reason} ({dnssec(found.authentic)})")
        destinations = await find_destinations(
            resolver, found.domain, found.record.aggregate, listed()
        )
        return ReportAddresses(
            domain=found.domain,
            accepted=tuple(
                ReportAddress(address=str(one.address), max_size=one.max_size)
                for one in destinations.accepted
            ),
            problems=destinations.problems,
        )

    result = ask(server, check)
    if as_json:
        print_json(result)
    else:
        print_fields(domain=result.domain)
        for one in result.accepted:
            print_fields(reports_to=_with_limit(one.address, one.max_size))
        for problem in result.problems:
            print_fields(problem=problem)
    return 1 if result.problems else 0


@click.command()
@click.argument("remoteip", type=ip_address, metavar="REMOTEIP")
@click.argument("mailfrom")
@click.argument("helo")
@resolver_option
@json_option
def verify(
    remoteip: IPAddress, mailfrom: str, helo: str, server: ResolverSettings | None, as_json: bool
) -> None:
    """Judge the message on standard input by SPF, DKIM and DMARC.

    REMOTEIP sent it with the address MAILFROM ("" or "<>" for the null sender) and called itself
    HELO. Lines that end with LF alone count as CRLF. The status is none, pass, fail, temperror or
    permerror; "rejects" says whether the domain in From does not want it delivered.
    """
    from mox.message.lines import to_crlf

    sender = _sender(remoteip, mailfrom, helo)
    message = to_crlf(sys.stdin.buffer.read())
    judgement = ask(server, lambda resolver: _judge(resolver, sender, message))
    if as_json:
        print_json(judgement)
        return
    aligned = "aligned" if judgement.is_spf_aligned else "not aligned"
    print_fields(
        status=judgement.status,
        from_domain=judgement.from_domain,
        rejects="yes" if judgement.rejects else "no",
        policy=judgement.policy if judgement.policy_domain else "",
        policy_of=judgement.policy_domain,
        percent="" if judgement.percent is None else judgement.percent,
        reason=judgement.reason,
        answers=dnssec(judgement.authentic),
        spf=f"{judgement.spf} {judgement.spf_domain}, {aligned}",
    )
    lines = judgement.dkim or (SignatureLine(status="none", reason="no dkim signatures"),)
    for line in lines:
        print_fields(dkim=signature_text(line))
    print_fields(dkim_aligned=", ".join(judgement.dkim_aligned))


def _sender(ip: IPAddress, mailfrom: str, helo: str) -> "Sender":
    from mox.mailauth.spf import Sender
    from mox.smtp.address import parse_address

    try:
        helo = parse_domain(helo, lax=True).ascii
    except BadName as error:
        if not helo.isascii() or not helo.isprintable():  # an address literal, or what they said
            raise not_understood("HELO", f"{helo!r} is not a host: {error.public}") from error
    bare = mailfrom.removeprefix("<").removesuffix(">")
    if not bare:
        return Sender(ip=ip, helo=helo)
    try:
        address = parse_address(bare)
    except MoxError as error:
        raise not_understood("MAILFROM", f"{mailfrom!r}: {error.public}") from error
    return Sender(ip=ip, helo=helo, localpart=address.localpart, domain=address.domain)


async def _judge(resolver: "Resolver", sender: "Sender", message: bytes) -> Judgement:
    import asyncio

    from mox.base.clock import SystemClock
    from mox.mailauth import spf
    from mox.mailauth.dkim.verify import verify as verify_dkim
    from mox.mailauth.dmarc.evaluate import author_domain, evaluate, look_up
    from mox.mailauth.publicsuffix import listed

    now_s, suffixes = SystemClock().now_ms() // 1000, listed()
    from_domain = author_domain(message)
    spf_result, signatures, found = await asyncio.gather(
        spf.evaluate(resolver, sender, now_s=now_s),
        verify_dkim(resolver, message, now_s=now_s, suffixes=suffixes, is_utf8=True),
        look_up(resolver, from_domain, suffixes),
    )
    # No chance here: a policy for any part of the mail counts as meant for this message.
    evaluation: Evaluation = evaluate(
        found, from_domain, spf_result, signatures, suffixes, chance=0.0
    )
    return Judgement(
        status=evaluation.status.value,
        from_domain=from_domain,
        rejects=evaluation.rejects,
        policy=evaluation.policy.value,
        policy_domain=found.domain,
        percent=None if found.record is None else found.record.percent,
        authentic=found.authentic,
        reason=found.reason,
        spf=spf_result.status.value,
        spf_domain=spf_result.domain,
        is_spf_aligned=evaluation.is_spf_aligned,
        dkim=tuple(signature_line(result) for result in signatures),
        dkim_aligned=evaluation.dkim_aligned,
    )
