"""Checks of an account and its destinations.    spec/config.md section 8."""

import re

from mox.config.checkoutgoing import check_routes
from mox.config.checktext import say, say_mailbox, say_printable, say_regexp
from mox.config.domains import Account, Destination, DomainsConfig
from mox.config.filtering import Ruleset
from mox.config.names import account_name_problem, domain_problem, mailbox_problem
from mox.config.shape import Flaws
from mox.config.toml import Path

_CAPABILITY = re.compile(r"[A-Za-z0-9!#$&'+,./:;<=>?@^_`|~-]+")


def check_account(name: str, account: Account, domains: DomainsConfig, flaws: Flaws) -> None:
    """One account, but for its addresses."""
    path: Path = ("accounts", name)
    say(flaws, path, account_name_problem(name))
    if account.domain not in domains.domains:
        text = domain_problem(account.domain) or f"there is no domain {account.domain!r}"
        flaws.append(((*path, "domain"), text))
    say_printable(flaws, (*path, "login_disabled"), account.login_disabled)
    for number, capability in enumerate(account.imap_capabilities_disabled):
        if not _CAPABILITY.fullmatch(capability):
            where = (*path, "imap_capabilities_disabled", number)
            flaws.append((where, f"{capability!r} cannot be the name of a capability"))
    _check_filtering(account, path, flaws)
    for text, destination in account.destinations.items():
        _check_destination(destination, (*path, "destinations", text), flaws)
    check_routes(account.routes, (*path, "routes"), flaws)


def _check_filtering(account: Account, path: Path, flaws: Flaws) -> None:
    for key in ("rejects_mailbox", "introbox"):
        name = getattr(account, key)
        if name:
            say_mailbox(flaws, (*path, key), name)
    if account.introbox and account.introbox == account.rejects_mailbox:
        flaws.append(((*path, "introbox"), "must not be the rejects_mailbox"))
    for key in ("junk_mailbox_regexp", "neutral_mailbox_regexp", "notjunk_mailbox_regexp"):
        say_regexp(
            flaws, (*path, "automatic_junk_flags", key), getattr(account.automatic_junk_flags, key)
        )
    junk = account.junk_filter
    if junk is not None and not (junk.onegrams or junk.twograms or junk.threegrams):
        flaws.append(
            ((*path, "junk_filter"), "at least one of onegrams, twograms, threegrams is needed")
        )


def _check_destination(destination: Destination, path: Path, flaws: Flaws) -> None:
    if destination.mailbox:
        say(flaws, (*path, "mailbox"), mailbox_problem(destination.mailbox))
    say_printable(
        flaws,
        (*path, "message_auth_required_smtp_error"),
        destination.message_auth_required_smtp_error,
    )
    for number, ruleset in enumerate(destination.rulesets):
        _check_ruleset(ruleset, (*path, "rulesets", number), flaws)
    error = destination.smtp_error
    if not error:
        return
    where = (*path, "smtp_error")
    if error[:3] not in ("421", "550") or error[3:4] not in ("", " "):
        flaws.append((where, "must begin with 421 or 550, then a space and a text"))
    say_printable(flaws, where, error)
    for key in ("mailbox", "rulesets"):
        if getattr(destination, key):
            flaws.append((where, f"smtp_error and {key} exclude each other"))


def _check_ruleset(ruleset: Ruleset, path: Path, flaws: Flaws) -> None:
    conditions = ("smtp_mail_from_regexp", "msg_from_regexp", "verified_domain", "headers_regexp")
    if not any(getattr(ruleset, key) for key in conditions):
        flaws.append((path, f"at least one condition is needed: {', '.join(conditions)}"))
    for key in ("smtp_mail_from_regexp", "msg_from_regexp"):
        say_regexp(flaws, (*path, key), getattr(ruleset, key))
    for key in ("verified_domain", "list_allow_domain"):
        if getattr(ruleset, key):
            say(flaws, (*path, key), domain_problem(getattr(ruleset, key)))
    for name, value in ruleset.headers_regexp.items():
        where = (*path, "headers_regexp", name)
        for text in (name, value):
            say_regexp(flaws, where, text)
            if text != text.lower():
                flaws.append((where, f"{text!r} must be in lower case, as fields are compared"))
    if ruleset.is_forward:
        if not ruleset.smtp_mail_from_regexp or not ruleset.verified_domain:
            text = "needs smtp_mail_from_regexp and verified_domain"
            flaws.append(((*path, "is_forward"), text))
        if ruleset.list_allow_domain:
            flaws.append((path, "is_forward and list_allow_domain exclude each other"))
    if ruleset.accept_rejects_to_mailbox:
        where = (*path, "accept_rejects_to_mailbox")
        say_mailbox(flaws, where, ruleset.accept_rejects_to_mailbox)
    say(flaws, (*path, "mailbox"), mailbox_problem(ruleset.mailbox))
