"""The table of commands: name, where it is allowed, parse, run.

Laws  ``parse`` is pure and complete before ``run`` starts: a syntax error has no effect.
      A name claimed twice stops the start.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Flag
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from mox.imap.command import Command as Received
from mox.imap.cursor import Cursor

if TYPE_CHECKING:
    from mox.imapserver.session import Session

A = TypeVar("A")


class State(Flag):
    """Where a connection is.    RFC 9051 §3."""

    NOT_AUTHENTICATED = 1
    AUTHENTICATED = 2
    SELECTED = 4
    LOGGED_IN = AUTHENTICATED | SELECTED
    ANY = NOT_AUTHENTICATED | AUTHENTICATED | SELECTED


@dataclass(frozen=True, slots=True)
class Done:
    """The tagged OK: what stands in brackets, and the text for people.

    ``frees_expunges``: they may be told, though the command holds them otherwise.
    """

    code: bytes | None = None
    text: str = ""
    frees_expunges: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[A]):
    """One command.

    parse     reads the arguments, from the space after the name on; the end of the command is
              checked by the session.
    run       does it and gives the tagged OK, or raises (``errors.py``).
    stream    instead of both, for a command whose message literals are streamed (APPEND): called
              when the first of them is announced, with the command as far as received; goes on
              reading with ``session.stream_literal`` and ``session.next_part``.
    holds_expunges   EXPUNGE must not be told before its reply: RFC 9051 §7.5.1.
    tells_news       what others changed is written before the tagged reply.
    pins      keeps the slots of the selected mailbox in place while it runs.
    """

    name: bytes  # upper case; UID FETCH is one name
    states: State
    parse: Callable[[Cursor, "Session"], A]
    run: Callable[["Session", A], Awaitable[Done]]
    stream: Callable[["Session", Received], Awaitable[Done]] | None = None
    holds_expunges: bool = False
    tells_news: bool = True
    pins: bool = True


# Each entry is checked where it is made; the table as a whole has no common argument type.
AnyCommand: TypeAlias = Command[Any]


def no_arguments(_cursor: Cursor, _session: "Session") -> None:
    """``parse`` of a command without arguments."""
