"""What a message's header and text contain."""

import base64
import datetime

import pytest

from mox.imap.searchkey import DateTest
from mox.imapserver import decoding, matching
from mox.imapserver.matching import HeaderTest, SentTest, TextTest, match_headers, match_texts
from mox.message.mime import parse

HEADER = b"""\
From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r
Subject: A long\r
 subject =?iso-8859-1?q?f=FCr?= you\r
X-Raw: gr\xc3\xbc\xc3\x9fe\r
X-Empty:\r
Date: Sat, 3 Feb 2024 00:30:00 +0900\r
\r
Subject: not in the header\r
"""


@pytest.mark.rfc("9051 §6.4.4")
@pytest.mark.parametrize(
    ("field", "text", "found"),
    [
        (b"subject", "long SUBJECT", True),
        (b"subject", "subject für", True),  # decoded
        (b"subject", "=?ISO-8859-1?q?", True),  # raw
        (b"subject", "header", False),
        (b"subject", "", True),
        (b"x-empty", "", True),
        (b"x-empty", "a", False),
        (b"cc", "", False),
        (b"from", "JÜRGEN", True),
        (b"from", "j@example", True),
        (b"x-raw", "Grüße", True),
    ],
)
def test_headers(field: bytes, text: str, found: bool) -> None:
    assert match_headers(HEADER, [HeaderTest(field, text)]) == [found]


@pytest.mark.rfc("9051 §6.4.4")
@pytest.mark.parametrize(
    ("test", "day", "found"),
    [
        (DateTest.BEFORE, 4, True),
        (DateTest.BEFORE, 3, False),
        (DateTest.ON, 3, True),
        (DateTest.ON, 2, False),  # the day in UTC
        (DateTest.SINCE, 3, True),
        (DateTest.SINCE, 4, False),
    ],
)
def test_sent(test: DateTest, day: int, found: bool) -> None:
    wanted = SentTest(test, datetime.date(2024, 2, day))
    assert match_headers(HEADER, [wanted]) == [found]
    assert match_headers(b"Date: never\r\n\r\n", [wanted]) == [False]
    assert match_headers(b"\r\n", [wanted]) == [False]


def _search(content: bytes, *texts: str, headers: bool = False) -> list[bool]:
    return match_texts(content, parse(content), [TextTest(text, headers) for text in texts])


def test_text_of_a_message_without_content_type() -> None:
    content = b"Subject: outer\r\n\r\nSome Text here\r\n"
    assert _search(content, "some text", "outer", "") == [True, False, True]
    assert _search(content, "some text", "OUTER", headers=True) == [True, True]


def test_text_is_decoded() -> None:
    content = (
        b'Content-Type: text/plain; charset="iso-8859-1"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + base64.encodebytes("Käsekuchen\n".encode("latin-1"))
    )
    assert _search(content, "KÄSEKUCHEN", "kase") == [True, False]
    content = (
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
        b"\r\nK=C3=A4se=\r\nkuchen</b>\r\n"
    )
    assert _search(content, "käsekuchen</B>", "=C3") == [True, False]


def test_only_text_parts_and_their_headers() -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
        b"--b\r\nX-Part: first\r\n\r\nplain words\r\n"
        b"--b\r\nContent-Type: application/octet-stream\r\nX-Part: second\r\n\r\nhidden words\r\n"
        b"--b--\r\nepilogue\r\n"
    )
    words = ["plain words", "hidden", "preamble", "epilogue", "x-part: first", "x-part: second"]
    assert _search(content, *words) == [True, False, False, False, False, False]
    assert _search(content, *words, headers=True) == [True, False, False, False, True, True]


def test_embedded_messages_are_entered() -> None:
    inner = b"Subject: inner\r\n\r\nwords within\r\n"
    content = b"Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    assert _search(content, "words within", "inner") == [True, False]
    assert _search(content, "inner", "outer", headers=True) == [True, True]
    encoded = (
        b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(inner)
    )
    assert _search(encoded, "words within", "inner") == [True, False]


def test_folded_and_encoded_headers_in_text() -> None:
    assert _search(HEADER, "long subject", "für you", "jürgen", headers=True) == [True, True, True]


@pytest.mark.parametrize("encoding", [b"8bit", b"base64", b"quoted-printable"])
def test_a_word_across_chunks(encoding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (decoding, matching):
        monkeypatch.setattr(module, "CHUNK", 64)
    for offset in range(40, 80):
        text = b"x" * offset + "nädel".encode() + b"y" * 200
        if encoding == b"base64":
            text = base64.encodebytes(text)
        content = (
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b"
            % (encoding, text)
        )
        assert _search(content, "NÄDEL", "nadel", "y") == [True, False, True]


def test_an_unknown_charset_keeps_its_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"Content-Type: text/plain; charset=x-none\r\n\r\n\xe4 plain \xff words\r\n"
    assert _search(content, "plain", "words") == [True, True]
    monkeypatch.setattr(matching, "CHUNK", 8)
    assert _search(content, "plain", "words") == [True, True]
