"""What must fit together in a configuration.    Gathers everything that is wrong.

Source  the validation columns of spec/config.md.
Input   structs whose types and ranges are right.
Output  flaws: path and text.
"""

from mox.config.checkaccount import check_account
from mox.config.checkaddress import check_addresses
from mox.config.checkdomain import check_domain
from mox.config.checklistener import check_listener, check_ports
from mox.config.checkoutgoing import all_routes, check_queue, check_routes, check_transport
from mox.config.checktext import say, say_localpart, say_resolver
from mox.config.domains import DomainsConfig
from mox.config.names import domain_problem, mailbox_problem
from mox.config.shape import Flaws
from mox.config.static import InitialMailboxes, StaticConfig
from mox.config.toml import Path


def check_static(static: StaticConfig) -> Flaws:
    """``mox.toml`` alone."""
    flaws: Flaws = []
    say(flaws, ("hostname",), domain_problem(static.hostname))
    say(flaws, ("postmaster", "mailbox"), mailbox_problem(static.postmaster.mailbox))
    if not static.data_dir:
        flaws.append((("data_dir",), "must not be empty"))
    if not static.user:
        flaws.append((("user",), "must not be empty"))
    if static.host_tlsrpt is not None:
        say(flaws, ("host_tlsrpt", "mailbox"), mailbox_problem(static.host_tlsrpt.mailbox))
        say_localpart(flaws, ("host_tlsrpt", "localpart"), static.host_tlsrpt.localpart)
    _check_initial(static.initial_mailboxes, flaws)
    for name, listener in static.listeners.items():
        check_listener(listener, ("listeners", name), flaws)
    if not static.listeners:
        flaws.append((("listeners",), "at least one listener is needed"))
    check_ports(static, flaws)
    ca = static.tls.ca
    if ca is not None and not ca.cert_files and not ca.additional_to_system:
        flaws.append((("tls", "ca"), "no certificate would be trusted: name cert_files"))
    for number, resolver in enumerate(static.dns.resolvers):
        say_resolver(flaws, ("dns", "resolvers", number), resolver)
    for name, transport in static.transports.items():
        check_transport(transport, ("transports", name), flaws)
    check_queue(static.queue, flaws)
    return flaws


def check_domains(domains: DomainsConfig) -> Flaws:
    """``domains.toml`` alone."""
    flaws: Flaws = []
    for name, domain in domains.domains.items():
        check_domain(name, domain, domains, flaws)
    for name, account in domains.accounts.items():
        check_account(name, account, domains, flaws)
    check_addresses(domains, flaws)
    check_routes(domains.routes, ("routes",), flaws)
    return flaws


def check_together(static: StaticConfig, domains: DomainsConfig) -> tuple[Flaws, Flaws]:
    """Both files: the flaws of ``mox.toml`` and those of ``domains.toml``."""
    in_static: Flaws = []
    owners: list[tuple[Path, str]] = [(("postmaster", "account"), static.postmaster.account)]
    if static.host_tlsrpt is not None:
        owners.append((("host_tlsrpt", "account"), static.host_tlsrpt.account))
    for path, account in owners:
        if account not in domains.accounts:
            in_static.append((path, f"there is no account {account!r} in domains.toml"))
    in_domains: Flaws = []
    for path, route in all_routes(domains):
        if route.transport not in static.transports:
            text = f"there is no transport {route.transport!r} in mox.toml"
            in_domains.append(((*path, "transport"), text))
    return in_static, in_domains


def _check_initial(initial: InitialMailboxes, flaws: Flaws) -> None:
    special = initial.special_use
    named: list[tuple[Path, str]] = [
        (("initial_mailboxes", "special_use", role), name)
        for role in special.__struct_fields__
        if (name := getattr(special, role))
    ]
    named += [(("initial_mailboxes", "regular", n), name) for n, name in enumerate(initial.regular)]
    seen: set[str] = set()
    for path, name in named:
        say(flaws, path, mailbox_problem(name))
        if name.lower() == "inbox":
            flaws.append((path, "Inbox is always made; leave it out"))
        elif "/" in name:
            flaws.append(
                (path, f"{name!r} would be a mailbox in another; these are not possible here")
            )
        elif name in seen:
            flaws.append((path, f"{name!r} is named twice"))
        seen.add(name)
