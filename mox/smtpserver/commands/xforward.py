"""XFORWARD: from whom the other mail server of this machine has a message.    Postfix's XFORWARD_README.

Only where mail by LMTP is judged: then the judgement is about that client.  Without it nobody is judged.
"""

from typing import TYPE_CHECKING

from mox.smtp import replies
from mox.smtp.address import ip_literal
from mox.smtp.command import Forwarded, Hello, parse_xforward
from mox.smtp.reply import Reply
from mox.smtpserver.command import Command, Need
from mox.smtpserver.errors import Rejected

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


async def _xforward(session: "Session", rest: bytes) -> Reply:
    judging = session.service.judging
    if judging is None:
        raise Rejected(replies.UNKNOWN_COMMAND)
    said = parse_xforward(rest)
    if said.ip is not None:
        await session.end_evidence()  # another client
        if said.ip:
            session.evidence = judging.connected(said.ip, tls=False)
        session.forwarded = said
    elif said.hello is not None:
        session.forwarded = Forwarded(session.forwarded.ip, said.hello)
    if session.evidence is not None:
        assert session.forwarded.ip
        hello = session.forwarded.hello or ip_literal(session.forwarded.ip)
        session.evidence.said_hello(Hello(hello), extended=True)
    return replies.FORWARD_NOTED


XFORWARD = Command(
    verb=b"XFORWARD", run=_xforward, needs=(Need.HELLO, Need.NO_TRANSACTION), smtp=False
)
