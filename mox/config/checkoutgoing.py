"""Checks of what decides over outgoing mail: transports, routes, the queue's schedule.

Source  spec/config.md sections 5 and 6.
"""

from collections.abc import Iterator, Sequence

from mox.base.limits import RETRIES, RETRY_PAUSE
from mox.config.checktext import (
    is_host,
    say,
    say_distinct,
    say_host_port,
    say_ip,
    say_printable,
)
from mox.config.domains import DomainsConfig
from mox.config.names import domain_problem
from mox.config.shape import Flaws
from mox.config.static import Queue
from mox.config.toml import Path
from mox.config.transport import Fail, Relay, Route, Socks, Transport


def check_transport(transport: Transport, path: Path, flaws: Flaws) -> None:
    """One transport."""
    given = [name for name in transport.__struct_fields__ if getattr(transport, name) is not None]
    if len(given) > 1:
        flaws.append((path, f"{', '.join(given)} exclude each other"))
    for name in given:
        method = getattr(transport, name)
        where = (*path, name)
        if isinstance(method, Relay):
            _check_relay(method, where, flaws)
        elif isinstance(method, Socks):
            _check_socks(method, where, flaws)
        elif isinstance(method, Fail):
            say_printable(flaws, (*where, "smtp_message"), method.smtp_message)
        elif method.disable_ipv4 and method.disable_ipv6:
            flaws.append((where, "disable_ipv4 and disable_ipv6 exclude each other"))


def _check_relay(relay: Relay, path: Path, flaws: Flaws) -> None:
    if not is_host(relay.host):
        problem = domain_problem(relay.host)
        flaws.append(((*path, "host"), problem or f"{relay.host!r} is not a host"))
    if relay.auth is None:
        return
    where = (*path, "auth")
    if not relay.auth.username:
        flaws.append(((*where, "username"), "must not be empty"))
    say_distinct(flaws, (*where, "mechanisms"), relay.auth.mechanisms)


def _check_socks(socks: Socks, path: Path, flaws: Flaws) -> None:
    say_host_port(flaws, (*path, "address"), socks.address)
    for number, text in enumerate(socks.remote_ips):
        say_ip(flaws, (*path, "remote_ips", number), text)
    say(flaws, (*path, "remote_hostname"), domain_problem(socks.remote_hostname))


def check_queue(queue: Queue, flaws: Flaws) -> None:
    """The schedule of attempts."""
    if len(queue.retry_after) > RETRIES:
        flaws.append((("queue", "retry_after"), f"at most {RETRIES} pauses"))
    pauses: list[tuple[Path, float]] = [
        (("queue", "retry_after", number), pause.seconds)
        for number, pause in enumerate(queue.retry_after)
    ]
    pauses.append((("queue", "retry_every"), queue.retry_every.seconds))
    for path, seconds in pauses:
        if seconds < RETRY_PAUSE:
            flaws.append((path, f"must be {RETRY_PAUSE} seconds at least"))
    if not queue.give_up_after:
        flaws.append((("queue", "give_up_after"), "must be more than 0s"))


def check_routes(routes: Sequence[Route], path: Path, flaws: Flaws) -> None:
    """Routes alone; whether their transports exist is seen with both files."""
    for number, route in enumerate(routes):
        for key in ("from_domain", "to_domain"):
            for position, text in enumerate(getattr(route, key)):
                name = text.removeprefix(".")
                if text != ".":
                    say(flaws, (*path, number, key, position), domain_problem(name))


def all_routes(domains: DomainsConfig) -> Iterator[tuple[Path, Route]]:
    """Every route of the file, with its path."""
    places: list[tuple[Path, Sequence[Route]]] = [(("routes",), domains.routes)]
    places += [(("domains", name, "routes"), one.routes) for name, one in domains.domains.items()]
    places += [(("accounts", name, "routes"), one.routes) for name, one in domains.accounts.items()]
    for path, routes in places:
        for number, route in enumerate(routes):
            yield (*path, number), route
