"""Address → account and destination.

Source  spec/config.md section 7 (order of look-up), spec/smtp-server.md section 9.
Input   local parts without quotes; domains in any form (A-label, Unicode, any case).
"""

from enum import Enum

from mox.config.address import POSTMASTER
from mox.config.domains import Account, Destination
from mox.config.live import AliasTarget, Config, Target
from mox.config.names import Address, parse_address, unicode_domain


class Miss(Enum):
    """Why an address leads nowhere."""

    DOMAIN_UNKNOWN = "domain not found"
    DOMAIN_DISABLED = "domain is disabled for now"
    ADDRESS_UNKNOWN = "address not found"


def find_recipient(config: Config, localpart: str, domain: str) -> Target | AliasTarget | Miss:
    """Who receives mail for an address.    ``domain`` may be empty: RFC 5321 §4.5.1 postmaster."""
    found = _find(config, localpart, domain, check_disabled=True)
    account = config.fallback_account
    if not isinstance(found, Miss) or not account:
        return found
    address = str(Address(localpart=localpart, domain=unicode_domain(domain) or domain))
    return Target(account=account, address=address, destination=Destination())


def find_login(config: Config, address: str) -> tuple[str, Account] | None:
    """The account, by name, that logs in with this address; also for a disabled domain."""
    parsed = parse_address(address)
    if parsed is None or parsed.localpart is None:
        return None
    found = _find(config, parsed.localpart, parsed.domain, check_disabled=False)
    if not isinstance(found, Target):
        return None  # also an alias: nobody is several people
    return found.account, config.domains.accounts[found.account]


def login_identity(config: Config, address: str) -> str:
    """One name for all spellings that would log in to the same account, if there was one.

    From it comes what users who do not exist are shown, so it must not depend on their existence.
    """
    parsed = parse_address(address)
    if parsed is None or parsed.localpart is None:
        return address
    key = config.key(parsed)
    return str(parsed if key is None else Address(localpart=key[0], domain=key[1]))


def find_exact(config: Config, address: Address) -> Target | AliasTarget | Miss:
    """What the file itself says of an address or a catch-all, without falling back to another."""
    key = config.key(address)
    if key is None:
        return Miss.DOMAIN_UNKNOWN
    return config.targets.get(key) or config.aliases.get(key) or Miss.ADDRESS_UNKNOWN


def find_sender(config: Config, localpart: str, domain: str) -> Target | AliasTarget | Miss:
    """Whose address somebody sends as; the domain may be disabled for now."""
    return _find(config, localpart, domain, check_disabled=False)


def may_send_as(config: Config, account: str, localpart: str, domain: str) -> bool:
    """Does the address belong to the account?    Submission wants it of MAIL FROM and From.

    That of an alias belongs to its members, where it says so.  In localserve every address does: a
    developer sends as whoever the program under test is.
    """
    if config.fallback_account == account:
        return True
    found = find_sender(config, localpart, domain)
    if isinstance(found, AliasTarget):
        return found.alias.allow_msg_from and found.has_member(account)
    return isinstance(found, Target) and found.account == account


def has_from_id(config: Config, account: str, login: str) -> bool:
    """Does each message of a session that logged in with this address get a MAIL FROM of its own?"""
    owner = config.domains.accounts.get(account)
    if owner is None or not owner.from_id_login_addresses:
        return False
    identity = login_identity(config, login)
    return any(login_identity(config, one) == identity for one in owner.from_id_login_addresses)


def canonical_address(config: Config, localpart: str, domain: str) -> str:
    """One text for all spellings of an address, of our domains or of others."""
    address = Address(localpart=localpart, domain=unicode_domain(domain) or domain)
    key = config.key(address)
    return str(address if key is None else Address(localpart=key[0], domain=key[1]))


def is_local_domain(config: Config, domain: str) -> bool:
    """Do we receive mail for the domain, disabled or not?"""
    form = unicode_domain(domain)
    return form in config.domains.domains and form not in config.reports_only


def is_disabled_domain(config: Config, domain: str) -> bool:
    """Is the domain one of ours and disabled?"""
    found = config.domains.domains.get(unicode_domain(domain) or "")
    return found is not None and found.disabled


def _find(
    config: Config, localpart: str, domain: str, *, check_disabled: bool
) -> Target | AliasTarget | Miss:
    form = unicode_domain(domain) if domain else ""
    if form is None:
        return Miss.DOMAIN_UNKNOWN
    ours = _find_host(config, localpart, form)
    if ours is not None:
        return ours
    key = config.key(Address(localpart=localpart, domain=form))
    if key is None or form in config.reports_only:
        return Miss.DOMAIN_UNKNOWN
    if check_disabled and config.domains.domains[form].disabled:
        return Miss.DOMAIN_DISABLED
    found = config.targets.get(key) or config.aliases.get(key) or config.targets.get((None, form))
    if found is not None:
        return found
    return _postmaster(config, form) if key[0] == POSTMASTER else Miss.ADDRESS_UNKNOWN


def _find_host(config: Config, localpart: str, domain: str) -> Target | None:
    """Addresses of the host itself, which needs not be one of our domains."""
    # RFC 5321 §4.5.1: in any case, also without a domain.
    if localpart.lower() == POSTMASTER and (not domain or domain in config.host_names):
        return _postmaster(config, domain or config.static.hostname)
    reports = config.static.host_tlsrpt
    if reports is None or domain != config.static.hostname:
        return None
    if localpart.lower() != reports.localpart.lower():
        return None
    return Target(
        account=reports.account,
        address=str(Address(localpart=reports.localpart.lower(), domain=domain)),
        destination=Destination(mailbox=reports.mailbox),
        tls_reports=True,
    )


def _postmaster(config: Config, domain: str) -> Target:
    owner = config.static.postmaster
    return Target(
        account=owner.account,
        address=f"{POSTMASTER}@{domain}",
        destination=Destination(mailbox=owner.mailbox),
    )
