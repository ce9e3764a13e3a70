"""What a session receives: the reader's events, fed from the wire.

Laws  Before waiting, everything written is sent.  A command that was not read to its end is skipped
      before its tagged reply, so that its literals are never taken for commands.
"""

from collections.abc import Awaitable, Callable

from mox.base.limits import IMAP_TIMEOUT_LITERAL
from mox.imap.command import Command as Received
from mox.imap.command import Literal
from mox.imap.events import (
    NEED_DATA,
    PAUSED,
    Continue,
    Event,
    Line,
    LiteralData,
    LiteralEnd,
    LiteralStart,
    Problem,
    Refused,
    Resume,
)
from mox.imap.reader import PAUSE_AFTER, Reader
from mox.imapserver.errors import Bad, Bye, ConnectionClosed
from mox.imapserver.wire import Wire

CONTINUE = b"+ \r\n"  # RFC 9051 §9 continue-req: the space is always there


class Input:
    """Made by its session."""

    def __init__(
        self,
        wire: Wire,
        write: Callable[[bytes], None],
        flush: Callable[[], Awaitable[None]],
        before_read: Callable[[], Awaitable[None]],
        farewell: Callable[[], str],
    ) -> None:
        self.reader = Reader()
        self.unfinished = False  # the end of the command being run was not read yet
        self._announced = False  # a message literal waits to be taken or refused
        self._wire = wire
        self._write = write
        self._flush = flush
        self._before_read = before_read
        self._farewell = farewell
        self._paused = False
        self._reading_line = False

    async def next(self, timeout_s: float) -> Event | None:
        """The next event; PAUSED when no more can be read; None when poked.

        Errors  Bye when the session is to end; TimedOut, ConnectionClosed.
        """
        reader = self.reader
        while True:
            event = reader.next()
            if event is not NEED_DATA:
                if isinstance(event, Received):
                    self.unfinished = False
                    self._paused = event.name in PAUSE_AFTER
                elif isinstance(event, LiteralStart):
                    self.unfinished = self._announced = True
                elif isinstance(event, (Refused, Problem)):
                    self.unfinished = False
                return event
            if not await self._fill(timeout_s):
                if farewell := self._farewell():
                    raise Bye(farewell)
                return None

    async def _fill(self, timeout_s: float) -> bool:
        await self._flush()
        await self._before_read()
        if self.reader.awaits_rest:
            timeout_s = min(timeout_s, IMAP_TIMEOUT_LITERAL)
        data = await self._wire.receive(timeout_s)
        if data is None:
            return False
        self.reader.feed(data)
        return True

    def reset(self) -> None:
        """Begin anew, as on a new connection."""
        self.reader = Reader()
        self.unfinished = self._paused = self._reading_line = self._announced = False

    def resume(self) -> None:
        """The command is answered: read on."""
        if self._paused:
            self._paused = False
            self.reader.resume(Resume.COMMAND)

    async def line(self, timeout_s: float) -> bytes:
        """One line as it is, for a command that goes on reading.

        Errors  Bad for an overlong one; Bye when the session is to end; TimedOut, ConnectionClosed.
        """
        while (found := await self.poll_line(timeout_s)) is None:
            pass  # poked by changes that wait for the next command
        return found

    async def poll_line(self, timeout_s: float) -> bytes | None:
        """As ``line``, but None when poked; call it again for the same line."""
        if not self._reading_line:
            self.reader.resume(Resume.LINE)
            self._reading_line = True
        event = await self.next(timeout_s)
        if event is None:
            return None
        self._reading_line = False
        if isinstance(event, Line):
            return event.data
        if isinstance(event, Problem):
            if event.fatal:
                raise Bye(event.text)
            raise Bad(event.text, event.code)
        raise ConnectionClosed

    async def stream_literal(
        self, literal: Literal, sink: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Take the message literal just announced; the sink is given its bytes in pieces.

        Where the sink fails the rest is read and thrown away, then its error is raised.
        """
        self._announced = False
        self.reader.accept_stream()
        if literal.sync:
            self._write(CONTINUE)
        failed: Exception | None = None
        while True:
            event = await self.next(IMAP_TIMEOUT_LITERAL)
            if isinstance(event, LiteralData):
                if failed is None:
                    try:
                        await sink(event.data)
                    except Exception as error:
                        failed = error
            elif isinstance(event, LiteralEnd):
                if failed is not None:
                    raise failed
                return
            elif event is not None:
                raise ConnectionClosed

    async def next_part(self) -> Literal | None:
        """Read on in the same command: its next message literal, or None at its end.

        Errors  Bad for what is no command any more.
        """
        while True:
            event = await self.next(IMAP_TIMEOUT_LITERAL)
            if isinstance(event, LiteralStart):
                return event.literal
            if isinstance(event, Received):
                return None
            if isinstance(event, Continue):
                self._write(CONTINUE)
            elif isinstance(event, Problem):
                if event.fatal:
                    raise Bye(event.text)
                raise Bad(event.text, event.code)
            elif event is not None:
                raise ConnectionClosed

    async def skip_rest(self) -> bool:
        """Read to the end of a command that was refused; True where it is too long for that."""
        while self.unfinished:
            if self._announced:
                self._announced = False
                self.reader.refuse()
            event = await self.next(IMAP_TIMEOUT_LITERAL)
            if isinstance(event, Continue):
                self.reader.refuse()
            elif isinstance(event, (Refused, Problem)):
                return event.fatal
            elif event is PAUSED:
                raise ConnectionClosed
        return False
