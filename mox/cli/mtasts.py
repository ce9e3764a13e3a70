"""``mox mtasts``: what a domain promises of the TLS of its mail hosts.    RFC 8461."""

from typing import TYPE_CHECKING

import click

from mox.base.errors import Refused
from mox.cli.group import LazyGroup
from mox.cli.lookup import ask, domain_name, print_fields, resolver_option
from mox.cli.setting import json_option, print_json
from mox.dns.resolvconf import ResolverSettings

if TYPE_CHECKING:
    from mox.dns.base import Resolver
    from mox.tlspolicy.mtasts import Policy

mtasts = LazyGroup(
    name="mtasts",
    help="MTA-STS policies of other domains.",
    table={"lookup": "mox.cli.mtasts:mtasts_lookup"},
)


@click.command("lookup")
@click.argument("domain", type=domain_name)
@resolver_option
@json_option
def mtasts_lookup(domain: str, server: ResolverSettings | None, as_json: bool) -> None:
    """Fetch the MTA-STS policy of a DOMAIN, as a delivery would."""
    record_id, policy = ask(server, lambda resolver: _look_up(resolver, domain))
    if as_json:
        print_json(
            {
                "id": record_id,
                "mode": policy.mode.value,
                "max_age": policy.max_age_s,
                "mx": policy.mx,
                "text": policy.text,
            }
        )
        return
    print_fields(id=record_id, mode=policy.mode, max_age=f"{policy.max_age_s} seconds")
    for host in policy.mx:
        print_fields(mx=host)


async def _look_up(resolver: "Resolver", domain: str) -> "tuple[str, Policy]":
    """Errors: Refused with the reason; DnsError."""
    from mox.base.errors import MoxError
    from mox.base.fetch import Fetcher
    from mox.base.limits import MTASTS_FETCH, MTASTS_POLICY
    from mox.runtime.authorities import make_client_context, system_authorities
    from mox.tlspolicy import mtasts as grammar

    answer = await resolver.txt(f"{grammar.RECORD_LABEL}.{domain}")
    record_id = grammar.choose_record(answer.records)
    if record_id is None:
        raise Refused(f"{domain} has no MTA-STS record")

    async def lookup(host: str) -> "tuple[object, ...]":
        return (await resolver.addresses(host)).records

    fetcher = Fetcher(lookup, make_client_context(system_authorities()))  # type: ignore[arg-type]
    url = f"https://{grammar.POLICY_HOST_LABEL}.{domain}{grammar.POLICY_PATH}"
    try:
        fetched = await fetcher.get(url, max_bytes=MTASTS_POLICY, timeout_s=MTASTS_FETCH)
        if fetched.status != 200:
            raise Refused(f"HTTP status {fetched.status}")
        return record_id, grammar.parse_policy(fetched.body)
    except MoxError as error:
        raise Refused(f"{url}: {error.public}", cause=error) from error
