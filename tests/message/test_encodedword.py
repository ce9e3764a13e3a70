"""Encoded words.    RFC 2047."""

import time

import pytest

from mox.message import charset, encodedword


@pytest.mark.rfc("2047 §8")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"", ""),
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"x =?utf-8?q?J=C3=B6rg?= y", "x Jörg y"),
        (b"=?iso-8859-2?Q?Krist=FDna?=", "Kristýna"),
        (b"=?UTF-8?B?SsO2cmc=?=", "Jörg"),
        (b"=?UTF-8?b?SsO2cmc?=", "Jörg"),
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        (b"=?gb2312?B?1tDOxA==?=", "中文"),
        # a character cut in two by the sender
        (b"=?utf-8?B?w4PD?= =?utf-8?B?hA==?=", "ÃÄ"),
        (b"=?UTF-8?Q?=C3?= =?utf-8?Q?=B6?=", "ö"),
        # what does not decode stays
        (b"=?no-such?Q?a?= =?no-such?Q?b?=", "=?no-such?Q?a?= =?no-such?Q?b?="),
        (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
        (b"=?utf-8?B?A?= =?utf-8?Q?b?=", "=?utf-8?B?A?= b"),
        (b"=?utf-8?Q?open", "=?utf-8?Q?open"),
        (b"=?base64?Q?YQ==?=", "=?base64?Q?YQ==?="),
        (b"=?utf-8?Q?=FF?=", "\ufffd"),
        ("ö =?utf-8?Q?a?=".encode(), "ö a"),
        (b"\xff", "\ufffd"),
    ],
)
def test_decode(value: bytes, text: str) -> None:
    assert encodedword.decode(value) == text


def test_many_words_take_linear_time() -> None:
    start = time.process_time()
    assert len(encodedword.decode(b"=?utf-8?Q?abc?= " * 40_000)) == 120_001
    assert len(encodedword.decode(b"=?" * 500_000)) == 1_000_000
    assert len(encodedword.decode(b"=?a?Q?" * 150_000)) == 900_000
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("raw", "name", "text"),
    [
        (b"\xe9", b"iso-8859-1", "é"),
        (b"\xbf\xe0", b"ISO-8859-5", "Пр"),
        (b"\x80", b"windows-1252", "€"),
        ("ö".encode(), b"us-ascii", "ö"),
        ("ö".encode(), b"", "ö"),
        ("ö".encode(), b"unknown-charset", "ö"),
        (b"\xf6", b"unknown-charset", "ö"),
        (b"\xf6", b"utf-8", "\ufffd"),
        (b"\xf6", b"", "\ufffd"),
        (b"+AOQ-", b"utf-7", "ä"),
        (b'\x1b$B$"\x1b(B', b"iso-2022-jp", "あ"),
        (b"abc", b"rot13", "abc"),
        (b"abc", b"zlib", "abc"),
        (b"abc", b"\0\xff", "abc"),
        (b"\\x41", b"unicode_escape", "\\x41"),
    ],
)
def test_charset(raw: bytes, name: bytes, text: str) -> None:
    assert charset.decode(raw, name) == text
