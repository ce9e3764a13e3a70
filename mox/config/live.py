"""The one current configuration: swapped as a whole, and those who need to know are told."""

from collections.abc import Callable

from msgspec import Struct

from mox.base.mailboxname import INBOX, normalise_mailbox_name
from mox.config.address import canonical_localpart
from mox.config.domains import Destination, DomainsConfig
from mox.config.names import parse_address
from mox.config.static import StaticConfig


class Target(Struct, frozen=True, kw_only=True):
    """Where mail for an address goes.    ``address`` is the canonical one, with its catch-all form."""

    account: str
    address: str
    destination: Destination

    @property
    def mailbox(self) -> str:
        """Mailbox for delivery, normalised."""
        return normalise_mailbox_name(self.destination.mailbox or INBOX)


class Config(Struct, frozen=True, kw_only=True):
    """Both files, checked, and what follows from them."""

    static: StaticConfig
    domains: DomainsConfig
    targets: dict[tuple[str | None, str], Target]
    """By canonical local part (None: catch-all) and domain."""
    host_names: frozenset[str]
    """Our own names: the hostname, and those of listeners that receive mail."""
    fallback_account: str
    """Takes what is addressed to nobody, of any domain: localserve.  Empty: nobody does."""


def make_config(
    static: StaticConfig, domains: DomainsConfig, *, fallback_account: str = ""
) -> Config:
    """Derive the look-up tables.    Input: structs that passed every check."""
    targets: dict[tuple[str | None, str], Target] = {}
    for name, account in domains.accounts.items():
        for text, destination in account.destinations.items():
            address = parse_address(text)
            if address is None:
                raise ValueError(f"unchecked address {text!r}")
            localpart = address.localpart
            if localpart is not None:
                localpart = canonical_localpart(domains.domains[address.domain], localpart)
            target = Target(account=name, address=str(address), destination=destination)
            targets[localpart, address.domain] = target
    hosts = {static.hostname} | {
        listener.hostname
        for listener in static.listeners.values()
        if listener.smtp.enabled and listener.hostname
    }
    return Config(
        static=static,
        domains=domains,
        targets=targets,
        host_names=frozenset(hosts),
        fallback_account=fallback_account,
    )


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
