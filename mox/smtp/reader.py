"""Framing of what a client sends: command lines, authentication lines, message data.    Sans-IO.

Contract    feed(bytes) only stores; next() gives an event, NEED_DATA or PAUSED; resume() says how
            to read on after AUTH, STARTTLS, DATA and BDAT; leftover() is what nobody looked at yet.
Laws        the same bytes in other chunks give the same events, up to where a DataChunk is cut;
            nothing is ever raised on input; memory is bounded by what is fed at once plus a line.
Source      RFC 5321 §2.3.8, §4.1.1.4, §4.5.2, §4.5.3.1; RFC 4954 §4; RFC 3207 §4; RFC 3030 §2.
"""

import re
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from mox._speedups import text_before_dot
from mox.base.limits import SMTP_AUTH_DISCARD, SMTP_AUTH_LINE, SMTP_LINE
from mox.smtp.command import Command, split_command

_AUTH = re.compile(rb"auth ", re.IGNORECASE)


class Signal(Enum):
    """Answers of next() that are not events."""

    NEED_DATA = "need data"
    PAUSED = "paused"


class Mode(Enum):
    """How to read on."""

    COMMAND = "command lines"
    AUTH = "one line of an authentication exchange"
    DATA = "message data up to its end"
    BDAT = "message data by count"


class AuthLine(msgspec.Struct, frozen=True):
    """A line of an authentication exchange, without its line end."""

    line: bytes


class LineTooLong(msgspec.Struct, frozen=True):
    """A line over its limit.    ``resumable``: it was skipped and the stream is in step."""

    auth: bool
    resumable: bool


class DataChunk(msgspec.Struct, frozen=True):
    """Message data, after DATA with the dots of transparency removed; not empty."""

    content: bytes


class DataEnd(msgspec.Struct, frozen=True):
    """The message is complete.    ``smuggling``: line ends others could take for its end."""

    smuggling: bool


class BdatEnd(msgspec.Struct, frozen=True):
    """All octets of a chunk were given out."""


Event: TypeAlias = Command | AuthLine | LineTooLong | DataChunk | DataEnd | BdatEnd

_PAUSING: Final = frozenset({b"AUTH", b"STARTTLS", b"DATA", b"BDAT"})


class Reader:
    """The input of one connection."""

    __slots__ = ("_buffer", "_data", "_left", "_mode", "_paused", "_scanned", "_skipped")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._mode = Mode.COMMAND
        self._paused = False
        self._scanned = 0  # bytes known to have no LF
        self._skipped = 0  # bytes of an overlong authentication line already thrown away
        self._data = _DataState()
        self._left = 0  # octets of the chunk of BDAT still to come

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Store input."""
        self._buffer += data

    def leftover(self) -> bytes:
        """What was received and not looked at."""
        return bytes(self._buffer)

    def next(self) -> Event | Signal:
        """The next event."""
        if self._paused:
            return Signal.PAUSED
        if self._mode is Mode.DATA:
            return self._next_data()
        if self._mode is Mode.BDAT:
            return self._next_octets()
        return self._next_line()

    def resume(self, mode: Mode, *, octets: int = 0) -> None:
        """Read on as ``mode`` after PAUSED; also leaves an authentication exchange.

        Input   octets: of the chunk, for BDAT.
        """
        self._mode = mode
        self._paused = False
        self._left = octets
        if mode is Mode.DATA:
            self._data = _DataState()

    def _next_line(self) -> Event | Signal:
        if not self._buffer:
            return Signal.NEED_DATA
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
        length = self._scanned if end < 0 else end + 1
        if self._skipped or length > SMTP_LINE:
            is_auth = self._mode is Mode.AUTH or _AUTH.match(self._buffer) is not None
            if self._skipped or length > (SMTP_AUTH_LINE if is_auth else SMTP_LINE):
                return self._overlong(end, is_auth=is_auth or self._skipped > 0)
        if end < 0:
            return Signal.NEED_DATA
        line = self._take(length)
        line = line[: -2 if line.endswith(b"\r\n") else -1]
        if self._mode is Mode.AUTH:
            self._paused = True
            return AuthLine(line)
        command = split_command(line)
        self._paused = command.verb in _PAUSING
        return command

    def _overlong(self, end: int, *, is_auth: bool) -> Event | Signal:
        # RFC 4954 §4: an authentication line over the limit is a 500 5.5.6, and the exchange is
        # over; so its rest is skipped.  Other lines, and endless ones, end the connection.
        if is_auth:
            self._skipped += len(self._take(len(self._buffer) if end < 0 else end + 1))
            if self._skipped <= SMTP_AUTH_DISCARD:
                if end < 0:
                    return Signal.NEED_DATA
                self._skipped = 0
                self._mode = Mode.COMMAND
                return LineTooLong(auth=True, resumable=True)
        self._paused = True
        return LineTooLong(auth=is_auth, resumable=False)

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._scanned = 0
        return taken

    def _next_data(self) -> Event | Signal:
        state = self._data
        if not state.ended and self._buffer:
            content = state.consume(self._buffer)
            if content:
                return DataChunk(content)
        if not state.ended:
            return Signal.NEED_DATA
        self._mode = Mode.COMMAND
        self._scanned = 0
        return DataEnd(smuggling=state.smuggling)

    def _next_octets(self) -> Event | Signal:
        # RFC 3030 §2: the octets are counted; neither dots nor line ends mean anything.
        if not self._left:
            self._mode = Mode.COMMAND
            return BdatEnd()
        if not self._buffer:
            return Signal.NEED_DATA
        content = self._take(min(self._left, len(self._buffer)))
        self._left -= len(content)
        return DataChunk(content)


class _Start(Enum):
    """Where in a line the next byte is."""

    CRLF = "at the start of a line"
    LF = "after a bare LF"
    WITHIN = "within a line"


class _DataState:
    """Where in the message the reader is; carried over from chunk to chunk."""

    __slots__ = ("_start", "ended", "smuggling")

    def __init__(self) -> None:
        self._start = _Start.CRLF  # RFC 5321 §4.1.1.4: the CRLF of DATA counts for ".CRLF"
        self.ended = False
        self.smuggling = False

    def consume(self, buffer: bytearray) -> bytes:
        """Take what can be decided from the buffer; leaves at most three bytes, or what follows
        the end of the message.
        """
        pieces: list[bytes] = []
        data = bytes(buffer)
        # A CR at the end cannot be judged before the byte after it is here.
        limit = len(data) - data.endswith(b"\r")
        pos = 0
        while pos < len(data) and not self.ended:
            if self._start is not _Start.WITHIN:
                used = self._line_start(data[pos : pos + 3])
                if used is None:
                    break
                pos += used
                continue
            if pos >= limit:
                break
            pos = self._within(data, pos, limit, pieces)
        del buffer[:pos]
        return b"".join(pieces)

    def _line_start(self, head: bytes) -> int | None:
        """Decide on the first bytes of a line; how many of them are not content."""
        if head == b"." or head == b".\r":
            return None
        after_crlf = self._start is _Start.CRLF
        if after_crlf and head == b".\r\n":
            # RFC 5321 §4.1.1.4, §2.3.8: only CRLF.CRLF ends the message.
            self.ended = True
            return 3
        # Others take these for the end of the message: ".LF" after any line end, ".CRLF" after a
        # bare LF.  The whole message will be refused.
        if head[:2] == b".\n" or head == b".\r\n":
            self.smuggling = True
        self._start = _Start.WITHIN
        # RFC 5321 §4.5.2: the first dot of a line is not content.
        return 1 if after_crlf and head[:1] == b"." else 0

    def _within(self, data: bytes, pos: int, limit: int, pieces: list[bytes]) -> int:
        """Copy a block of whole and partial lines; where the next line to decide on begins.

        Cost  a few searches by the C library, whatever the number of dots.
        """
        # A line of which less than three bytes are here cannot be judged yet.
        last = data.rfind(b"\n", max(pos, limit - 3), limit)
        end = last + 1 if last >= 0 else limit
        # Mostly the first line with a dot is the end of the message.
        stop, paired = text_before_dot(data, pos, end)
        if stop == end or (stop - 2 >= pos and data.startswith(b"\r\n.\r\n", stop - 2)):
            end = stop
            self.smuggling = self.smuggling or not paired
            block = data[pos:end]
            pieces.append(block)
        else:
            found = data.find(b"\r\n.\r\n", pos)
            end = found + 2 if found >= 0 else end
            block = data[pos:end]
            # RFC 5321 §2.3.8: CR only together with LF.  For the dots see _line_start.
            if (
                block.count(b"\r") != block.count(b"\r\n")
                or b"\n.\n" in block
                or b"\n.\r\n" in block
            ):
                self.smuggling = True
            pieces.append(block.replace(b"\r\n.", b"\r\n"))
        if block.endswith(b"\n"):
            self._start = _Start.CRLF if block.endswith(b"\r\n") else _Start.LF
        return end
