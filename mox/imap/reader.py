"""Framing of what an IMAP client sends: bytes in, events out, no I/O.    RFC 9051 §2.2.1, §4.3.

    feed(data)                only stores
    next()                    the next event, NEED_DATA or PAUSED; never raises on input
    resume(how)               after PAUSED: read a command, or one raw line
    accept_memory(), accept_stream(), refuse()     the answer to LiteralStart
    leftover()                takes what was received and not looked at

Laws
- The same bytes in other chunks give the same events (LiteralData apart, whose sum is the same).
- Memory is bounded by the limits, whatever is sent; nothing is parsed that is not asked for, so a
  line limit raised by a login holds for the command after it.
- A refused literal is skipped by count, so that its bytes are never taken for commands.
"""

import enum
import re
from collections.abc import Mapping
from typing import Final

from mox._speedups import TokenError, tokenize
from mox.base import limits
from mox.imap.characters import ATOM, TAG
from mox.imap.command import LITERAL, LITERAL8, SPACE, WORD, Command, Literal
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

# After these the client may go on in another language, or waits for our answer first.
# RFC 9051 §6.2.1, §6.2.2; RFC 2177; RFC 4978.
PAUSE_AFTER: Final = frozenset({b"STARTTLS", b"AUTHENTICATE", b"COMPRESS", b"IDLE", b"LOGOUT"})

# Commands whose literals are messages, and after how many arguments (the mailbox name before it
# may be a literal too).  RFC 9051 §6.3.12, RFC 8508 §3.
MESSAGE_LITERALS: Final[Mapping[bytes, int]] = {b"APPEND": 1, b"REPLACE": 2, b"UID REPLACE": 2}

_LITERAL_MAX = (1 << 63) - 1  # number64, RFC 9051 §9
_NON_SYNC_END = re.compile(rb"\{([0-9]+)\+\}\r?\n?\Z")
_TAIL = 64  # bytes of a skipped line that are kept to see a literal at its end
_TAG = re.compile(rb"[" + re.escape(TAG) + rb"]+(?= )")


class _State(enum.Enum):
    COMMAND = enum.auto()
    LITERAL = enum.auto()
    DECIDE = enum.auto()
    STREAM = enum.auto()
    SKIP = enum.auto()
    SKIPPED = enum.auto()
    LINE = enum.auto()
    PAUSED = enum.auto()
    DEAD = enum.auto()


def _literal_size(digits: bytes) -> int:
    """The number, or more than any limit; the digits are counted before they are multiplied."""
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= 19 else _LITERAL_MAX + 1


class Reader:
    """One connection's input.

    ``line_limit`` (bytes of all lines of a command, line ends included) may be changed between
    commands.
    """

    def __init__(
        self,
        *,
        line_limit: int = limits.IMAP_LINE_BEFORE_LOGIN,
        message_literals: Mapping[bytes, int] = MESSAGE_LITERALS,
        pause_after: frozenset[bytes] = PAUSE_AFTER,
    ) -> None:
        self.line_limit = line_limit
        self._message_literals = message_literals
        self._pause_after = pause_after
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer known to hold no LF
        self._state = _State.COMMAND
        self._command: Command | None = None
        self._literal: Literal | None = None
        self._remaining = 0  # bytes of the literal that is read, streamed or skipped
        self._memory = 0  # bytes of small literals of this command
        self._small = 0  # count of them
        self._skipped = 0
        self._skip_literals = True
        self._tail = b""
        self._after: Refused | Problem = Problem(tag=None, text="")

    @property
    def buffered(self) -> int:
        """Bytes received and not looked at, for back-pressure."""
        return len(self._buffer)

    @property
    def awaits_rest(self) -> bool:
        """A command has begun whose literal, or what follows it, is on its way."""
        return self._command is not None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Store received bytes."""
        if self._state is not _State.DEAD:
            self._buffer += data

    def leftover(self) -> bytes:
        """Take what was received and not looked at; the reader forgets it."""
        data = bytes(self._buffer)
        self._drop(len(data))
        return data

    def resume(self, how: Resume = Resume.COMMAND) -> None:
        """Read on after PAUSED."""
        assert self._state is _State.PAUSED, self._state
        self._state = _State.LINE if how is Resume.LINE else _State.COMMAND

    def accept_memory(self) -> None:
        """Keep the message literal in memory: it becomes part of the command."""
        assert self._state is _State.DECIDE, self._state
        self._state = _State.LITERAL

    def accept_stream(self) -> None:
        """Give the message literal as LiteralData and LiteralEnd."""
        assert self._state is _State.DECIDE, self._state
        self._state = _State.STREAM

    def refuse(self) -> None:
        """Skip the literal just announced and the rest of its command; then comes Refused."""
        assert self._state in {_State.DECIDE, _State.LITERAL}, self._state
        assert self._command is not None
        assert self._literal is not None
        self._start_skip(Refused(self._command), self._remaining)
        if self._literal.sync:
            # RFC 9051 §4.3: without our continuation request the client sends nothing more of it.
            self._state = _State.SKIPPED

    def next(self) -> Event:
        """The next event."""
        while True:
            event = self._step()
            if event is not None:
                return event

    def _step(self) -> Event | None:
        """One step of the machine; None where it goes on."""
        match self._state:
            case _State.COMMAND:
                return self._read_command()
            case _State.LITERAL:
                return self._read_literal()
            case _State.STREAM:
                return self._read_stream()
            case _State.SKIP:
                return self._skip_literal() if self._remaining else self._skip_line()
            case _State.SKIPPED:
                return self._skip_done()
            case _State.LINE:
                return self._read_line()
            case _:
                return PAUSED

    # Lines

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._scanned = 0

    def _take_line(self, limit: int) -> bytes | None:
        """The next line without its end; None when it is not complete within the limit."""
        end = self._buffer.find(b"\n", self._scanned, limit)
        if end < 0:
            self._scanned = min(len(self._buffer), limit)
            return None
        line = bytes(self._buffer[:end])
        self._drop(end + 1)
        return line[:-1] if line.endswith(b"\r") else line

    def _read_line(self) -> Event | None:
        line = self._take_line(self.line_limit)
        if line is not None:
            self._state = _State.PAUSED
            return Line(line)
        if len(self._buffer) < self.line_limit:
            return NEED_DATA
        problem = Problem(tag=None, text="line too long", code=b"TOOBIG")
        self._start_skip(problem, literals=False)
        return None

    def _read_command(self) -> Event | None:
        command = self._command
        used = command.size if command is not None else 0
        limit = max(0, self.line_limit - used)
        line = self._take_line(limit)
        if line is None:
            if len(self._buffer) < limit:
                return NEED_DATA
            tag = command.tag if command is not None else self._tag(bytes(self._buffer[:limit]))
            self._start_skip(Problem(tag=tag, text="line too long", code=b"TOOBIG"))
            return None
        seen = command.count if command is not None else 0
        if command is None:
            command = Command()
            problem = self._tokens(command, line) or self._name(command)
        else:
            problem = self._tokens(command, line)
        if problem is not None:
            return self._fail(problem)
        self._command = command
        return self._line_done(command, seen)

    @staticmethod
    def _tag(line: bytes) -> bytes | None:
        found = _TAG.match(line)
        return found.group() if found else None

    def _tokens(self, command: Command, line: bytes) -> Problem | None:
        """Add the line's tokens to the command."""
        base = len(command.text)
        room = limits.IMAP_TOKENS - command.count
        try:
            kinds, spans, depth = tokenize(line, base, command.depth, limits.IMAP_NESTING, room)
        except TokenError as e:
            # A literal that the client sends without waiting may follow, and where the line
            # cannot be read that cannot be known.
            fatal = _NON_SYNC_END.search(line[-_TAIL:]) is not None
            tag = command.tag or self._tag(line)
            return Problem(tag=tag, text=f"{e.reason} (byte {base + e.offset})", fatal=fatal)
        command.size += len(line) + 2
        command.add_line(line, kinds, spans, depth)
        return None

    def _name(self, command: Command) -> Problem | None:
        """Read tag and name.    RFC 9051 §2.2.1: tag SP command."""
        fatal = _NON_SYNC_END.search(bytes(command.text[-_TAIL:])) is not None
        kinds = command.kinds
        tag = command.slice(0) if kinds[0] == WORD else b""
        if not tag or tag.translate(None, TAG):
            return Problem(tag=None, text="no tag", fatal=fatal)
        name = command.slice(2) if kinds[1:3] == b" w" else b""
        if not name or name.translate(None, ATOM):
            return Problem(tag=tag, text="no command", fatal=fatal)
        command.tag = tag
        command.name = name.upper()
        command.first = 3
        if command.name == b"UID" and kinds[3:5] == b" w":
            # RFC 9051 §6.4.9: a prefix that makes another command of the next word.
            command.name += b" " + command.slice(4).upper()
            command.first = 5
        return None

    def _line_done(self, command: Command, seen: int) -> Event | None:
        if command.count > seen and command.kinds[command.count - 1] in (LITERAL, LITERAL8):
            return self._literal_begins(command)
        self._finish()
        self._state = _State.PAUSED if command.name in self._pause_after else _State.COMMAND
        return command

    def _finish(self) -> None:
        self._command = None
        self._literal = None
        self._memory = self._small = 0

    def _fail(self, problem: Problem) -> Problem:
        self._finish()
        if problem.fatal:
            self._die()
        else:
            self._state = _State.COMMAND
        return problem

    def _die(self) -> None:
        self._state = _State.DEAD
        self._drop(len(self._buffer))

    # Literals

    def _literal_begins(self, command: Command) -> Event | None:
        marker = command.slice(command.count - 1)
        literal = Literal(
            size=_literal_size(marker.strip(b"~{+}")),
            sync=b"+" not in marker,
            binary=marker.startswith(b"~"),
        )
        if self._is_message(command):
            if literal.size > _LITERAL_MAX:
                return self._too_big(command, literal)
            self._expect(command, literal)
            self._state = _State.DECIDE
            return LiteralStart(command, literal)
        self._memory += literal.size
        self._small += 1
        if (
            literal.size > limits.IMAP_LITERAL
            or self._memory > limits.IMAP_LITERALS_TOTAL
            or self._small > limits.IMAP_LITERALS_COUNT
        ):
            return self._too_big(command, literal)
        self._expect(command, literal)
        self._state = _State.LITERAL
        return Continue(command, literal) if literal.sync else None

    def _expect(self, command: Command, literal: Literal) -> None:
        self._literal = literal
        self._remaining = literal.size
        command.literals[command.count - 1] = literal

    def _is_message(self, command: Command) -> bool:
        arguments = self._message_literals.get(command.name)
        if arguments is None:
            return False
        return command.kinds.count(SPACE, command.first) > arguments

    def _too_big(self, command: Command, literal: Literal) -> Problem:
        # RFC 7888 §4: the data of a non-synchronising literal comes whatever we answer.
        text = "literal too big"
        fatal = not literal.sync
        return self._fail(Problem(tag=command.tag, text=text, code=b"TOOBIG", fatal=fatal))

    def _read_literal(self) -> Event | None:
        assert self._command is not None
        assert self._literal is not None
        if len(self._buffer) < self._remaining:
            return NEED_DATA
        data = bytes(self._buffer[: self._remaining])
        self._drop(self._remaining)
        literal = self._literal
        self._command.literals[self._command.count - 1] = Literal(
            size=literal.size, sync=literal.sync, binary=literal.binary, data=data
        )
        self._state = _State.COMMAND
        return None

    def _read_stream(self) -> Event:
        if self._remaining == 0:
            self._state = _State.COMMAND
            return LiteralEnd()
        if not self._buffer:
            return NEED_DATA
        with memoryview(self._buffer) as view:
            data = bytes(view[: self._remaining])
        self._drop(len(data))
        self._remaining -= len(data)
        return LiteralData(data)

    # Skipping

    def _start_skip(
        self, after: Refused | Problem, literal: int = 0, *, literals: bool = True
    ) -> None:
        """Skip a literal and the rest of the command (or of a line), then give the event."""
        self._after = after
        self._remaining = literal
        self._skip_literals = literals
        self._skipped = 0
        self._tail = b""
        self._state = _State.SKIP

    def _skip_literal(self) -> Event | None:
        if self._skipped + self._remaining > limits.IMAP_LINE_DISCARD:
            return self._skip_too_much()
        if not self._buffer:
            return NEED_DATA
        count = min(self._remaining, len(self._buffer))
        self._drop(count)
        self._remaining -= count
        self._skipped += count
        return None

    def _skip_line(self) -> Event | None:
        end = self._buffer.find(b"\n")
        count = len(self._buffer) if end < 0 else end + 1
        tail = self._tail + bytes(self._buffer[max(0, count - _TAIL) : count])
        self._drop(count)
        self._skipped += count
        if self._skipped > limits.IMAP_LINE_DISCARD:
            return self._skip_too_much()
        self._tail = tail[-_TAIL:]
        if end < 0:
            return NEED_DATA
        # The rest of the command may hold more literals whose data comes without being asked for.
        found = _NON_SYNC_END.search(self._tail) if self._skip_literals else None
        if found is None:
            return self._skip_done()
        self._tail = b""
        self._remaining = _literal_size(found.group(1))
        return None

    def _skip_done(self) -> Event:
        self._finish()
        self._state = _State.COMMAND if self._skip_literals else _State.PAUSED
        return self._after

    def _skip_too_much(self) -> Event:
        self._finish()
        self._die()
        after = self._after
        if isinstance(after, Problem):
            return Problem(tag=after.tag, text=after.text, code=after.code, fatal=True)
        return Refused(after.command, fatal=True)
