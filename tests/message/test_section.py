"""Sections: part paths and what they name.    RFC 9051 §6.4.5.1."""

import base64

import pytest

from mox.message import mime, section


def message(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


# The example of RFC 9051 §6.4.5.1
NESTED = message(
    "Subject: top",
    "Content-Type: multipart/mixed; boundary=a",
    "",
    "--a",
    "Content-Type: text/plain",
    "",
    "1",
    "--a",
    "Content-Type: application/octet-stream",
    "",
    "2",
    "--a",
    "Content-Type: message/rfc822",
    "",
    "Subject: three",
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    "Content-Type: text/plain",
    "",
    "3.1",
    "--b",
    "",
    "3.2",
    "--b--",
    "epilogue of 3",
    "--a",
    "Content-Type: multipart/mixed; boundary=c",
    "",
    "--c",
    "Content-Type: image/gif",
    "",
    "4.1",
    "--c",
    "Content-Type: message/rfc822",
    "X-Four: two",
    "",
    "Subject: four",
    "",
    "4.2.1",
    "--c--",
    "--a--",
    "epilogue",
    "",
)


def path(text: str) -> list[int]:
    return [int(number) for number in text.split(".")] if text else []


def body(content: bytes, text: str) -> bytes | None:
    found = section.body_range(mime.parse(content), path(text))
    return None if found is None else section.read(content, found)


@pytest.mark.rfc("9051 §6.4.5.1")
@pytest.mark.parametrize("text", ["1", "2", "3.1", "3.2", "4.1", "4.2.1"])
def test_bodies(text: str) -> None:
    assert body(NESTED, text) == text.encode()


def test_the_empty_path_is_the_whole() -> None:
    assert body(NESTED, "") == NESTED
    part = mime.parse(NESTED)
    head, text = section.header_range(part, []), section.text_range(part, [])
    assert head is not None
    assert text is not None
    # the epilogue belongs to TEXT: header and text are the whole
    assert section.read(NESTED, head) + section.read(NESTED, text) == NESTED
    assert section.read(NESTED, text).endswith(b"--a--\r\nepilogue\r\n")


@pytest.mark.parametrize(
    "text", ["0", "5", "1.1", "3.3", "4.1.1", "4.2.2", "4.2.1.1", "4.3", "9.9"]
)
def test_parts_that_do_not_exist(text: str) -> None:
    assert body(NESTED, text) is None
    assert section.mime_range(mime.parse(NESTED), path(text)) is None
    assert section.header_range(mime.parse(NESTED), path(text)) is None


def test_header_and_text_of_embedded_messages() -> None:
    part = mime.parse(NESTED)
    found = section.header_range(part, [4, 2])
    assert found is not None
    assert section.read(NESTED, found) == b"Subject: four\r\n\r\n"
    found = section.text_range(part, [3])
    assert found is not None
    assert section.read(NESTED, found).endswith(b"--b--\r\nepilogue of 3")
    for wrong in ([1], [4], [4, 2, 1]):
        assert section.header_range(part, wrong) is None
        assert section.text_range(part, wrong) is None


def test_mime_ends_with_the_empty_line() -> None:
    part = mime.parse(NESTED)
    for place, expected in (
        ([1], b"Content-Type: text/plain\r\n\r\n"),
        ([3, 2], b"\r\n"),
        ([4, 2], b"Content-Type: message/rfc822\r\nX-Four: two\r\n\r\n"),
        ([4, 2, 1], b"Subject: four\r\n\r\n"),
    ):
        found = section.mime_range(part, place)
        assert found is not None
        assert section.read(NESTED, found) == expected
    assert section.mime_range(part, []) is None


def test_header_fields_of_a_section() -> None:
    part = mime.parse(NESTED)
    found = section.header_range(part, [3])
    assert found is not None
    assert section.header_fields(NESTED, found, [b"SUBJECT"]) == b"Subject: three\r\n\r\n"
    assert section.header_fields(NESTED, found, [b"subject"], exclude=True) == (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    )


def test_a_message_that_is_no_multipart_has_one_part() -> None:
    content = message("Subject: s", "", "body")
    assert body(content, "1") == b"body"
    assert body(content, "2") is None
    assert body(content, "1.1") is None
    found = section.mime_range(mime.parse(content), [1])
    assert found is not None
    assert section.read(content, found) == b"Subject: s\r\n\r\n"


def test_a_message_that_is_itself_a_message() -> None:
    inner = message(
        "Subject: inner",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "x",
        "--b--",
        "",
    )
    content = b"Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    part = mime.parse(content)
    assert body(content, "1") == inner
    assert body(content, "1.1") == b"x"
    assert body(content, "1.2") is None
    head, text = section.header_range(part, [1]), section.text_range(part, [1])
    kind, leaf = section.mime_range(part, [1]), section.mime_range(part, [1, 1])
    assert head is not None
    assert text is not None
    assert kind is not None
    assert leaf is not None
    assert section.read(content, head).startswith(b"Subject: inner\r\n")
    assert section.read(content, text) == b"--b\r\n\r\nx\r\n--b--\r\n"
    assert section.read(content, kind) == b"Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n"
    assert section.read(content, leaf) == b"\r\n"


def test_a_single_message_in_a_message() -> None:
    content = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx"
    assert body(content, "1.1") == b"x"
    assert body(content, "1.1.1") is None


@pytest.mark.rfc("6532 §3.7")
def test_sections_inside_an_encoded_message() -> None:
    inner = message("Subject: inner", "Content-Type: message/rfc822", "", "To: a@b", "", "core")
    content = (
        b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(inner)
    )
    part = mime.parse(content)
    assert body(content, "1.1") == b"To: a@b\r\n\r\ncore"
    assert body(content, "1.1.1") == b"core"
    found = section.header_range(part, [1, 1])
    assert found is not None
    assert len(found.within) == 1
    assert section.header_fields(content, found, [b"to"]) == b"To: a@b\r\n\r\n"
    assert body(content, "1") == base64.encodebytes(inner)
    located = section.resolve(part, [1, 1, 1])
    assert located is not None
    assert located.within == (part,)
