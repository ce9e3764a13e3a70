"""The grammar of APPEND around its messages."""

from collections.abc import Callable

import pytest

from mox.base import flags as bits
from mox.imap import append
from mox.imap.command import Command
from mox.imap.cursor import Cursor
from mox.imap.errors import BadSyntax
from mox.imap.events import LiteralData, LiteralEnd, LiteralStart
from mox.imap.flags import FlagSet
from mox.imap.reader import Reader

Arguments = Callable[[bytes], Cursor]


def read(arguments: Arguments, text: bytes) -> append.AppendMessage:
    cursor = Cursor(arguments(text).command)
    message = append.message(cursor)
    assert not append.finish(cursor, message)
    return message


@pytest.mark.rfc("9051 §6.3.12")
def test_a_message(arguments: Arguments) -> None:
    plain = read(arguments, b"{1+}\r\nx")
    assert (plain.flags, plain.received, plain.utf8, plain.literal.data) == (
        FlagSet(),
        None,
        False,
        b"x",
    )
    full = read(arguments, b'(\\Seen a) " 1-Jan-1970 00:00:01 +0100" ~{1+}\r\n\0')
    assert full.flags == FlagSet(bits=bits.SEEN, keywords=("a",))
    assert full.received == (1000 - 3_600_000, 60)
    assert full.literal.binary


@pytest.mark.rfc("6855 §4")
def test_a_message_in_utf8(arguments: Arguments) -> None:
    assert read(arguments, b"() UTF8 (~{1+}\r\nx)").utf8


@pytest.mark.parametrize(
    "text",
    [
        b"x",
        b'"x" {1+}\r\ny',
        b"{1+}\r\nx{1+}\r\ny",
        b"{1+}\r\nx y",
        b"(\\Bad) {1+}\r\nx",
        b"\\Seen {1+}\r\nx",
        b"() () {1+}\r\nx",
        b"UTF8 ({1+}\r\nx)",
        b"UTF8 (~{1+}\r\nx",
        b"UTF8 ~{1+}\r\nx",
        b"UTF8 (~{1+}\r\nx )",
        b"(~{1+}\r\nx)",
    ],
)
def test_what_is_no_message(arguments: Arguments, text: bytes) -> None:
    cursor = Cursor(arguments(text).command)

    def all_of() -> None:
        while append.finish(cursor, append.message(cursor)):
            pass

    with pytest.raises(BadSyntax):
        all_of()


@pytest.mark.rfc("3502 §2")
def test_several_messages_are_read_while_they_come() -> None:
    reader = Reader()
    reader.feed(b"a APPEND box (\\Seen) {2}\r\n")
    start = reader.next()
    assert isinstance(start, LiteralStart)
    cursor = Cursor(start.command)
    cursor.space()
    assert cursor.mailbox() == b"box"
    first = append.message(cursor)
    assert cursor.at_end()
    reader.accept_stream()
    reader.feed(b"xy UTF8 (~{1+}\r\nz)\r\n")
    assert [reader.next(), reader.next()] == [LiteralData(b"xy"), LiteralEnd()]
    start = reader.next()
    assert isinstance(start, LiteralStart)
    assert append.finish(cursor, first)
    second = append.message(cursor)
    assert second.utf8
    reader.accept_stream()
    assert [reader.next(), reader.next()] == [LiteralData(b"z"), LiteralEnd()]
    assert isinstance(reader.next(), Command)
    assert not append.finish(cursor, second)
