"""Address → account and destination.

Source  spec/config.md section 7 (order of look-up), spec/smtp-server.md section 9.
Input   local parts without quotes; domains in any form (A-label, Unicode, any case).
"""

from enum import Enum

from mox.config.address import canonical_localpart
from mox.config.domains import Account, Destination
from mox.config.live import Config, Target
from mox.config.names import Address, parse_address, unicode_domain


class Miss(Enum):
    """Why an address leads nowhere."""

    DOMAIN_UNKNOWN = "domain not found"
    DOMAIN_DISABLED = "domain is disabled for now"
    ADDRESS_UNKNOWN = "address not found"


def find_recipient(config: Config, localpart: str, domain: str) -> Target | Miss:
    """Who receives mail for an address.    ``domain`` may be empty: RFC 5321 §4.5.1 postmaster."""
    found = _find(config, localpart, domain, check_disabled=True)
    account = config.fallback_account
    if isinstance(found, Target) or not account:
        return found
    address = str(Address(localpart=localpart, domain=unicode_domain(domain) or domain))
    return Target(account=account, address=address, destination=Destination())


def find_login(config: Config, address: str) -> tuple[str, Account] | None:
    """The account, by name, that logs in with this address; also for a disabled domain."""
    parsed = parse_address(address)
    if parsed is None or parsed.localpart is None:
        return None
    found = _find(config, parsed.localpart, parsed.domain, check_disabled=False)
    if isinstance(found, Miss):
        return None
    return found.account, config.domains.accounts[found.account]


def login_identity(config: Config, address: str) -> str:
    """One name for all spellings that would log in to the same account, if there was one.

    From it comes what users who do not exist are shown, so it must not depend on their existence.
    """
    parsed = parse_address(address)
    if parsed is None or parsed.localpart is None:
        return address
    domain = config.domains.domains.get(parsed.domain)
    localpart = parsed.localpart
    if domain is not None:
        localpart = canonical_localpart(domain, localpart)
    return str(Address(localpart=localpart, domain=parsed.domain))


def find_exact(config: Config, address: Address) -> Target | Miss:
    """What the file itself says of an address or a catch-all, without falling back to another."""
    domain = config.domains.domains.get(address.domain)
    if domain is None:
        return Miss.DOMAIN_UNKNOWN
    localpart = address.localpart
    if localpart is not None:
        localpart = canonical_localpart(domain, localpart)
    return config.targets.get((localpart, address.domain)) or Miss.ADDRESS_UNKNOWN


def may_send_as(config: Config, account: str, localpart: str, domain: str) -> bool:
    """Does the address belong to the account?    Submission wants it of MAIL FROM and From.

    In localserve every address does: a developer sends as whoever the program under test is.
    """
    if config.fallback_account == account:
        return True
    found = _find(config, localpart, domain, check_disabled=False)
    return isinstance(found, Target) and found.account == account


def is_local_domain(config: Config, domain: str) -> bool:
    """Is the domain one of ours, disabled or not?"""
    form = unicode_domain(domain)
    return form is not None and form in config.domains.domains


def is_disabled_domain(config: Config, domain: str) -> bool:
    """Is the domain one of ours and disabled?"""
    found = config.domains.domains.get(unicode_domain(domain) or "")
    return found is not None and found.disabled


def _find(config: Config, localpart: str, domain: str, *, check_disabled: bool) -> Target | Miss:
    form = unicode_domain(domain) if domain else ""
    # RFC 5321 §4.5.1: postmaster in any case, also without a domain.
    is_postmaster = localpart.lower() == "postmaster"
    if is_postmaster and (form == "" or form in config.host_names):
        return _postmaster(config, form or config.static.hostname)
    ours = config.domains.domains.get(form) if form else None
    if ours is None or not form:
        return Miss.DOMAIN_UNKNOWN
    if ours.disabled and check_disabled:
        return Miss.DOMAIN_DISABLED
    canonical = "postmaster" if is_postmaster else canonical_localpart(ours, localpart)
    found = config.targets.get((canonical, form)) or config.targets.get((None, form))
    if found is not None:
        return found
    return _postmaster(config, form) if canonical == "postmaster" else Miss.ADDRESS_UNKNOWN


def _postmaster(config: Config, domain: str) -> Target:
    owner = config.static.postmaster
    return Target(
        account=owner.account,
        address=f"postmaster@{domain}",
        destination=Destination(mailbox=owner.mailbox),
    )
