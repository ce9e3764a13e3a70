"""Who may send to an alias, and who of its members gets a copy.    Pure.    Section 8.2."""

from collections.abc import Iterator
from typing import ClassVar, Final

from mox.base.errors import Refused
from mox.config.live import AliasTarget, Target
from mox.config.names import parse_address
from mox.inbound.heading import Author
from mox.smtp.reply import reply

NOT_ALLOWED: Final = reply(550, "5.7.2", "not allowed to send to this address")


class NotAllowed(Refused):
    """The author may not send to this alias."""

    default: ClassVar[str] = "not allowed to send to this address"


def may_post(alias: AliasTarget, author: Author | None) -> bool:
    """May this author send to an alias?    A forged one is for others to find out."""
    if author is not None:
        if any(is_address_of(member.address, author) for member in alias.members):
            return True
        if is_address_of(alias.address, author):
            return alias.alias.allow_msg_from
    return alias.alias.post_public


def is_address_of(address: str, author: Author | None) -> bool:
    """Is an address of the configuration exactly that of the From field?"""
    parsed = parse_address(address)
    if author is None or parsed is None:
        return False
    return (author.localpart, author.domain.unicode) == (parsed.localpart, parsed.domain)


def members(
    alias: AliasTarget, author: Author | None, taken: set[str]
) -> Iterator[tuple[Target, bool]]:
    """The members, each with whether it gets a copy of its own.

    The author has the message, and nobody gets it twice.
    Input  taken: addresses that get a copy already; those of members are added.
    """
    for member in alias.members:
        gets_copy = member.address not in taken and not is_address_of(member.address, author)
        if gets_copy:
            taken.add(member.address)
        yield member, gets_copy
