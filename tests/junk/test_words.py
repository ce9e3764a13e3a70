"""Features of a message: which fields and parts count, and that work is bounded."""

import base64

import pytest

from mox.base.limits import JUNK_HEADER, JUNK_TEXT, JUNK_TOKENS
from mox.junk.htmltext import html_to_text
from mox.junk.words import message_words, text_words
from mox.message import mime

ONE = 1


def words_of(message: bytes, grams: int = ONE) -> set[str]:
    return {word.decode() for word in message_words(message, mime.parse(message), grams)}


def body_of(headers: bytes, body: bytes) -> set[str]:
    return words_of(headers + b"\r\n\r\n" + body)


def test_texts_give_runs() -> None:
    assert text_words("pay your 12345 invoice now", 2) == {
        b"pay your",
        b"your invoice",
        b"invoice now",
    }


def test_words_of_fields_carry_the_name_of_the_field() -> None:
    found = words_of(
        b"from: Some Body <somebody@example.org>\r\nSUBJECT: cheap pills\r\nSubject: again\r\n"
        b"X-Header: ignored\r\nReturn-Path: <bounce@list.example>\r\nReply-To: the other\r\n\r\n",
        3,
    )
    assert {"Subject:cheap", "Subject:pills", "Subject:cheap pills", "Subject:again"} <= found
    assert {"From:somebody", "From:example", "Return-Path:bounce", "Reply-To:other"} <= found
    assert not [word for word in found if "ignored" in word or ":" not in word]
    assert "Reply-To:the" not in found  # three bytes say too little
    assert "From:org" not in found


@pytest.mark.rfc("2047 §2")
def test_encoded_words_of_fields_are_words() -> None:
    subject = b"=?utf-8?B?" + base64.b64encode("Überraschung für dich".encode()) + b"?="
    assert words_of(b"Subject: " + subject + b"\r\n\r\n") == {
        "Subject:überraschung",
        "Subject:für",
        "Subject:dich",
    }


@pytest.mark.rfc("2045 §5.2")
@pytest.mark.parametrize(
    "headers", [b"X: y", b"Content-Type: text/plain", b"Content-Type: text/csv", b"Content-Type:"]
)
def test_text_is_what_says_so_or_says_nothing(headers: bytes) -> None:
    assert body_of(headers, b"plain words") == {"plain", "words"}


def test_other_types_do_not_count() -> None:
    assert body_of(b"Content-Type: application/pdf", b"plain words") == set()


def test_transfer_encoding_and_charset_are_decoded() -> None:
    headers = b"Content-Type: text/plain; charset=iso-8859-2\r\nContent-Transfer-Encoding: base64"
    body = base64.b64encode("żółty łoś".encode("iso-8859-2"))
    assert body_of(headers, body) == {"żółty", "łoś"}


def test_alternatives_count_both_and_embedded_messages_without_their_header() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=out\r\n\r\n"
        b"--out\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
        b"--in\r\n\r\nplainly\r\n"
        b"--in\r\nContent-Type: text/html\r\n\r\n<p>marked</p>\r\n--in--\r\n"
        b"--out\r\nContent-Type: message/rfc822\r\n\r\nSubject: hidden\r\n\r\nembedded\r\n"
        b"--out\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(b"Subject: hidden\r\n\r\nencoded")
        + b"\r\n--out\r\nContent-Type: application/octet-stream\r\n\r\nignored\r\n--out--\r\n"
    )
    assert words_of(message) == {"plainly", "marked", "embedded", "encoded"}


def test_a_long_header_cannot_push_out_the_rest() -> None:
    names = b", ".join(b"user%dxa@example.org" % number for number in range(30_000))
    message = b"To: " + names + b"\r\nSubject: telling\r\n\r\nbody text"
    found = words_of(message)
    assert {"Subject:telling", "body", "text"} <= found
    assert len(found) < JUNK_HEADER // 10


def test_text_and_features_are_bounded() -> None:
    assert words_of(b"\r\nfirst " + b"x" * JUNK_TEXT + b" beyond") == {"first"}
    many = " ".join(f"ba{number % 100}do{number // 100}la" for number in range(30_000))
    assert len(words_of(b"\r\n" + many.encode(), 7)) == JUNK_TOKENS


def test_encoded_messages_are_decoded_a_bounded_number_of_times() -> None:
    inner = base64.b64encode(b"\r\n" + b"y" * (JUNK_TEXT // 4))
    part = (
        b"--b\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + inner
        + b"\r\n"
    )
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 3
    assert words_of(message + b"--b\r\n\r\nunreached\r\n--b--\r\n") == set()
    assert words_of(message[: -2 * len(part)] + b"--b\r\n\r\nreached\r\n--b--\r\n") == {"reached"}


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b>foo</b>bar", "foobar"),
        ("<p>one</p><p>two</p>", "onetwo"),
        ("a<style>b</style>c<script>if (a<b) d</script>e<svg>f<g>h</g></svg>i", "acehi"),
        ("<img src=x alt='a &amp; b' title=t>c", "a & bc"),
        ('<IMG ALT="up">', "up"),
        ("<img alt=a/>", ""),  # self-closing
        ("<img alt>x<img src=alt>", "x"),
        ("<svg><br><meta></svg>seen", "seen"),  # void elements are not open
        ("<svg></p>seen", "seen"),  # an end tag closes one element, whatever its name
        ("<script/>seen", "seen"),
        ("</p>seen", "seen"),
        ("a<!-- b > c -->d<!-->e<!--->f<!x>g<?y?>h</>i</ z>j", "adefghij"),
        ("1 < 2 &lt;b&gt; &nbsp;x&#65;&eacute; & &bogus;", "1 < 2 <b>  xAé & &bogus;"),
        ("&am<b></b>p;", "&amp;"),  # chunks are decoded each for itself
        ("<title>a &amp; <b></title>c", "a & <b>c"),
        ("<a title=\"x>y\" b='>' c=d>text</a>", "text"),
        ("a\0b", "ab"),
        ("text<a href='never ends", "text"),
        ("text<!-- never ends", "text"),
        ("text<script>never ends", "text"),
        ("text</p", "text"),
        ("text<", "text<"),
        ("", ""),
    ],
)
def test_text_of_html(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    "unit", ["<", "<a ", '<a b="', "&a", "<p>", "<!--", "<script>", "</", "<a ==", "<title>"]
)
def test_hostile_html_takes_linear_time(unit: str) -> None:
    assert len(html_to_text(unit * (50_000 // len(unit)))) <= 50_000


def test_very_many_fields_are_read_in_part() -> None:
    message = b"Subject: first\r\n" + b"To:\r\n" * 100_000 + b"Cc: unread\r\n\r\nbody"
    assert words_of(message) == {"Subject:first", "body"}


@pytest.mark.rfc("2045 §5.2")
def test_a_type_that_cannot_be_read_hides_nothing() -> None:
    assert body_of(b"Content-Type: something", b"plain words") == {"plain", "words"}
    assert body_of(b"Content-Type: image/png; name=a b", b"plain words") == set()
