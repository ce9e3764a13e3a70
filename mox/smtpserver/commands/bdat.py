"""BDAT: the message in counted chunks.    RFC 3030 §2; RFC 2033 §4.2 for LMTP."""

from typing import TYPE_CHECKING

from mox.smtp import replies
from mox.smtp.command import parse_bdat
from mox.smtp.errors import CommandError
from mox.smtp.reader import Mode
from mox.smtp.reply import Reply
from mox.smtpserver.command import Command, Need, unmet
from mox.smtpserver.commands.data import conclude
from mox.smtpserver.errors import Hangup, Rejected
from mox.smtpserver.receiving import Incoming, skip_chunk

if TYPE_CHECKING:
    from mox.smtpserver.session import Session

_NEEDS = (Need.HELLO, Need.LOGIN, Need.TRANSACTION, Need.RECIPIENTS)


async def _bdat(session: "Session", rest: bytes) -> Reply | None:
    try:
        chunk = parse_bdat(rest, exact_end=session.service.submission)
    except CommandError as e:
        # Where the chunk ends is unknown: nothing that follows may be taken for a command.
        raise Hangup(e.reply) from e
    session.read_as(Mode.BDAT, octets=chunk.size)
    # RFC 3030 §2: a chunk that is refused is read nevertheless.
    refusal = unmet(session, _NEEDS)
    transaction = session.transaction
    if refusal is not None or transaction is None:
        await skip_chunk(session)
        return refusal
    if transaction.incoming is None:
        transaction.incoming = Incoming(session, transaction, chunked=True)
    incoming = transaction.incoming
    end = await incoming.take()
    if chunk.last:
        try:
            return await conclude(session, transaction, incoming, end)
        finally:
            await incoming.discard()
    failure = incoming.failed
    if failure is not None:
        # Chunks that are on their way already find no transaction.
        await session.forget()
        session.bad += 1
        raise Rejected(failure)
    return replies.chunk_received(chunk.size)


BDAT = Command(verb=b"BDAT", run=_bdat)
