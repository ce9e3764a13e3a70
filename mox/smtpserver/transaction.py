"""What MAIL and RCPT have said so far."""

from dataclasses import dataclass, field

from mox.inbound.deliver import Recipient
from mox.smtp.address import Address


@dataclass(slots=True, kw_only=True)
class Transaction:
    """From MAIL to the end of DATA."""

    sender: Address
    smtputf8: bool
    recipients: list[Recipient] = field(default_factory=list)
