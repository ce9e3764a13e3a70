"""What differs on the submission ports: who may send as whom.    RFC 6409; spec section 7."""

import re
import secrets
from typing import TYPE_CHECKING

from mox.base import metrics
from mox.base.errors import Malformed
from mox.base.limits import SMTP_FROM
from mox.inbound.receive import Received
from mox.message import address as header_address
from mox.message import messageid
from mox.message.date import format_date
from mox.message.header import values_of
from mox.smtp import replies
from mox.smtp.address import Address, parse_address
from mox.smtp.reply import Reply
from mox.smtpserver.errors import Rejected
from mox.smtpserver.transaction import Transaction

if TYPE_CHECKING:
    from mox.smtpserver.session import Session

# RFC 5322 §4.5: space before the colon.  We take it for another field, some mail programs do not.
_OBSOLETE_FROM = re.compile(rb"^from[ \t]+:", re.IGNORECASE | re.MULTILINE)


def check_sender(session: "Session", sender: Address) -> None:
    """The reverse path of a user: empty, or an address of the account.    Errors: Rejected."""
    if not sender.is_null:
        _check_owner(session, sender)


def check_message(session: "Session", transaction: Transaction, received: Received) -> bytes:
    """A message by a user; the header fields it lacks (RFC 6409 §8.2, §8.3).    Errors: Rejected."""
    if not received.has_separator:
        raise _refused("badmessage", replies.NO_SEPARATOR)
    fields = values_of(received.header, [b"from", b"message-id", b"date"])
    if _OBSOLETE_FROM.search(received.header):
        raise _refused("badfrom", replies.BAD_FROM)
    _check_owner(session, _author(fields.get(b"from", [])))
    added = []
    if b"message-id" not in fields:
        new = messageid.make(secrets.token_bytes(16), session.service.hostname)
        added.append(f"Message-Id: <{new}>\r\n")
    if b"date" not in fields:
        added.append(f"Date: {format_date(session.service.clock.now_ms())}\r\n")
    return "".join(added).encode("ascii")


def _author(values: list[bytes]) -> Address:
    """The one address of the one From field.    RFC 6409 §6.1: who speaks must be clear."""
    if len(values) != 1 or len(values[0]) > SMTP_FROM:
        raise _refused("badfrom", replies.BAD_FROM)
    try:
        mailboxes = header_address.mailboxes(header_address.parse_strict(values[0]))
        if len(mailboxes) == 1:
            return parse_address(mailboxes[0].spec.decode("utf-8", "surrogateescape"))
    except Malformed as e:
        raise _refused("badfrom", replies.BAD_FROM) from e
    raise _refused("badfrom", replies.BAD_FROM)


def _check_owner(session: "Session", address: Address) -> None:
    directory = session.service.directory
    if not directory.may_send_as(session.account, address):
        raise _refused("badfrom", replies.NOT_YOUR_ADDRESS)
    if directory.is_disabled(address.domain):
        raise _refused("badfrom", replies.SENDER_DOMAIN_DISABLED)


def _refused(result: str, reply: Reply) -> Rejected:
    metrics.SMTP_SUBMISSIONS.labels(result).inc()
    return Rejected(reply)
