"""Edits of ``domains.toml`` asked for by the operator: old configuration and text → new text.

Comments, order and layout of what is not touched stay.  The new text is not checked here beyond
what the edit itself needs: ``load_domains`` does that before anything is written.

Source  spec/config.md section 11.
Cost    the whole text is parsed, 0.3 s for each 1,000 accounts: call it in a thread.
"""

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import tomlkit
from msgspec import UNSET, UnsetType
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from mox.base.errors import Refused
from mox.config.check import account_name_problem
from mox.config.domains import Account
from mox.config.live import Config
from mox.config.lookup import Miss, find_exact
from mox.config.names import Address, domain_problem, parse_address
from mox.config.toml import Path, format_path

NEW_DOMAIN_SEPARATOR = "+"


class ChangeRefused(Refused):
    """An edit that does not fit the configuration."""

    default = "config error"


def add_account(config: Config, text: str, *, account: str, address: str) -> str:
    """A new account with one address.    Errors: ChangeRefused."""
    problem = account_name_problem(account)
    if problem:
        raise ChangeRefused(problem)
    if account in config.domains.accounts:
        raise ChangeRefused(f"there already is an account {account!r}")
    free = _free_address(config, address)
    return _edit(text, ("accounts", account), _new_account(free))


def remove_account(config: Config, text: str, *, account: str) -> str:
    """An account and its addresses.    Errors: ChangeRefused."""
    _account(config, account)
    if account == config.static.postmaster.account:
        raise ChangeRefused(f"{account!r} is the account of the postmaster")
    return _edit(text, ("accounts", account), UNSET)


def set_login_disabled(config: Config, text: str, *, account: str, message: str) -> str:
    """Refuse logins with a message, or allow them: the empty message.    Errors: ChangeRefused."""
    _account(config, account)
    return _edit(text, ("accounts", account, "login_disabled"), message or UNSET)


def add_address(config: Config, text: str, *, account: str, address: str) -> str:
    """One more address of an account; ``@domain`` is the catch-all.    Errors: ChangeRefused."""
    owner = _account(config, account)
    free = _free_address(config, address)
    if not owner.destinations:
        return _edit(text, ("accounts", account, "destinations"), {str(free): {}})
    return _edit(text, ("accounts", account, "destinations", str(free)), {})


def remove_address(config: Config, text: str, *, address: str) -> str:
    """An address of whichever account has it.    Errors: ChangeRefused."""
    found = find_exact(config, _address(address))
    if isinstance(found, Miss):
        raise ChangeRefused(f"{address}: {found.value}")
    written = config.domains.accounts[found.account].destinations
    key = next(one for one in written if str(parse_address(one)) == found.address)
    return _edit(text, ("accounts", found.account, "destinations", key), UNSET)


def add_domain(
    config: Config,
    text: str,
    *,
    domain: str,
    account: str,
    localpart: str = "",
    disabled: bool = False,
) -> str:
    """A new domain.    An account that does not exist is made, with the local part as address.

    Errors  ChangeRefused.
    """
    problem = domain_problem(domain)
    if problem:
        raise ChangeRefused(problem)
    if domain in config.domains.domains:
        raise ChangeRefused(f"there already is a domain {domain!r}")
    section: dict[str, Any] = {"disabled": True} if disabled else {}
    section["localpart_catchall_separator"] = NEW_DOMAIN_SEPARATOR
    edited = _edit(text, ("domains", domain), section)
    if account in config.domains.accounts:
        if localpart:
            raise ChangeRefused(f"account {account!r} exists; give no local part")
        if account == config.static.postmaster.account:
            return edited
        owner = config.domains.accounts[account]
        address: dict[str, Any] = {f"postmaster@{domain}": {}}
        if not owner.destinations:
            return _edit(edited, ("accounts", account, "destinations"), address)
        path = ("accounts", account, "destinations", f"postmaster@{domain}")
        return _edit(edited, path, {})
    problem = account_name_problem(account)
    if problem:
        raise ChangeRefused(problem)
    if not localpart:
        raise ChangeRefused(f"there is no account {account!r}; give a local part to make one")
    new = _address(f"{localpart}@{domain}")
    return _edit(edited, ("accounts", account), _new_account(new))


def remove_domain(config: Config, text: str, *, domain: str) -> str:
    """A domain that no account uses any more.    Errors: ChangeRefused."""
    _domain(config, domain)
    used = sorted(
        name
        for name, account in config.domains.accounts.items()
        if account.domain == domain
        or any(_address(one).domain == domain for one in account.destinations)
    )
    if used:
        raise ChangeRefused(f"domain {domain!r} is used by: {', '.join(used[:10])}")
    return _edit(text, ("domains", domain), UNSET)


def set_domain_disabled(config: Config, text: str, *, domain: str, disabled: bool) -> str:
    """Refuse mail of a domain for now, or take it again.    Errors: ChangeRefused."""
    _domain(config, domain)
    return _edit(text, ("domains", domain, "disabled"), True if disabled else UNSET)


def _account(config: Config, name: str) -> Account:
    found = config.domains.accounts.get(name)
    if found is None:
        raise ChangeRefused(f"there is no account {name!r}")
    return found


def _domain(config: Config, name: str) -> None:
    if name not in config.domains.domains:
        raise ChangeRefused(f"there is no domain {name!r}")


def _address(text: str) -> Address:
    address = parse_address(text)
    if address is None:
        raise ChangeRefused(f"{text!r} is not an address")
    return address


def _free_address(config: Config, text: str) -> Address:
    address = _address(text)
    _domain(config, address.domain)
    found = find_exact(config, address)
    if not isinstance(found, Miss):
        raise ChangeRefused(f"{address} is an address of account {found.account!r}")
    return address


def _new_account(address: Address) -> dict[str, Any]:
    return {"domain": address.domain, "destinations": {str(address): {}}}


def _edit(text: str, path: Path, value: dict[str, Any] | str | bool | UnsetType) -> str:
    """Set or remove one key.    The result is compared with the same edit of the plain values."""
    wanted = tomllib.loads(text)
    _apply(wanted, path, value, lambda _parent, plain: copy.deepcopy(plain))
    try:
        document = tomlkit.parse(text)
        _apply(document, path, value, _item)
        edited = tomlkit.dumps(document)
        if tomllib.loads(edited) == wanted:
            return edited
    except (TOMLKitError, tomllib.TOMLDecodeError) as error:
        raise _cannot(path, error) from error
    raise _cannot(path, None)


def _cannot(path: Path, cause: Exception | None) -> ChangeRefused:
    return ChangeRefused(
        f"domains.toml is laid out in a way that cannot be edited at {format_path(path)};"
        " please edit it by hand",
        cause=cause,
    )


def _apply(
    top: Any,
    path: Path,
    value: dict[str, Any] | str | bool | UnsetType,
    make: Callable[[Any, Any], Any],
) -> None:
    parent = top
    for key in path[:-1]:
        parent = parent[key]
    if not isinstance(value, UnsetType):
        parent[path[-1]] = make(parent, value)
    elif path[-1] in parent:
        del parent[path[-1]]


def _item(parent: Any, value: Any) -> Any:
    """A value as tomlkit writes it: inline inside an inline table, else as tables of their own."""
    if not isinstance(value, dict):
        return tomlkit.item(value)
    inline = isinstance(parent, InlineTable)
    only_tables = bool(value) and all(isinstance(one, dict) for one in value.values())
    table: Any = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=only_tables)
    for key, one in value.items():
        table[key] = _item(table, one)
    return table
