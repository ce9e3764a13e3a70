"""Addresses of localserve that make errors, for people who test their mail programs.

Source  spec/cli.md section 6.  The end of the local part says what: ``temperror``, ``permerror``,
        ``timeout``, or a code from 400 to 599.  Its beginning says when: a sender ``mailfrom...`` at
        MAIL, a recipient ``rcptto...`` at RCPT, any other recipient after DATA; ``queue...`` is for
        outgoing mail.
"""

import re
from typing import TYPE_CHECKING, Final

from mox.smtp.address import Address
from mox.smtp.reply import Reply, reply
from mox.smtpserver.errors import Rejected
from mox.smtpserver.transaction import Transaction

if TYPE_CHECKING:
    from mox.smtpserver.session import Session

TIMEOUT_S: Final = 3600.0

_CODE = re.compile(r"[45][0-9]{2}\Z")
_TEXT: Final = "forced by the address"


async def at_mail(session: "Session", sender: Address) -> None:
    """For MAIL.    Errors: Rejected."""
    if sender.localpart.startswith("mailfrom"):
        await _refuse(session, sender)


async def at_rcpt(session: "Session", recipient: Address) -> None:
    """For RCPT.    Errors: Rejected."""
    if recipient.localpart.startswith("rcptto"):
        await _refuse(session, recipient)


async def at_data(session: "Session", transaction: Transaction) -> None:
    """After the message; the first recipient that asks for an error decides.    Errors: Rejected."""
    for recipient in transaction.recipients:
        if not is_for_queue(session, recipient.address):
            await _refuse(session, recipient.address)


def is_for_queue(session: "Session", recipient: Address) -> bool:
    """Does the error come when the queue delivers, after the submission was accepted?"""
    service = session.service
    return (
        service.special_localparts
        and service.submission
        and recipient.localpart.startswith("queue")
        and (
            recipient.localpart.endswith("timeout") or refusal_for(recipient.localpart) is not None
        )
    )


async def _refuse(session: "Session", address: Address) -> None:
    if not session.service.special_localparts:
        return
    if address.localpart.endswith("timeout"):
        await session.pause(TIMEOUT_S)
    refusal = refusal_for(address.localpart)
    if refusal is not None:
        raise Rejected(refusal)


def refusal_for(localpart: str) -> Reply | None:
    """The error that a local part asks for."""
    if localpart.endswith(("temperror", "timeout")):
        return reply(451, "4.3.0", _TEXT)
    if localpart.endswith("permerror"):
        return reply(550, "5.3.0", _TEXT)
    found = _CODE.search(localpart)
    return reply(int(found[0]), f"{found[0][0]}.3.0", _TEXT) if found else None
