"""Whom a message was sent to: mail from there is expected.    spec/store.md section 2, Recipient."""

import unicodedata
from typing import NamedTuple

from mox.base.limits import SENT_RECIPIENTS, SMTP_LOCALPART
from mox.dns.name import BadName, Domain, parse_domain
from mox.message.address import Address, parse_fields
from mox.message.buffer import Buffer
from mox.message.date import parse_date
from mox.message.header import values_of
from mox.message.quoting import unquote

_FIELDS = (b"to", b"cc", b"bcc", b"date")


class Recipient(NamedTuple):
    """An address, as ``reputation.Sender`` has that of From."""

    localpart: str  # unquoted, NFC
    domain: Domain


class Sent(NamedTuple):
    """What a header section says of the sending of its message."""

    recipients: tuple[Recipient, ...]  # each once
    date_ms: int | None  # None where Date says nothing


def sent_to(block: Buffer) -> Sent:
    """The recipients a header section names, the first ``SENT_RECIPIENTS`` of them.

    Input   a header section.
    Output  without those whose address has no local part or no domain name.
    """
    values = values_of(block, _FIELDS)
    found: dict[Recipient, None] = {}
    for one in (one for name in _FIELDS[:3] for one in parse_fields(values.get(name, ()))):
        recipient = _recipient(one)
        if recipient is not None:
            found[recipient] = None
            if len(found) == SENT_RECIPIENTS:
                break
    dates = values.get(b"date", [])
    parsed = parse_date(dates[0]) if dates else None
    return Sent(tuple(found), None if parsed is None else parsed[0])


def _recipient(one: Address) -> Recipient | None:
    mailbox, host = one.mailbox or b"", one.host or b""
    if not host or not 0 < len(mailbox) <= SMTP_LOCALPART:
        return None
    localpart = unquote(mailbox) if mailbox.startswith(b'"') else mailbox
    try:
        domain = parse_domain(host.decode("utf-8", "replace"), lax=True)
    except BadName:
        return None
    if not localpart:
        return None
    return Recipient(unicodedata.normalize("NFC", localpart.decode("utf-8", "replace")), domain)
