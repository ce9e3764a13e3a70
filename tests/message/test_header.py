"""Header sections: fields, unfolding, selection."""

import pytest

from mox.message import header

BLOCK = (
    b"Subject: one\r\n two\r\nRECEIVED: a\r\nreceived:b\r\nSubject : no\r\nTo:\r\n\r\nbody: x\r\n"
)


def test_fields_in_order() -> None:
    found = header.fields(BLOCK)
    assert [field.name for field in found] == [
        b"subject",
        b"received",
        b"received",
        b"subject ",
        b"to",
    ]
    assert found[0].value_raw == b" one\r\n two"
    assert found[0].value == b"one two"
    assert BLOCK[found[0].start : found[0].end] == b"Subject: one\r\n two\r\n"
    assert header.first(found, b"SUBJECT") == b"one two"
    assert header.first(found, b"cc") is None
    assert header.all_values(found, b"Received") == [b"a", b"b"]
    assert header.all_values(found, b"cc") == []


@pytest.mark.rfc("5322 §2.2.3")
@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b" a", b"a"),
        (b" a \r\n", b"a"),
        (b"a\r\n b", b"a b"),
        (b"a \r\n\t  b\r\n \r\n c ", b"a b c"),
        (b"a\n b", b"a b"),
        (b"", b""),
        (b"\r\n x", b"x"),
    ],
)
def test_unfold(raw: bytes, value: bytes) -> None:
    assert header.unfold(raw) == value


def test_only_the_wanted_values_are_read() -> None:
    # continuation, repeated, mixed case, space before the colon, no last line end
    block = b"rEferences: <a>\r\n <b>\r\nX: y\r\nReferences: <c>\r\nReferences : <d>\r\nto: a@b"
    assert header.values_of(block, [b"References", b"TO", b"cc"]) == {
        b"references": [b"<a> <b>", b"<c>"],
        b"to": [b"a@b"],
    }
    assert header.values_of(b"", [b"to"]) == {}


@pytest.mark.rfc("9051 §6.4.5.1")
def test_select() -> None:
    assert header.select(BLOCK, [b"Received"]) == b"RECEIVED: a\r\nreceived:b\r\n\r\n"
    assert header.select(BLOCK, [b"RECEIVED", b"to"], exclude=True) == (
        b"Subject: one\r\n two\r\nSubject : no\r\n\r\n"
    )
    # without an empty line in the message there is none in the answer
    assert header.select(b"A: b\r\nC: d\r\n", [b"a"]) == b"A: b\r\n"


def test_end_of_header() -> None:
    assert header.end_of_header(BLOCK) == len(BLOCK) - len(b"body: x\r\n")
    assert header.end_of_header(b"\r\nx") == 2
    assert header.end_of_header(b"a: b") == 4
    assert header.end_of_header(b"xx\na: b\n\nc", 3) == 9
