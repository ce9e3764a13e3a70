"""What an edit names: there, or not yet."""

from mox.config.domains import Account, Domain
from mox.config.edit import ChangeRefused
from mox.config.live import AliasTarget, Config, Target
from mox.config.lookup import find_exact
from mox.config.names import Address, parse_address


def account_named(config: Config, name: str) -> Account:
    """Errors: ChangeRefused."""
    found = config.domains.accounts.get(name)
    if found is None:
        raise ChangeRefused(f"there is no account {name!r}")
    return found


def domain_named(config: Config, name: str) -> Domain:
    """Errors: ChangeRefused."""
    found = config.domains.domains.get(name)
    if found is None:
        raise ChangeRefused(f"there is no domain {name!r}")
    return found


def address_named(text: str) -> Address:
    """An address or a catch-all.    Errors: ChangeRefused."""
    address = parse_address(text)
    if address is None:
        raise ChangeRefused(f"{text!r} is not an address")
    return address


def free_address(config: Config, text: str) -> Address:
    """One of our domains that nobody has yet.    Errors: ChangeRefused."""
    address = address_named(text)
    domain_named(config, address.domain)
    found = find_exact(config, address)
    if isinstance(found, AliasTarget):
        raise ChangeRefused(f"{address} is an alias")
    if isinstance(found, Target):
        raise ChangeRefused(f"{address} is an address of account {found.account!r}")
    return address
