"""Messages with NUL, as text and as they are."""

import base64

import pytest

from mox.imapserver.derive import derive
from mox.imapserver.textual import has_nul, textual
from mox.message.mime import decode_part, parse
from mox.message.section import body_range, read
from mox.store.content import Kind


def test_the_part_with_nul_is_encoded_and_nothing_else() -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\0amble\r\n"
        b"--b\r\n\r\nplain\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        + b"\x89PNG\0\n" * 30
        + b"\r\n--b--\r\n"
    )
    shown = bytes(textual(content, parse(content), None))
    assert b"\0" not in shown
    assert b"pre\x80amble" in shown
    tree = parse(shown)
    assert [part.encoding for part in tree.parts] == [None, b"BASE64"]
    assert all(len(line) <= 76 for line in shown.split(b"\r\n"))
    found = body_range(tree, (2,))
    assert found is not None
    assert base64.b64decode(read(shown, found)) == b"\x89PNG\0\n" * 30
    first = body_range(tree, (1,))
    assert first is not None
    assert read(shown, first) == b"plain"


def test_a_message_that_is_one_part() -> None:
    content = b"Subject: \0x\r\nContent-Transfer-Encoding: 8bit\r\n\r\na\0b"
    shown = bytes(textual(content, parse(content), None))
    assert shown == b"Subject: \x80x\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\n"


def test_nul_in_encoded_data_is_no_octet_of_the_part() -> None:
    content = b"Content-Transfer-Encoding: base64\r\n\r\nYW\0I=\r\n"
    shown = bytes(textual(content, parse(content), None))
    assert shown == content.replace(b"\0", b"\x80")


@pytest.mark.parametrize("at", [0, 300_000, 599_999])
def test_nul_is_found_anywhere(at: int) -> None:
    content = bytearray(b"a" * 600_000)
    assert not has_nul(bytes(content))
    content[at] = 0
    assert has_nul(bytes(content))


def test_derived_values() -> None:
    content = b"Subject: =?utf-8?q?=C3=A4?=\r\nDate: x\r\n\r\nHello there\r\n"
    derived = derive(content)
    assert derived[Kind.ENVELOPE].startswith(b'("x" "=?utf-8?q?=C3=A4?=" NIL')
    assert derived[Kind.ENVELOPE_UTF8].startswith('("x" "ä" NIL'.encode())
    assert derived[Kind.BODY] == b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 13 1)'
    assert derived[Kind.BODYSTRUCTURE].endswith(b"13 1 NIL NIL NIL NIL)")
    assert derived[Kind.PREVIEW] == b"Hello there\n"
    assert decode_part(derived[Kind.PART]) == parse(content)
    assert Kind.HAS_NUL not in derived


def test_derived_values_are_those_of_what_is_shown() -> None:
    derived = derive(b"Subject: x\r\n\r\n\0\n\n")
    assert derived[Kind.HAS_NUL]
    assert b'"BASE64" 6 1' in derived[Kind.BODY]
    assert decode_part(derived[Kind.PART]).encoding is None
    assert Kind.ENVELOPE_UTF8 not in derived


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\0", b"no header at all"])
def test_any_content_has_derived_values(content: bytes) -> None:
    derived = derive(content)
    assert derived[Kind.BODYSTRUCTURE].startswith(b'("TEXT" "PLAIN"')
    assert derived[Kind.ENVELOPE] == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
