"""Content-Type, Content-Disposition and their parameters.    RFC 2045 §5.1, RFC 2231."""

import pytest

from mox.base import limits
from mox.message import parameters
from mox.message.parameters import ContentType, parse_content_type, parse_parameters, parse_value

OCTETS = ContentType(b"APPLICATION", b"OCTET-STREAM", (), True)


def plain(*params: tuple[bytes, bytes], faults: bool = False) -> ContentType:
    return ContentType(b"TEXT", b"PLAIN", params, faults)


@pytest.mark.rfc("2045 §5.1")
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"text/plain", plain()),
        (b" Text/PLAIN\r\n", plain()),
        (b"text / plain", plain()),
        (b"text/plain;", plain()),
        (b"text/plain; ", plain()),
        (b"text/plain; charset=us-ascii (Plain text)", plain((b"charset", b"us-ascii"))),
        (b'text/plain; CHARSET="us-ascii"', plain((b"charset", b"us-ascii"))),
        (b'text/plain;a="b;\\"c\\\\"; d=e', plain((b"a", b'b;"c\\'), (b"d", b"e"))),
        (b"text/plain;\r\n\ta=b;\r\n c=d", plain((b"a", b"b"), (b"c", b"d"))),
        (b'text/plain; a=""', plain((b"a", b""))),
        # leniently: what can be told is kept
        (b"text/plain;;", plain(faults=True)),
        (b"text/plain;; a=b", plain((b"a", b"b"), faults=True)),
        (b"text/plain; a", plain(faults=True)),
        (b"text/plain; a=b; a=c", plain((b"a", b"b"), faults=True)),
        (b"text/plain; =x; a=b", plain((b"a", b"b"), faults=True)),
        (b"text/plain; a=b c.pdf", plain((b"a", b"b c.pdf"), faults=True)),
        (b"text/plain; a==_x/y; b=c", plain((b"a", b"=_x/y"), (b"b", b"c"), faults=True)),
        (b'text/plain; a="b', plain((b"a", b"b"), faults=True)),
        (b'text/plain; a="b" c; d=e', plain((b"a", b"b"), (b"d", b"e"), faults=True)),
        (b"text/plain charset=x", plain(faults=True)),
        # no type
        (b"", OCTETS),
        (b"text", OCTETS),
        (b"text/", OCTETS),
        (b"/plain", OCTETS),
        (b"text/plain/x", OCTETS),
        (b"not a content type;;", OCTETS),
        ("text/plän".encode(), OCTETS),
    ],
)
def test_content_type(raw: bytes, expected: ContentType) -> None:
    assert parse_content_type(raw) == expected


@pytest.mark.rfc("2231 §3, §4, §4.1, §6")
@pytest.mark.parametrize(
    ("raw", "expected", "faults"),
    [
        (b'url*0="ftp://"; url*1="x/y"', ((b"url", b"ftp://x/y"),), False),
        (b"a*1=y; b=c; a*0=x", ((b"a", b"xy"), (b"b", b"c")), False),
        (b"t*=us-ascii'en'This%20is", ((b"t*", b"us-ascii'en'This%20is"),), False),
        (
            b"t*0*=us-ascii'en'This%20; t*1*=%2A%2A; t*2=\"isn't 5%\"",
            ((b"t*", b"us-ascii'en'This%20%2A%2Aisn't 5%25"),),
            False,
        ),
        (b"a*0=x; a*2=z", ((b"a", b"x"),), False),
        (b"a*1=y", (), True),
        (b"a=plain; a*0=x", ((b"a", b"plain"),), True),
        (b"a*01=x", ((b"a*01", b"x"),), False),
        (b"*0=x", ((b"*0", b"x"),), False),
    ],
)
def test_continuations(raw: bytes, expected: tuple[tuple[bytes, bytes], ...], faults: bool) -> None:
    assert parse_parameters(raw) == (expected, faults)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"n*=utf-8''%c3%b6.txt", "ö.txt"),
        (b"n*0*=utf-8''%c3; n*1*=%b6; n*2=.txt", "ö.txt"),
        (b"n*=iso-8859-1'de'%F6", "ö"),
        (b"n*=nonsense%41", "nonsenseA"),
        (b"n=plain", "plain"),
        (b"n=plain; n*=utf-8''%c3%b6", "ö"),
        (b'n="=?utf-8?Q?=C3=B6.txt?="', "ö.txt"),
        (b'n="a =?utf-8?Q?=C3=B6?="', "a ö"),
        ("n=ö".encode(), "ö"),
        (b"m=x", None),
    ],
)
def test_text(raw: bytes, text: str | None) -> None:
    assert parameters.text(parse_parameters(raw)[0], b"n") == text


def test_names_given_as_values() -> None:
    params = parse_parameters(b"boundary*=us-ascii''%62; charset=x; charset*=us-ascii''y")[0]
    assert parameters.value(params, b"boundary") == b"b"
    assert parameters.value(params, b"charset") == b"x"
    assert parameters.value(params, b"name") is None


@pytest.mark.rfc("2183 §2")
def test_a_disposition() -> None:
    found = parse_value(b"ATTACHMENT (x) ; filename=a.txt")
    assert found == (b"attachment", ((b"filename", b"a.txt"),), False)
    assert parse_value(b"inline").value == b"inline"
    assert parse_value(b"").value == b""
    assert parse_value(b"=bad; a=b") == (b"", (), True)
    assert parse_value(b"attachment x; a=b") == (b"attachment", ((b"a", b"b"),), True)


def test_parameters_end_at_the_limit() -> None:
    raw = b"; ".join(b"n%d=x" % n for n in range(limits.PARAMETERS + 5))
    found, faults = parse_parameters(raw)
    assert len(found) == limits.PARAMETERS
    assert faults


@pytest.mark.rfc("5322 §3.2.2")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a (b (c) \\) d) e", b"a  e"),
        (b'"(a)" (b)', b'"(a)" '),
        (b"a (b", b"a "),
        (b"a) b (c)", b"a) b "),
        (b"none", b"none"),
    ],
)
def test_comments(text: bytes, expected: bytes) -> None:
    assert parameters.without_comments(text) == expected
