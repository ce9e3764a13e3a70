"""What the tests of the IMAP language share."""

from collections.abc import Callable

import pytest

from mox.imap.command import Command
from mox.imap.cursor import Cursor
from mox.imap.reader import Reader

ReadCommand = Callable[[bytes], Command]
ReadArguments = Callable[[bytes], Cursor]


def _command(line: bytes) -> Command:
    reader = Reader(line_limit=1 << 20, message_literals={})
    reader.feed(line + b"\r\n")
    event = reader.next()
    while not isinstance(event, Command):  # a continuation request that nobody has to answer here
        assert type(event).__name__ == "Continue", event
        event = reader.next()
    return event


@pytest.fixture
def command() -> ReadCommand:
    """One complete command line (with its literals) as a command."""
    return _command


@pytest.fixture
def arguments() -> ReadArguments:
    """The cursor over arguments, at the first of them."""

    def read(text: bytes) -> Cursor:
        cursor = Cursor(_command(b"a X " + text))
        cursor.space()
        return cursor

    return read
