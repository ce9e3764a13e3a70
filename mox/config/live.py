"""The one current configuration: swapped as a whole, and those who need to know are told."""

from collections.abc import Callable

from msgspec import Struct, structs

from mox.base.mailboxname import INBOX, normalise_mailbox_name
from mox.config.address import canonical_localpart, report_localpart, report_localparts
from mox.config.domains import Alias, Destination, DomainsConfig
from mox.config.names import Address, parse_address
from mox.config.static import StaticConfig


class Target(Struct, frozen=True, kw_only=True):
    """Where mail for an address goes.    ``address`` is the canonical one, with its catch-all form."""

    account: str
    address: str
    destination: Destination
    dmarc_reports: bool = False  # reports about our domains arrive here
    tls_reports: bool = False

    @property
    def mailbox(self) -> str:
        """Mailbox for delivery, normalised."""
        return normalise_mailbox_name(self.destination.mailbox or INBOX)


class AliasTarget(Struct, frozen=True, kw_only=True):
    """An address that stands for several.    ``members`` in the order of the file."""

    address: str
    alias: Alias
    members: tuple[Target, ...]

    def has_member(self, account: str) -> bool:
        """Is an address of the account among the members?"""
        return any(member.account == account for member in self.members)


Key = tuple[str | None, str]
"""Canonical local part (None: catch-all) and domain of an address."""


class Config(Struct, frozen=True, kw_only=True):
    """Both files, checked, and what follows from them."""

    static: StaticConfig
    domains: DomainsConfig
    targets: dict[Key, Target]
    aliases: dict[Key, AliasTarget]
    report_localparts: dict[str, tuple[str, ...]]
    """Canonical local parts that receive reports, by domain."""
    reports_only: frozenset[str]
    """Domains without an address: they may have report addresses in another of our domains."""
    host_names: frozenset[str]
    """Our own names: the hostname, and those of listeners that receive mail."""
    fallback_account: str
    """Takes what is addressed to nobody, of any domain: localserve.  Empty: nobody does."""

    def key(self, address: Address) -> Key | None:
        """Under which an address is looked up; None when its domain is not one of ours."""
        domain = self.domains.domains.get(address.domain)
        if domain is None or address.localpart is None:
            return None if domain is None else (None, address.domain)
        reports = self.report_localparts[address.domain]
        return canonical_localpart(domain, address.localpart, reports), address.domain


def make_config(
    static: StaticConfig, domains: DomainsConfig, *, fallback_account: str = ""
) -> Config:
    """Derive the look-up tables.    Input: structs that passed every check."""
    hosts = {static.hostname} | {
        listener.hostname
        for listener in static.listeners.values()
        if listener.smtp.enabled and listener.hostname
    }
    config = Config(
        static=static,
        domains=domains,
        targets={},
        aliases={},
        report_localparts=report_localparts(domains),
        reports_only=frozenset(),
        host_names=frozenset(hosts),
        fallback_account=fallback_account,
    )
    _add_destinations(config)
    _add_reports(config)
    _add_aliases(config)
    homes = {domain for _, domain in (*config.targets, *config.aliases)}
    return structs.replace(config, reports_only=frozenset(domains.domains) - homes)


def _add_destinations(config: Config) -> None:
    for name, account in config.domains.accounts.items():
        for text, destination in account.destinations.items():
            key, address = _checked(config, text)
            config.targets[key] = Target(
                account=name, address=str(address), destination=destination
            )


def _add_reports(config: Config) -> None:
    for name, domain in config.domains.domains.items():
        for report in (domain.dmarc, domain.tlsrpt):
            if report is None:
                continue
            home = report.domain or name
            localpart = report_localpart(config.domains.domains[home], report)
            # The same address for both kinds of reports, and for several domains, is fine.
            before = config.targets.get((localpart, home))
            config.targets[localpart, home] = Target(
                account=report.account,
                address=str(Address(localpart=localpart, domain=home)),
                destination=Destination(mailbox=report.mailbox),
                dmarc_reports=report is domain.dmarc
                or (before is not None and before.dmarc_reports),
                tls_reports=report is domain.tlsrpt or (before is not None and before.tls_reports),
            )


def _add_aliases(config: Config) -> None:
    for name, domain in config.domains.domains.items():
        for localpart, alias in domain.aliases.items():
            key, address = _checked(config, f"{localpart}@{name}")
            config.aliases[key] = AliasTarget(
                address=str(address),
                alias=alias,
                members=tuple(config.targets[_checked(config, one)[0]] for one in alias.addresses),
            )


def _checked(config: Config, text: str) -> tuple[Key, Address]:
    address = parse_address(text)
    key = config.key(address) if address else None
    if address is None or key is None:
        raise ValueError(f"unchecked address {text!r}")
    return key, address


Listening = Callable[[Config, Config], None]
"""Told the old and the new configuration, after the swap, in the order of ``listen``."""


class Live:
    """Holds the current configuration.    For one event loop; a swap is one assignment."""

    __slots__ = ("_config", "_listening")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._listening: list[Listening] = []

    @property
    def config(self) -> Config:
        """The current one.    Take it once per piece of work, so that the work sees one state."""
        return self._config

    def listen(self, told: Listening) -> Callable[[], None]:
        """Be told of every swap.    Call what is returned to end it."""
        self._listening.append(told)
        return lambda: self._listening.remove(told)

    def swap(self, config: Config) -> None:
        """Make another configuration the current one.

        Errors  those of a listener, after all have been told: ExceptionGroup.
        """
        old, self._config = self._config, config
        errors: list[Exception] = []
        for told in tuple(self._listening):
            try:
                told(old, config)
            except Exception as error:  # noqa: BLE001  one must not keep the others from knowing
                errors.append(error)
        if errors:
            raise ExceptionGroup("listeners of the configuration", errors)
