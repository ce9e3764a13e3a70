"""Date, subject, addresses and ids of a message, as IMAP and JMAP want them.    RFC 9051 §7.5.2.

The values are raw: unfolded, but encoded words stay encoded; ``decoded`` gives the Unicode form.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import SMTP_DOMAIN, SMTP_LOCALPART
from mox.message import encodedword
from mox.message.address import Address, BadAddress, mailboxes, parse_fields, parse_strict
from mox.message.buffer import Buffer
from mox.message.header import unfold, values_of

NAMES = (
    b"date",
    b"subject",
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"bcc",
    b"in-reply-to",
    b"message-id",
)
"""The fields looked at, in the order IMAP lists them."""


_FROM_DOMAIN = re.compile(
    rb"(?!-)[A-Za-z0-9_\x80-\xff-]{1,63}+(?<!-)(?:\.(?!-)[A-Za-z0-9_\x80-\xff-]{1,63}+(?<!-))*+"
)


class BadFrom(Malformed):
    """From does not name exactly one author with an address."""

    default = "message needs one From header with one address"


class Envelope(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Raw header values; None or empty where the field is absent.

    ``sender`` and ``reply_to`` are what the message says; RFC 9051 §7.5.2 shows ``from_`` in their
    place where they are empty: ``sender_or_from``, ``reply_to_or_from``.
    """

    date: bytes | None = None
    subject: bytes | None = None
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    in_reply_to: bytes | None = None
    message_id: bytes | None = None

    @property
    def sender_or_from(self) -> tuple[Address, ...]:
        """Sender, or From where there is none."""
        return self.sender or self.from_

    @property
    def reply_to_or_from(self) -> tuple[Address, ...]:
        """Reply-To, or From where there is none."""
        return self.reply_to or self.from_


def build(values: Mapping[bytes, Sequence[bytes]]) -> Envelope:
    """The envelope from raw field values by lower-case name, each in order of appearance.

    Of a text field the first one counts; of an address field all together.
    """
    get = values.get
    return Envelope(
        date=_first(get(b"date")),
        subject=_first(get(b"subject")),
        from_=_all(get(b"from")),
        sender=_all(get(b"sender")),
        reply_to=_all(get(b"reply-to")),
        to=_all(get(b"to")),
        cc=_all(get(b"cc")),
        bcc=_all(get(b"bcc")),
        in_reply_to=_first(get(b"in-reply-to")),
        message_id=_first(get(b"message-id")),
    )


def _all(values: Sequence[bytes] | None) -> tuple[Address, ...]:
    return parse_fields(values) if values else ()


def _first(values: Sequence[bytes] | None) -> bytes | None:
    return unfold(values[0]) if values else None


def decoded(envelope: Envelope) -> Envelope:
    """The same with encoded words decoded, values in UTF-8.    RFC 2047, RFC 6855 §3."""

    def names(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        return tuple(_decoded_address(address) for address in addresses)

    return msgspec.structs.replace(
        envelope,
        subject=_decoded_text(envelope.subject),
        from_=names(envelope.from_),
        sender=names(envelope.sender),
        reply_to=names(envelope.reply_to),
        to=names(envelope.to),
        cc=names(envelope.cc),
        bcc=names(envelope.bcc),
    )


def _decoded_text(value: bytes | None) -> bytes | None:
    return None if value is None else encodedword.decode(value).encode()


def _decoded_address(address: Address) -> Address:
    if address.is_group_start:  # the display name of a group stands in mailbox
        return msgspec.structs.replace(address, mailbox=_decoded_text(address.mailbox))
    if address.name is None:
        return address
    return msgspec.structs.replace(address, name=_decoded_text(address.name))


def from_address(block: Buffer) -> Address:
    """The author: one From field, one address with a domain name.    RFC 7489 §6.6.1.

    Whoever owns a decision (DMARC, submission, reputation) rests on this, so nothing is guessed.

    Input   a header section.
    Errors  BadFrom.
    """
    values = values_of(block, (b"from",)).get(b"from", [])
    if len(values) != 1:
        raise BadFrom(found=len(values))
    try:
        found = mailboxes(parse_strict(values[0]))
    except BadAddress as error:
        raise BadFrom(cause=error) from error
    if len(found) != 1:
        raise BadFrom(addresses=len(found))
    host, mailbox = found[0].host or b"", found[0].mailbox or b""
    if len(host) > SMTP_DOMAIN or not _FROM_DOMAIN.fullmatch(host):
        raise BadFrom("bad domain in From header")
    if len(mailbox) > SMTP_LOCALPART:
        raise BadFrom("local part in From header too long")
    return found[0]
