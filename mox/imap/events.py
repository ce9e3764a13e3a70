"""What the reader tells the session."""

import enum
from typing import Final, TypeAlias

import msgspec

from mox.imap.command import Command, Literal


class Signal(enum.Enum):
    """Two answers that carry nothing."""

    NEED_DATA = enum.auto()
    PAUSED = enum.auto()  # not another byte is looked at until the session says how


NEED_DATA: Final = Signal.NEED_DATA
PAUSED: Final = Signal.PAUSED


class Resume(enum.Enum):
    """How to read on after PAUSED."""

    COMMAND = enum.auto()
    LINE = enum.auto()  # one line as it is, then PAUSED again: AUTHENTICATE, IDLE


class Continue(msgspec.Struct, frozen=True):
    """A small synchronising literal is awaited.    Answer ``+ `` and call next(), or refuse()."""

    command: Command
    literal: Literal


class LiteralStart(msgspec.Struct, frozen=True):
    """A message literal begins; its command's tokens so far end with it.

    The reader is PAUSED until accept_memory(), accept_stream() or refuse(); after accepting a
    synchronising one, send the continuation request.
    """

    command: Command
    literal: Literal


class LiteralData(msgspec.Struct, frozen=True):
    """Some bytes of a streamed literal.    Their sizes follow the network, not the message."""

    data: bytes


class LiteralEnd(msgspec.Struct, frozen=True):
    """A streamed literal is complete."""


class Line(msgspec.Struct, frozen=True):
    """A raw line, without its end."""

    data: bytes


class Refused(msgspec.Struct, frozen=True):
    """A refused command was skipped to its end; now give its tagged answer.

    ``fatal``: what follows is too large to skip; answer, then end the connection.
    """

    command: Command
    fatal: bool = False


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Input that is no command.    The answer is BAD with this text, tagged where there is a tag.

    ``fatal``: the stream cannot be followed any further; answer, then end the connection.
    """

    tag: bytes | None
    text: str
    code: bytes | None = None  # response code, for example TOOBIG
    fatal: bool = False


Event: TypeAlias = (
    Command | Continue | LiteralStart | LiteralData | LiteralEnd | Line | Refused | Problem | Signal
)
