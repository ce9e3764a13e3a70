"""What MAIL and RCPT have said so far, and what of the message is here."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox.inbound.deliver import Recipient
from mox.smtp.address import Address
from mox.smtp.params import Body, Return

if TYPE_CHECKING:
    from mox.smtpserver.receiving import Incoming


@dataclass(slots=True, kw_only=True)
class Transaction:
    """From MAIL to the end of the message."""

    sender: Address
    smtputf8: bool  # said by the client; once the message is here: it needs it
    body: Body = Body.SEVEN_BIT
    require_tls: bool | None = None  # REQUIRETLS; False: "TLS-Required: No" (RFC 8689 §3)
    release_ms: int | None = None  # FUTURERELEASE: not to be sent on before
    ret: Return | None = None  # RFC 3461 §4.3
    envid: str = ""  # RFC 3461 §4.4, xtext
    recipients: list[Recipient] = field(default_factory=list)
    incoming: "Incoming | None" = None  # between the chunks of BDAT
