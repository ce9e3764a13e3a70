"""``mox tlsrpt``: reports about TLS, and who wants them.    RFC 8460."""

import click
import msgspec

from mox.base.errors import Refused
from mox.cli.group import LazyGroup
from mox.cli.lookup import ask, dnssec, domain_name, print_fields, resolver_option
from mox.cli.setting import json_option, print_json
from mox.dns.resolvconf import ResolverSettings

tlsrpt = LazyGroup(
    name="tlsrpt",
    help="Look up who wants TLS reports, read such reports.",
    table={
        "lookup": "mox.cli.tlsrpt:tlsrpt_lookup",
        "parsereportmsg": "mox.cli.reports:parse_tls",
        "reports": "mox.cli.reports:tls_reports",
        "report": "mox.cli.reports:tls_report",
    },
)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A record for people and programs."""

    addresses: tuple[str, ...]
    authentic: bool


@click.command("lookup")
@click.argument("domain", type=domain_name)
@resolver_option
@json_option
def tlsrpt_lookup(domain: str, server: ResolverSettings | None, as_json: bool) -> None:
    """Print where a DOMAIN, or a mail host, wants TLS reports, and whether it came with DNSSEC."""
    from mox.tlspolicy.tlsrpt import BadRecord, look_up

    try:
        record, authentic = ask(server, lambda resolver: look_up(resolver, domain))
    except BadRecord as error:
        raise Refused(f"{domain}: {error.public}", cause=error) from error
    if record is None:
        raise Refused(f"{domain}: no TLSRPT record ({dnssec(authentic)})")
    line = Line(addresses=record.rua, authentic=authentic)
    if as_json:
        print_json(line)
        return
    print_fields(reports_to=", ".join(line.addresses), answer=dnssec(line.authentic))
