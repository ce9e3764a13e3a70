"""What is built is read back by others as it was meant."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import encodedword
from mox.message.compose import (
    Leaf,
    Mailbox,
    MessageTooLarge,
    Multipart,
    address_field,
    attachment,
    field,
    format_mailbox,
    render,
    text,
    text_field,
)


def read(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def made(*fields: bytes, content: Leaf | Multipart | None = None) -> EmailMessage:
    numbers = count(1)
    whole = render(fields, content or text("x", eight_bit=False), lambda: f"b{next(numbers)}")
    return read(whole)


@pytest.mark.rfc("2047 §5")
@pytest.mark.parametrize(
    ("subject", "encoded"),
    [
        ("plain words", b"Subject: plain words\r\n"),
        ("two  spaces", b"Subject: two  spaces\r\n"),
        ("für dich", b"Subject: =?utf-8?q?f=C3=BCr?= dich\r\n"),
        # The space between two encoded words is inside, or it would be lost.
        ("ä ö", b"Subject: =?utf-8?q?=C3=A4_=C3=B6?=\r\n"),
        ("=?utf-8?q?x?=", b"Subject: =?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?=\r\n"),
        ("a\r\nBcc: x", b"Subject: a  Bcc: x\r\n"),
        ("", b"Subject: \r\n"),
    ],
)
def test_subjects(subject: str, encoded: bytes) -> None:
    assert text_field("Subject", subject) == encoded


def test_a_subject_in_utf8() -> None:
    assert text_field("Subject", "für dich", utf8=True) == "Subject: für dich\r\n".encode()


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=300))
def test_any_subject_is_read_back(subject: str) -> None:
    line = text_field("Subject", subject)
    assert line.isascii()
    # RFC 2047 §2: lines with encoded words are short.
    assert all(len(part) <= 76 or b"=?" not in part for part in line.split(b"\r\n"))
    assert all(len(part) <= 998 for part in line.split(b"\r\n"))
    value = line.partition(b":")[2].replace(b"\r\n", b"")
    assert encodedword.decode(value.strip()).strip(" ") == subject.strip(" ")


def test_long_lists_of_addresses_are_folded() -> None:
    people = [Mailbox(f"Person {n}", f"person{n}@example.org") for n in range(40)]
    line = address_field("To", people)
    assert all(len(part) <= 76 for part in line.split(b"\r\n"))
    found = made(line)["to"]
    assert [str(each) for each in found.addresses] == [
        f"Person {n} <person{n}@example.org>" for n in range(40)
    ]
    assert address_field("Cc", []) == b""


@pytest.mark.parametrize(
    ("mailbox", "written"),
    [
        (Mailbox("", "a@b.example"), "<a@b.example>"),
        (Mailbox("A B", "a@b.example"), "A B <a@b.example>"),
        (Mailbox("Smith, J.", "a@b.example"), '"Smith, J." <a@b.example>'),
        (Mailbox("Jürgen, K", "a@b.example"), "=?utf-8?q?J=C3=BCrgen=2C_K?= <a@b.example>"),
        (Mailbox("=?x", "a@b.example"), "=?utf-8?q?=3D=3Fx?= <a@b.example>"),
        (Mailbox("a\r\nTo: x", "a@b.example\r\nX: y"), '"a  To: x" <a@b.example  X: y>'),
    ],
)
def test_mailboxes(mailbox: Mailbox, written: str) -> None:
    assert format_mailbox(mailbox) == written


def test_a_mailbox_in_utf8() -> None:
    assert format_mailbox(Mailbox("Jürgen", "ü@b.example"), utf8=True) == "Jürgen <ü@b.example>"


@pytest.mark.parametrize(
    ("content", "eight_bit", "encoding"),
    [
        ("short", False, "7bit"),
        ("für", True, "8bit"),
        ("für", False, "quoted-printable"),
        ("x" * 77, True, "quoted-printable"),
        ("x" * 76, True, "7bit"),
        ("a\rb", True, "quoted-printable"),
    ],
)
def test_encodings_of_text(content: str, eight_bit: bool, encoding: str) -> None:
    message = made(content=text(content, eight_bit=eight_bit))
    assert message["content-transfer-encoding"] == encoding
    assert message.get_content_charset() == ("us-ascii" if content.isascii() else "utf-8")
    assert message.get_payload(decode=True) == content.encode() + b"\r\n"


@given(st.text(st.characters(codec="utf-8")), st.booleans())
def test_any_text_is_read_back(content: str, eight_bit: bool) -> None:
    part = text(content, eight_bit=eight_bit)
    assert eight_bit or part.body.isascii()
    assert b"\n" not in part.body.replace(b"\r\n", b"")
    assert b"\r" not in part.body.replace(b"\r\n", b"")
    assert all(len(line) <= 76 for line in part.body.split(b"\r\n"))
    found = made(content=part).get_payload(decode=True)
    wanted = content.replace("\r\n", "\n").encode()
    assert isinstance(found, bytes)
    assert found.replace(b"\r\n", b"\n") == (wanted if wanted.endswith(b"\n") else wanted + b"\n")


def test_a_message_with_an_attachment() -> None:
    data = bytes(range(256)) * 3
    content = Multipart(
        "mixed",
        (
            text("see there", eight_bit=False),
            attachment(data, "application/octet-stream", 'a "b" c.bin'),
            attachment(b"", "image/png", "bücher.png", inline=True),
        ),
    )
    message = made(field("X-Test", "1"), content=content)
    assert message["mime-version"] == "1.0"
    first, second, third = message.iter_parts()
    assert first.get_payload(decode=True) == b"see there\r\n"
    assert second.get_payload(decode=True) == data
    assert second.get_filename() == 'a "b" c.bin'
    assert third.get_filename() == "bücher.png"
    assert third.get_content_disposition() == "inline"


def test_a_boundary_is_in_no_part() -> None:
    names = iter(["taken", "taken", "free"])
    inner = text("x\n--taken\ny", eight_bit=False)
    whole = render((), Multipart("mixed", (inner,)), lambda: next(names))
    assert b"boundary=free" in whole
    assert len(list(read(whole).iter_parts())) == 1


def test_a_message_that_is_too_large() -> None:
    render((), text("x" * 100, eight_bit=False), lambda: "b", max_size=300)
    with pytest.raises(MessageTooLarge):
        render((), text("x" * 1000, eight_bit=False), lambda: "b", max_size=300)
