"""STARTTLS.    RFC 3207."""

from typing import TYPE_CHECKING

from mox.base import metrics
from mox.smtp import replies
from mox.smtp.command import parse_nothing
from mox.smtp.reply import Reply
from mox.smtpserver.command import Command, Need
from mox.smtpserver.errors import Rejected
from mox.smtpserver.wire import TLSFailed

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


async def _starttls(session: "Session", rest: bytes) -> Reply | None:
    parse_nothing(rest, exact_end=session.service.submission)
    if session.wire.tls is not None:
        raise Rejected(replies.ALREADY_TLS)
    if session.account:
        raise Rejected(replies.TLS_AFTER_AUTH)
    if session.service.tls is None:
        raise Rejected(replies.NO_TLS)
    counted = not session.service.submission
    if counted:
        metrics.SMTP_DELIVERY_STARTTLS.inc()
    try:
        await session.start_tls(replies.GO_TLS.with_suffix(f" ({session.id})"))
    except TLSFailed as e:
        if counted:
            reason = str(e.fields.get("reason", "other"))
            metrics.SMTP_DELIVERY_STARTTLS_ERRORS.labels(reason).inc()
        raise
    return None  # said before the handshake


STARTTLS = Command(verb=b"STARTTLS", run=_starttls, needs=(Need.HELLO,), lmtp=False)
