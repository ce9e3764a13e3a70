"""Which way a message goes: straight to the recipient's hosts, or by a configured transport.

Source  spec/smtp-client-queue.md section 3.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from mox.config.live import Config
from mox.config.names import unicode_domain
from mox.config.transport import Route, Transport
from mox.queue.entry import Entry
from mox.smtpclient.errors import DeliveryError

DIRECT: Final = Transport()


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A transport and its name; the empty name is straight delivery."""

    name: str = ""
    transport: Transport = DIRECT


class NoWay(DeliveryError):
    """The transport that was asked for does not exist."""

    default = "unknown transport"


def choose_way(config: Config, entry: Entry, attempts: int) -> Way:
    """The transport of an entry: its own, else that of the first route that fits.

    Input   attempts: made before this one.
    Errors  NoWay.
    """
    name = entry.transport
    if not name:
        name = next(
            (route.transport for route in _routes(config, entry) if _fits(route, entry, attempts)),
            "",
        )
    if not name:
        return Way()
    transport = config.static.transports.get(name)
    if transport is None:
        raise NoWay(f"transport {name!r} is not configured")
    return Way(name=name, transport=transport)


def _routes(config: Config, entry: Entry) -> Iterable[Route]:
    """The account's, then those of the sender's domain, then everybody's."""
    account = config.domains.accounts.get(entry.account)
    if account is not None:
        yield from account.routes
    domain = config.domains.domains.get(unicode_domain(entry.sender_domain) or "")
    if domain is not None:
        yield from domain.routes
    yield from config.domains.routes


def _fits(route: Route, entry: Entry, attempts: int) -> bool:
    return (
        attempts >= route.minimum_attempts
        and _within(entry.sender_domain, route.from_domain)
        and _within(entry.recipient_domain, route.to_domain)
    )


def _within(domain: str, patterns: tuple[str, ...]) -> bool:
    if not patterns:
        return True
    for pattern in patterns:
        if pattern == ".":
            return True
        below = pattern.startswith(".")
        wanted = pattern.lstrip(".")
        if domain == wanted or (below and domain.endswith(f".{wanted}")):
            return True
    return False
