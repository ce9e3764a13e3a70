"""Domain names, addresses and mailbox names as they may stand in a configuration file."""

from functools import lru_cache

from msgspec import Struct

from mox.base.limits import CONFIG_TEXT
from mox.base.mailboxname import normalise_mailbox_name
from mox.smtp import address as smtp_address
from mox.smtp.errors import CommandError


@lru_cache(maxsize=4096)
def unicode_domain(text: str) -> str | None:
    """The one form in which we compare and write a domain: Unicode, lower case; None if invalid."""
    try:
        return smtp_address.domain_to_unicode(smtp_address.parse_domain(text))
    except CommandError:
        return None


def domain_problem(text: str) -> str | None:
    """Why this may not stand as a domain in a file, or None."""
    form = unicode_domain(text)
    if form is None:
        return f"{text!r} is not a domain name"
    if form != text:
        return f"write the domain in Unicode and lower case: {form}"
    return None


class Address(Struct, frozen=True, kw_only=True):
    """An address of the file.

    ``localpart`` is without quotes and may be empty; None stands for every local part.
    ``domain`` is in Unicode.
    """

    localpart: str | None
    domain: str

    def __str__(self) -> str:
        if self.localpart is None:
            return f"@{self.domain}"
        return f"{smtp_address.quote_localpart(self.localpart)}@{self.domain}"


def parse_address(text: str) -> Address | None:
    """``localpart@domain``, ``"quoted part"@domain`` or ``@domain``; None when it is none of them."""
    if text.startswith("@"):
        domain = unicode_domain(text[1:])
        return None if domain is None else Address(localpart=None, domain=domain)
    try:
        parsed = smtp_address.parse_address(text)
    except CommandError:
        return None
    return Address(localpart=parsed.localpart, domain=smtp_address.domain_to_unicode(parsed.domain))


def mailbox_problem(name: str) -> str | None:
    """Why this may not be the name of a mailbox, or None.    spec/config.md section 2."""
    try:
        normalise_mailbox_name(name)
    except ValueError as error:
        return f"{name!r}: {error}"
    return None


def account_name_problem(name: str) -> str | None:
    """Why an account cannot have this name, or None."""
    if not 0 < len(name) <= CONFIG_TEXT:
        return f"the name of an account has 1 to {CONFIG_TEXT} characters"
    if not name.isprintable() or name != name.strip() or "/" in name or name in (".", ".."):
        return "the name of an account has no control characters, no / and no space around it"
    return None
