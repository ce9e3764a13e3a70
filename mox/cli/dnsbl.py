"""``mox dnsbl``: ask DNS lists of addresses.    RFC 5782."""

import click
import msgspec

from mox.base.errors import Refused
from mox.cli.group import LazyGroup
from mox.cli.lookup import ask, domain_name, ip_address, print_fields, resolver_option
from mox.cli.setting import json_option, print_json
from mox.dns.name import IPAddress
from mox.dns.resolvconf import ResolverSettings

dnsbl = LazyGroup(
    name="dnsbl",
    help="Ask DNS lists of addresses.",
    table={"check": "mox.cli.dnsbl:check", "checkhealth": "mox.cli.dnsbl:checkhealth"},
)


@click.command()
@click.argument("zone", type=domain_name)
@click.argument("ip", type=ip_address, metavar="IP")
@resolver_option
@json_option
def check(zone: str, ip: IPAddress, server: ResolverSettings | None, as_json: bool) -> None:
    """Ask the list ZONE about an IP address.

    The status is pass (not listed), fail (listed) or temperror (the list did not say).
    """
    from mox.mailauth.dnsbl import lookup

    result = ask(server, lambda resolver: lookup(resolver, zone, ip))
    if as_json:
        print_json(msgspec.to_builtins(result, enc_hook=str))
        return
    print_fields(
        status=result.status,
        codes=" ".join(map(str, result.codes)),
        explanation=result.explanation,
        problem=result.problem,
    )


@click.command()
@click.argument("zone", type=domain_name)
@resolver_option
@json_option
def checkhealth(zone: str, server: ResolverSettings | None, as_json: bool) -> int:
    """Check that the list ZONE lists 127.0.0.2 and does not list 127.0.0.1.

    Exits with 1 when it is not so, or cannot be found out.
    """
    from mox.mailauth.dnsbl import check_health

    health = ask(server, lambda resolver: check_health(resolver, zone))
    if as_json:
        print_json(health)
    elif health.problem:
        raise Refused(f"{zone}: {health.problem}")
    else:
        click.echo("healthy")
    return 1 if health.problem else 0
