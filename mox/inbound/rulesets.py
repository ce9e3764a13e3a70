"""Which ruleset of a destination fits a message.    Pure.    spec/smtp-server.md section 8.1.

All conditions of a ruleset must be met, and the first ruleset that fits is used.  Expressions are
searched for, not anchored.  A header section that cannot be read fits nothing.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from mox.base.limits import RULESET_FIELDS
from mox.base.regexp import Regexp
from mox.config.filtering import Ruleset
from mox.dns.name import is_within
from mox.inbound.heading import Heading
from mox.junk.reputation import Sender
from mox.smtp.address import Address


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What rulesets look at."""

    mail_from: Address
    sender: Sender  # with all its identities: nothing is taken away for a forward yet
    heading: Heading


def choose(rulesets: Sequence[Ruleset], traits: Traits) -> Ruleset | None:
    """The first ruleset that fits."""
    if not rulesets or not traits.heading.is_readable:
        return None
    fields: list[tuple[str, str]] | None = None
    for ruleset in rulesets:
        if ruleset.headers_regexp and fields is None:
            fields = _fields(traits.heading)
        if _fits(ruleset, traits, fields or []):
            return ruleset
    return None


def _fits(ruleset: Ruleset, traits: Traits, fields: list[tuple[str, str]]) -> bool:
    sender = traits.sender
    if ruleset.smtp_mail_from_regexp and not _compiled(ruleset.smtp_mail_from_regexp).found_in(
        traits.mail_from.unicode()
    ):
        return False
    if ruleset.msg_from_regexp:
        author = traits.heading.author
        if author is None or not _compiled(ruleset.msg_from_regexp).found_in(str(author)):
            return False
    if ruleset.verified_domain and not any(
        is_within(one, ruleset.verified_domain) for one in verified_domains(sender)
    ):
        return False
    return all(
        _in_some_field(_compiled(name), _compiled(value), fields)
        for name, value in ruleset.headers_regexp.items()
    )


def verified_domains(sender: Sender) -> Iterable[str]:
    """Domains that SPF or DKIM proved to be the sender's, in Unicode."""
    if sender.ehlo_validated:
        yield sender.ehlo_domain
    if sender.mail_from_validated:
        yield sender.mail_from_domain
    yield from sender.dkim_domains


def comes_from_list(ruleset: Ruleset, sender: Sender) -> bool:
    """Is the list's own domain proven, so that nothing else needs to be looked at?"""
    domain = ruleset.list_allow_domain
    if not domain:
        return False
    by_spf = sender.mail_from_validated and sender.mail_from_domain == domain
    return by_spf or domain in sender.dkim_domains


def without_forwarder(sender: Sender, ruleset: Ruleset) -> Sender:
    """What is left of a message's identities when those of the forwarder are taken away.

    What its user thinks of forwarded mail says nothing about whoever forwarded it.
    """
    domain = ruleset.verified_domain
    return msgspec.structs.replace(
        sender,
        dkim_domains=tuple(one for one in sender.dkim_domains if not is_within(one, domain)),
        mail_from_localpart="",
        mail_from_domain="",
        mail_from_validated=False,
        ehlo_domain="",
        ehlo_validated=False,
        ip1="",
        ip2="",
        ip3="",
    )


def _in_some_field(name: Regexp, value: Regexp, fields: list[tuple[str, str]]) -> bool:
    return any(name.found_in(key) and value.found_in(text) for key, text in fields)


def _fields(heading: Heading) -> list[tuple[str, str]]:
    return [
        (name.decode("utf-8", "replace"), value.decode("utf-8", "replace").strip().lower())
        for name, value in heading.fields(RULESET_FIELDS)
    ]


# As many as an installation with many users has; each was accepted when the configuration was read.
_compiled = lru_cache(maxsize=4096)(Regexp)
