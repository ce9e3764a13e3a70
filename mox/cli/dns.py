"""``mox dns``: look up records, as the server does."""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from mox.base.limits import DNS_NAME
from mox.cli.group import LazyGroup
from mox.cli.lookup import ask, dnssec, not_understood, resolver_option
from mox.cli.setting import json_option, print_json
from mox.dns.name import BadName, check_name, parse_domain
from mox.dns.resolvconf import ResolverSettings

if TYPE_CHECKING:
    from mox.dns.base import Answer, Record, Resolver

_STRING = 255  # octets of a string in a TXT record; RFC 1035 §3.3

dns = LazyGroup(name="dns", help="Look up DNS records.", table={"lookup": "mox.cli.dns:dns_lookup"})


@click.command("lookup")
@click.argument(
    "kind",
    metavar="TYPE",
    type=click.Choice(
        ["ptr", "mx", "cname", "ips", "a", "aaaa", "ns", "txt", "srv", "tlsa"],
        case_sensitive=False,
    ),
)
@click.argument("name")
@resolver_option
@json_option
def dns_lookup(kind: str, name: str, server: ResolverSettings | None, as_json: bool) -> None:
    """Print the records of a NAME, and whether they came with DNSSEC.

    TYPE is ptr, mx, cname, ips (a and aaaa), a, aaaa, ns, txt, srv or tlsa. For ptr the NAME is an
    IP address.
    """
    answer = ask(server, _question(kind, name))
    if as_json:
        print_json(
            {
                "name": answer.name,
                "authentic": answer.authentic,
                "ttl": answer.ttl,
                "records": [_plain(record) for record in answer.records],
            }
        )
        return
    for record in answer.records:
        click.echo(_text(record))
    click.echo(f"({answer.name}, ttl {answer.ttl} seconds, {dnssec(answer.authentic)})")


def _question(kind: str, name: str) -> "Callable[[Resolver], Awaitable[Answer[Any]]]":
    """The look-up to do, or "not understood"."""
    try:
        if kind == "ptr":
            ip = ipaddress.ip_address(name)
            return lambda resolver: resolver.ptr(ip)
        # Each label by itself: beside it may be what no host name has, as in _dmarc.ü.example.
        labels = [
            one if one.isascii() else parse_domain(one).ascii for one in name.split(".", DNS_NAME)
        ]
        asked = ".".join(labels)
        check_name(asked)
    except BadName as error:
        raise not_understood("NAME", f"{name!r} is not a name: {error.public}") from error
    except ValueError as error:
        raise not_understood("NAME", f"{name!r} is not an IP address") from error
    method = "addresses" if kind == "ips" else kind
    return lambda resolver: getattr(resolver, method)(asked)


def quote_text(text: bytes) -> str:
    """A TXT record as in a zone file: quoted strings of at most 255 octets.    RFC 1035 §5.1."""
    pieces = [text[at : at + _STRING] for at in range(0, len(text), _STRING)] or [b""]
    return " ".join('"' + "".join(map(_octet, piece)) + '"' for piece in pieces)


def _octet(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"


def _text(record: "Record") -> str:
    """A record as in a zone file; names without the dot at their end."""
    from mox.dns.base import Mx, Srv, Tlsa

    match record:
        case bytes():
            return quote_text(record)
        case Mx():
            return f"{record.preference} {record.host or '.'}"
        case Srv():
            return f"{record.priority} {record.weight} {record.port} {record.target or '.'}"
        case Tlsa():
            return f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"
        case _:
            return str(record)


def _plain(record: "Record") -> object:
    """A record for JSON: an object for those with parts, else its text."""
    from mox.dns.base import Mx, Srv, Tlsa

    match record:
        case bytes():
            return record.decode("utf-8", "replace")
        case Tlsa(usage, selector, matching, data):
            return {
                "usage": usage,
                "selector": selector,
                "matching": matching,
                "data": data.hex(),
            }
        case Mx() | Srv():
            return record
        case _:
            return str(record)
