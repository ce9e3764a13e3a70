"""Lines of LIST and kin.    RFC 9051 §7.3.1, RFC 5258 §6."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mox.store.mailbox import Mailbox

if TYPE_CHECKING:
    from mox.imapserver.session import Session


def list_line(
    session: "Session",
    name: str,
    attributes: Iterable[bytes],
    *,
    old_name: str = "",
    subscribed_below: bool = False,
    kind: bytes = b"LIST",
) -> bytes:
    """One line.    ``subscribed_below``: CHILDINFO of RECURSIVEMATCH (RFC 5258 §3.5)."""
    extended = []
    if subscribed_below:
        extended.append(b'"CHILDINFO" ("SUBSCRIBED")')
    if old_name:
        # RFC 9051 §6.3.9.7
        extended.append(b'"OLDNAME" (%b)' % session.encode_name(old_name, bare=False))
    line = b'* %b (%b) "/" %b' % (kind, b" ".join(attributes), session.encode_name(name))
    if extended:
        line += b" (" + b" ".join(extended) + b")"
    return line + b"\r\n"


def special_use(mailbox: Mailbox) -> list[bytes]:
    """Attributes of what a mailbox is for.    RFC 6154 §2."""
    return [b"\\" + use.encode("ascii") for use in mailbox.record.special_use]


def mailbox_line(session: "Session", mailbox: Mailbox, *, old_name: str = "") -> bytes:
    """A mailbox as it is now, with its subscription and special use."""
    attributes = special_use(mailbox)
    if mailbox.name in session.owner.subscriptions:
        attributes.insert(0, b"\\Subscribed")
    return list_line(session, mailbox.name, attributes, old_name=old_name)
