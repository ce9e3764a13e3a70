"""A message on its way in, by DATA or by BDAT: the same receiver, time limit and checks for both."""

import re
from typing import TYPE_CHECKING, Final

from mox.base.limits import MESSAGE_SIZE, SMTP_TIMEOUT_DATA_BLOCK, SMTP_TIMEOUT_DATA_TOTAL
from mox.inbound import deliver
from mox.inbound.receive import Received, Receiver
from mox.smtp import replies
from mox.smtp.params import Body
from mox.smtp.reader import BdatEnd, DataChunk, DataEnd
from mox.smtp.reply import Reply
from mox.smtpserver.errors import Rejected, reply_to
from mox.smtpserver.transaction import Transaction
from mox.smtpserver.wire import TimedOut

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


# BINARYMIME frees the octets of bodies.  A header is text, and what some take for a line end in it and
# others do not would be a field for some only.
_UNFIT_HEADER: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


class Incoming:
    """One message, from the first of its bytes that may come.    ``discard`` it in the end."""

    __slots__ = ("_binary", "_receiver", "_returns", "_session", "_until")

    def __init__(self, session: "Session", transaction: Transaction, *, chunked: bool) -> None:
        """Input  chunked: it comes by BDAT."""
        service = session.service
        self._session = session
        self._binary = transaction.body is Body.BINARY
        self._receiver = Receiver(
            service.spool_folder,
            service.max_size,
            session.evidence,
            binary=self._binary,
            # A mail server that hands mail on by LMTP may have our name, and our trust.
            hostname="" if service.lmtp else service.hostname,
        )
        self._until = service.clock.monotonic_s() + SMTP_TIMEOUT_DATA_TOTAL
        # After DATA the reader finds them.  RFC 3030 §3: in BINARYMIME they are octets as others.
        self._returns = CarriageReturns() if chunked and not self._binary else None

    @property
    def failed(self) -> Reply | None:
        """Why the message cannot be taken, as soon as that is known."""
        if self._receiver.too_big:
            # RFC 5321 §4.5.3.1.9, RFC 1870 §6.3
            return replies.too_big(self._session.service.max_size, MESSAGE_SIZE)
        failure = self._receiver.failure
        return None if failure is None else reply_to(failure)

    async def take(self) -> DataEnd | BdatEnd:
        """All that comes up to the end of the message or chunk, whatever is wrong with it.

        Errors  TimedOut, Hangup, ConnectionLost.
        """
        while True:
            event = await next_octets(self._session, self._until)
            if not isinstance(event, DataChunk):
                return event
            if self._returns is not None:
                self._returns.feed(event.content)
            await self._receiver.write(event.content)
            del event  # not to be kept while we wait for the next

    async def finish(self, end: DataEnd | BdatEnd) -> Received:
        """The message; its file is the caller's.    Errors: Rejected, DiskFull, OSError."""
        by_returns = self._returns is not None and self._returns.bare
        if by_returns or (isinstance(end, DataEnd) and end.smuggling):
            self._session.log.info("smtp.smuggling")
            raise Rejected(replies.SMUGGLING)
        if self._receiver.too_big:
            raise Rejected(replies.too_big(self._session.service.max_size, MESSAGE_SIZE))
        received = await self._receiver.finish()
        if self._binary and _UNFIT_HEADER.search(received.header):
            deliver.remove(received.content)
            raise Rejected(replies.SMUGGLING)
        return received

    async def discard(self) -> None:
        """Forget everything; may be called at any time, also after ``finish``."""
        await self._receiver.discard()


async def skip_chunk(session: "Session") -> None:
    """Read a chunk that nobody wants to its end.    RFC 3030 §2.    Errors: as ``take``."""
    until = session.service.clock.monotonic_s() + SMTP_TIMEOUT_DATA_TOTAL
    while not isinstance(await next_octets(session, until), BdatEnd):
        pass


async def next_octets(session: "Session", until_s: float) -> DataChunk | DataEnd | BdatEnd:
    """The next piece.    Errors: TimedOut, Hangup, ConnectionLost."""
    left = until_s - session.service.clock.monotonic_s()
    if left <= 0:
        raise TimedOut
    event = await session.next_event(min(left, SMTP_TIMEOUT_DATA_BLOCK))
    assert isinstance(event, (DataChunk, DataEnd, BdatEnd))
    return event


class CarriageReturns:
    """Finds a CR without LF in text that comes in pieces.    RFC 5321 §2.3.8."""

    __slots__ = ("_bare", "_last")

    def __init__(self) -> None:
        self._bare = False
        self._last = False  # the last byte was a CR

    @property
    def bare(self) -> bool:
        """There was one; asked at the end of the text."""
        return self._bare or self._last

    def feed(self, piece: bytes) -> None:
        """The next piece, not empty."""
        if self._last and not piece.startswith(b"\n"):
            self._bare = True
        self._last = piece.endswith(b"\r")
        if piece.count(b"\r") - self._last != piece.count(b"\r\n"):
            self._bare = True
