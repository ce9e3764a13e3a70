"""``mox spf``: who may send for a domain.    RFC 7208."""

from typing import TYPE_CHECKING

import click
import msgspec

from mox.base.errors import MoxError, Refused
from mox.cli.group import LazyGroup
from mox.cli.lookup import ask, dnssec, domain_name, ip_address, print_fields, resolver_option
from mox.cli.setting import json_option, print_json
from mox.dns.name import IPAddress
from mox.dns.resolvconf import ResolverSettings

if TYPE_CHECKING:
    from mox.mailauth.spf import Record

_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

spf = LazyGroup(
    name="spf",
    help="Check and look up SPF records.",
    table={
        "check": "mox.cli.spf:check",
        "lookup": "mox.cli.spf:spf_lookup",
        "parse": "mox.cli.spf:spf_parse",
    },
)


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """A mechanism of a record."""

    text: str  # as written
    result: str  # of the check where it matches


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """A record for people and programs."""

    record: str
    mechanisms: tuple[Term, ...]
    redirect: str = ""
    explanation: str = ""
    authentic: bool | None = None  # None: it was not looked up


def _terms(record: "Record", authentic: bool | None = None) -> Terms:
    return Terms(
        record=str(record),
        mechanisms=tuple(
            Term(text=one.text, result=_RESULTS[one.qualifier]) for one in record.mechanisms
        ),
        redirect=str(record.redirect or ""),
        explanation=str(record.explanation or ""),
        authentic=authentic,
    )


@click.command()
@click.argument("domain", type=domain_name)
@click.argument("ip", type=ip_address, metavar="IP")
@resolver_option
@json_option
def check(domain: str, ip: IPAddress, server: ResolverSettings | None, as_json: bool) -> None:
    """Check whether an IP address may send mail from a DOMAIN.

    The status is none, neutral, pass, fail, softfail, temperror or permerror. The check is made
    for postmaster at the DOMAIN, with the DOMAIN as the client's name.
    """
    from mox.base.clock import SystemClock
    from mox.mailauth.spf import Sender, Status, evaluate

    sender = Sender(ip=ip, helo=domain, localpart="postmaster", domain=domain)
    now_s = SystemClock().now_ms() // 1000
    result = ask(server, lambda resolver: evaluate(resolver, sender, now_s=now_s))
    if as_json:
        print_json(msgspec.to_builtins(result, enc_hook=str))
        return
    print_fields(
        status=result.status,
        mechanism=result.mechanism,
        problem=result.problem,
        explanation=result.explanation,
        lookups=result.lookups,
        answers="" if result.status is Status.TEMPERROR else dnssec(result.authentic),
    )


@click.command("lookup")
@click.argument("domain", type=domain_name)
@resolver_option
@json_option
def spf_lookup(domain: str, server: ResolverSettings | None, as_json: bool) -> None:
    """Print the SPF record of a DOMAIN, and whether it came with DNSSEC."""
    from mox.mailauth.spf import RecordError, lookup

    try:
        answer = ask(server, lambda resolver: lookup(resolver, domain))
    except RecordError as error:
        raise Refused(f"{domain}: {error.public}", cause=error) from error
    if answer is None:
        raise Refused(f"{domain}: no spf record")
    record = answer.records[0]
    if as_json:
        print_json(_terms(record, answer.authentic))
        return
    click.echo(record)
    click.echo(f"({dnssec(answer.authentic)})")


@click.command("parse")
@click.argument("text", metavar="TXT")
@json_option
def spf_parse(text: str, as_json: bool) -> None:
    """Check an SPF record and print its terms, one a line, with what each leads to."""
    from mox.mailauth.spf import parse

    try:
        terms = _terms(parse(text.encode("utf-8", "surrogateescape")))
    except MoxError as error:
        raise Refused(f"not a valid record: {error.public}", cause=error) from error
    if as_json:
        print_json(terms)
        return
    for term in terms.mechanisms:
        click.echo(f"{term.result}: {term.text}")
    print_fields(redirect=terms.redirect, explanation=terms.explanation)
