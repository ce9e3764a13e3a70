"""Response bytes."""

import pytest

from mox.imap import writer
from mox.imap.writer import Writer


def text(out: Writer) -> bytes:
    size = out.size
    written = b"".join(out.take())
    assert len(written) == size
    assert out.size == 0
    return written


@pytest.mark.rfc("9051 §9")
@pytest.mark.parametrize(
    ("value", "plain", "utf8"),
    [
        (b"", b'""', b'""'),
        (b"a b", b'"a b"', b'"a b"'),
        (b'a"\\', b'"a\\"\\\\"', b'"a\\"\\\\"'),
        (b"a\r\nb", b"{4}\r\na\r\nb", b"{4}\r\na\r\nb"),
        (b"a\nb", b"{3}\r\na\nb", b"{3}\r\na\nb"),
        (b"\xc3\xa9", b"{2}\r\n\xc3\xa9", b'"\xc3\xa9"'),
        (b"\xe9", b"{1}\r\n\xe9", b"{1}\r\n\xe9"),
        (b"x" * 5000, b"{5000}\r\n" + b"x" * 5000, b"{5000}\r\n" + b"x" * 5000),
    ],
)
def test_strings(value: bytes, plain: bytes, utf8: bytes) -> None:
    assert writer.string(value) == plain
    assert writer.string(value, utf8=True) == utf8
    assert writer.nstring(value) == plain


def test_bare_where_it_can_be() -> None:
    assert writer.astring(b"a]b") == b"a]b"
    assert writer.astring(b"Sent Items") == b'"Sent Items"'
    assert writer.astring(b"nil") == b'"nil"'
    assert writer.astring(b"") == b'""'
    assert writer.astring(b"a%") == b'"a%"'
    assert writer.nstring(None) == b"NIL"


def test_spaces_stand_between_items_only() -> None:
    out = Writer()
    out.untagged(b"FETCH", 7)
    out.open()
    out.atom(b"UID")
    out.number(5)
    out.atom(b"FLAGS")
    out.flags(1, ["x"])
    out.atom(b"MODSEQ")
    out.open()
    out.number(9)
    out.close()
    out.atom(b"INTERNALDATE")
    out.datetime(0)
    out.atom(b"SAVEDATE")
    out.datetime_or_nil(None)
    out.atom(b"X")
    out.open()
    out.close()
    out.close()
    out.end_line()
    assert text(out) == (
        rb'* 7 FETCH (UID 5 FLAGS (\Seen x) MODSEQ (9) INTERNALDATE " 1-Jan-1970 00:00:00 +0000"'
        b" SAVEDATE NIL X ())\r\n"
    )


def test_strings_follow_the_session() -> None:
    out = Writer(utf8=True)
    out.untagged(b"ID")
    out.strings([b"a", b"\xc3\xa9"])
    out.nil()
    out.quoted(b"q")
    out.astring(b"x y")
    out.nstring(None)
    out.end_line()
    assert text(out) == b'* ID ("a" "\xc3\xa9") NIL "q" "x y" NIL\r\n'


@pytest.mark.rfc("3516 §3")
def test_literals() -> None:
    out = Writer()
    out.untagged(b"FETCH", 1)
    out.open()
    out.atom(b"BINARY[1]")
    out.literal(b"\0", binary=True)
    out.atom(b"BODY[]")
    out.literal_header(3)
    out.raw(b"ab")
    out.raw(b"c")
    out.close()
    out.end_line()
    assert text(out) == b"* 1 FETCH (BINARY[1] ~{1}\r\n\0 BODY[] {3}\r\nabc)\r\n"


@pytest.mark.rfc("9051 §7.1")
def test_status_lines() -> None:
    out = Writer()
    out.status(b"*", b"OK", b"hello")
    out.status(b"a", b"NO", b"sorry", b"LIMIT")
    out.status(b"a", b"OK", b"")
    assert text(out) == b"* OK hello\r\na NO [LIMIT] sorry\r\na OK -\r\n"


@pytest.mark.rfc("9051 §9")
def test_a_continuation_request_has_its_space() -> None:
    out = Writer()
    out.continuation()
    out.continuation(b"idling")
    assert text(out) == b"+ \r\n+ idling\r\n"
