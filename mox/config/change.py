"""Edits of ``domains.toml`` asked for by the operator: old configuration and text → new text.

Comments, order and layout of what is not touched stay.  The new text is not checked here beyond
what the edit itself needs: ``load_domains`` does that before anything is written.

Source  spec/config.md section 11.
Cost    the whole text is parsed, 0.3 s for each 1,000 accounts: call it in a thread.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from mox.config.changealias import remove_from_aliases
from mox.config.defaults import new_account, new_domain
from mox.config.edit import ChangeRefused, edit
from mox.config.live import AliasTarget, Config
from mox.config.lookup import Miss, find_exact
from mox.config.named import account_named, address_named, domain_named, free_address
from mox.config.names import account_name_problem, domain_problem, parse_address


def add_account(config: Config, text: str, *, account: str, address: str) -> str:
    """A new account with one address.    Errors: ChangeRefused."""
    problem = account_name_problem(account)
    if problem:
        raise ChangeRefused(problem)
    if account in config.domains.accounts:
        raise ChangeRefused(f"there already is an account {account!r}")
    free = free_address(config, address)
    return edit(text, ("accounts", account), new_account(free))


def remove_account(config: Config, text: str, *, account: str) -> str:
    """An account, its addresses, and the report addresses of domains that led to it.

    Errors  ChangeRefused.
    """
    account_named(config, account)
    if account == config.static.postmaster.account:
        raise ChangeRefused(f"{account!r} is the account of the postmaster")
    for name, domain in config.domains.domains.items():
        for table, report in (("dmarc", domain.dmarc), ("tlsrpt", domain.tlsrpt)):
            if report is not None and report.account == account:
                text = edit(text, ("domains", name, table), UNSET)
    return edit(text, ("accounts", account), UNSET)


def set_login_disabled(config: Config, text: str, *, account: str, message: str) -> str:
    """Refuse logins with a message, or allow them: the empty message.    Errors: ChangeRefused."""
    account_named(config, account)
    return edit(text, ("accounts", account, "login_disabled"), message or UNSET)


def add_address(config: Config, text: str, *, account: str, address: str) -> str:
    """One more address of an account; ``@domain`` is the catch-all.    Errors: ChangeRefused."""
    owner = account_named(config, account)
    free = free_address(config, address)
    if not owner.destinations:
        return edit(text, ("accounts", account, "destinations"), {str(free): {}})
    return edit(text, ("accounts", account, "destinations", str(free)), {})


def remove_address(config: Config, text: str, *, address: str) -> str:
    """An address of whichever account has it.    Errors: ChangeRefused."""
    found = find_exact(config, address_named(address))
    if isinstance(found, Miss):
        raise ChangeRefused(f"{address}: {found.value}")
    if isinstance(found, AliasTarget):
        raise ChangeRefused(f"{address} is an alias; remove it with: mox config alias rm {address}")
    if found.dmarc_reports or found.tls_reports:
        raise ChangeRefused(f"reports arrive at {address}; change dmarc or tlsrpt of the domain")
    owner = config.domains.accounts[found.account]
    key = next(one for one in owner.destinations if str(parse_address(one)) == found.address)
    text = edit(text, ("accounts", found.account, "destinations", key), UNSET)
    logins = [
        one
        for one in owner.from_id_login_addresses
        if find_exact(config, address_named(one)) is not found
    ]
    if len(logins) != len(owner.from_id_login_addresses):
        text = edit(text, ("accounts", found.account, "from_id_login_addresses"), logins)
    return remove_from_aliases(config, text, found)


def add_domain(
    config: Config,
    text: str,
    *,
    domain: str,
    account: str,
    localpart: str = "",
    disabled: bool = False,
    key_files: Mapping[str, str] | None = None,
) -> str:
    """A new domain.    An account that does not exist is made, with the local part as address.

    Input   key_files: of DKIM, by selector; the first signs, the others wait for their turn.
    Errors  ChangeRefused.
    """
    problem = domain_problem(domain)
    if problem:
        raise ChangeRefused(problem)
    if domain in config.domains.domains:
        raise ChangeRefused(f"there already is a domain {domain!r}")
    section = new_domain(domain, account, disabled=disabled, key_files=key_files or {})
    edited = edit(text, ("domains", domain), section)
    if account in config.domains.accounts:
        if localpart:
            raise ChangeRefused(f"account {account!r} exists; give no local part")
        if account == config.static.postmaster.account:
            return edited
        owner = config.domains.accounts[account]
        address: dict[str, Any] = {f"postmaster@{domain}": {}}
        if not owner.destinations:
            return edit(edited, ("accounts", account, "destinations"), address)
        path = ("accounts", account, "destinations", f"postmaster@{domain}")
        return edit(edited, path, {})
    problem = account_name_problem(account)
    if problem:
        raise ChangeRefused(problem)
    if not localpart:
        raise ChangeRefused(f"there is no account {account!r}; give a local part to make one")
    new = address_named(f"{localpart}@{domain}")
    return edit(edited, ("accounts", account), new_account(new))


def remove_domain(config: Config, text: str, *, domain: str) -> str:
    """A domain that no account uses any more.    Errors: ChangeRefused."""
    domain_named(config, domain)
    used = sorted(
        name
        for name, account in config.domains.accounts.items()
        if account.domain == domain
        or any(address_named(one).domain == domain for one in account.destinations)
    )
    if used:
        raise ChangeRefused(f"domain {domain!r} is used by: {', '.join(used[:10])}")
    return edit(text, ("domains", domain), UNSET)


def set_domain_disabled(config: Config, text: str, *, domain: str, disabled: bool) -> str:
    """Refuse mail of a domain for now, or take it again.    Errors: ChangeRefused."""
    domain_named(config, domain)
    return edit(text, ("domains", domain, "disabled"), True if disabled else UNSET)
