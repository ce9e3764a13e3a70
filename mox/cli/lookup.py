"""What the commands that ask the DNS share: their arguments, the resolver, how answers are told."""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mox.base.errors import Refused
from mox.dns.name import BadName, IPAddress, parse_domain
from mox.dns.resolvconf import ResolverSettings

if TYPE_CHECKING:
    from mox.dns.base import DnsError, Resolver

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_PORT = 53


def ip_address(text: str) -> IPAddress:
    """An argument that is an IP address."""
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not an IP address") from error


def domain_name(text: str) -> str:
    """An argument that is a domain, in Unicode or in ASCII: in A-labels."""
    try:
        return parse_domain(text.removesuffix("."), lax=True).ascii
    except BadName as error:
        raise click.BadParameter(f"{text!r} is not a domain: {error.public}") from error


def _server(text: str) -> ResolverSettings:
    """``192.0.2.1``, ``192.0.2.1:5353``, ``2001:db8::1`` or ``[2001:db8::1]:5353``."""
    host, port = text, str(_PORT)
    if text.endswith("]"):
        host = text[1:-1]
    elif text.startswith("[") or text.count(":") == 1:
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
    try:
        server = str(ipaddress.ip_address(host))
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise ValueError("port")
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not IP or IP:PORT") from error
    return ResolverSettings(servers=(server,), port=int(port))


def not_understood(argument: str, text: str) -> click.BadParameter:
    """An argument that is seen to be wrong when the command has begun."""
    return click.BadParameter(text, ctx=click.get_current_context(), param_hint=f"'{argument}'")


def resolver_option(command: F) -> F:
    """``--resolver`` as the parameter ``server``; None stands for the system's."""
    return click.option(
        "--resolver",
        "server",
        metavar="IP[:PORT]",
        type=_server,
        help="The name server to ask. Default: those of /etc/resolv.conf.",
    )(command)


def ask(server: ResolverSettings | None, work: Callable[["Resolver"], Awaitable[T]]) -> T:
    """Run what needs a resolver.    Errors: Refused with the name in it where a look-up failed."""
    import asyncio

    from mox.dns.base import DnsError
    from mox.dns.resolver import DnsResolver, system_settings

    async def run() -> T:
        resolver = DnsResolver(server or system_settings())
        try:
            return await work(resolver)
        finally:
            await resolver.close()

    try:
        return asyncio.run(run())
    except DnsError as error:
        raise Refused(_told(error), cause=error) from error


def _told(error: "DnsError") -> str:
    from mox.dns.base import Bogus, NotFound

    text = f"{error.fields['name']}: {error.public}" if "name" in error.fields else error.public
    if isinstance(error, NotFound):
        return f"{text} ({dnssec(error.authentic)})"
    if isinstance(error, Bogus) and error.text:
        return f"{text}: {error.text}"
    reason = error.fields.get("reason")
    return f"{text}: {reason}" if reason else text


def dnssec(authentic: bool) -> str:
    """Whether the resolver, where it is trusted, has authenticated an answer."""
    return "with dnssec" if authentic else "without dnssec"


def printable(text: str) -> str:
    """A stranger's text in one line that does nothing to a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def print_fields(**fields: object) -> None:
    """Lines ``name: value``; what is empty is left out."""
    for name, value in fields.items():
        text = printable(str(value))
        if text:
            click.echo(f"{name.replace('_', ' ')}: {text}")
