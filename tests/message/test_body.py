"""Decoded content: transfer encodings, text, file names."""

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import body, lines, mime, transfer


@pytest.mark.rfc("2045 §6.8")
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"aGkK", b"hi\n"),
        (b"aGk=", b"hi"),
        (b"aA==\r\n", b"h"),
        (b" aG\r\n kK\r\n", b"hi\n"),
        (b"a-G*k(K", b"hi\n"),
        (b"aGk", b"hi"),
        (b"aGkKa", b"hi\n"),
        (b"aA==aGkK", b"h"),
        (b"=aGkK", b""),
        (b"", b""),
    ],
)
def test_base64(raw: bytes, expected: bytes) -> None:
    assert body.decode_transfer(raw, b"Base64") == expected
    assert transfer.decoded_size(raw, 0, len(raw), b"BASE64", False) == len(expected)


@pytest.mark.rfc("2045 §6.7")
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a=3Db", b"a=b"),
        (b"a=3db", b"a=b"),
        (b"a=\r\nb", b"ab"),
        (b"a=\nb", b"ab"),
        (b"a= \t\r\nb", b"ab"),
        (b"a  \r\nb \t", b"a\r\nb"),
        (b"a=XYb=", b"a=XYb"),
        (b"a==3D", b"a=="),
        (b"===41=", b"==A"),
        (b"a_b", b"a_b"),
        (b"", b""),
    ],
)
def test_quoted_printable(raw: bytes, expected: bytes) -> None:
    assert body.decode_transfer(raw, b"quoted-printable") == expected


@pytest.mark.parametrize("encoding", [b"", b"7bit", b"8BIT", b"binary", b"x-unknown"])
def test_other_encodings_are_identity(encoding: bytes) -> None:
    assert body.decode_transfer(b"a=3D\0\n", encoding) == b"a=3D\0\n"


@given(st.binary(max_size=200))
def test_what_was_encoded_decodes(data: bytes) -> None:
    assert transfer.decode(base64.encodebytes(data), b"BASE64") == data
    encoded = binascii.b2a_qp(data, quotetabs=True, istext=False)
    assert transfer.decode(encoded, b"QUOTED-PRINTABLE") == data


@given(
    st.lists(
        st.sampled_from([b"A", b"bc", b"=", b"\r\n", b"\n", b" ", b"3D", b"\xff"]), max_size=30
    ),
    st.sampled_from(transfer.ENCODINGS),
    st.booleans(),
)
def test_the_size_is_the_size(pieces: list[bytes], encoding: bytes, is_text: bool) -> None:
    raw = b"".join(pieces)
    decoded = transfer.decode(raw, encoding)
    size = transfer.decoded_size(b"xx" + raw + b"yy", 2, 2 + len(raw), encoding, is_text)
    assert size == len(lines.to_crlf(decoded) if is_text else decoded)


def test_the_size_of_large_base64() -> None:
    raw = base64.encodebytes(b"x" * 1_000_001)
    assert transfer.decoded_size(raw, 0, len(raw), b"BASE64", False) == 1_000_001
    raw = raw[:400_000] + b"=" + raw[400_000:]
    assert transfer.decoded_size(raw, 0, len(raw), b"BASE64", False) == len(
        transfer.decode(raw, b"BASE64")
    )


def leaf(*header: str, raw: bytes = b"") -> tuple[bytes, mime.Part]:
    content = "".join(line + "\r\n" for line in header).encode() + b"\r\n" + raw
    return content, mime.parse(content)


@pytest.mark.rfc("2046 §4.1.2")
def test_text_of_a_part() -> None:
    content, part = leaf(
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
        raw=b"J=F6rg\r\n",
    )
    assert body.decode_text(part, content[part.body_offset :]) == "Jörg\n"
    content, part = leaf(raw="Jörg".encode())
    assert body.decode_text(part, content[part.body_offset :]) == "Jörg"


MIXED = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\none\n\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\ntwo\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\naGkK\r\n"
    b"--b\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(b"Subject: x\r\n\r\nthree\n")
    + b"--b--\r\n"
)


def test_leaves_and_texts() -> None:
    part = mime.parse(MIXED)
    leaves = list(body.iter_leaves(part))
    assert [located.part.media_subtype for located in leaves] == [b"", b"HTML", b"PNG", b""]
    texts = list(body.iter_text_parts(part))
    assert [body.text_of(MIXED, located) for located in texts] == ["one\n", "two", "three\n"]
    assert body.text_of(MIXED, texts[2], 2) == "th"


@pytest.mark.rfc("9051 §6.4.5.1")
def test_decoded_bodies_have_their_size() -> None:
    decoded = [body.decoded(MIXED, located) for located in body.iter_leaves(mime.parse(MIXED))]
    assert decoded == [b"one\r\n", b"two", b"hi\n", b"three\r\n"]
    sizes = [located.part.decoded_size for located in body.iter_leaves(mime.parse(MIXED))]
    assert sizes == [5, 3, 3, 7]


def test_bodies_that_hold_parts_are_as_they_are() -> None:
    from mox.message.section import Located

    part = mime.parse(MIXED)
    assert body.decoded(MIXED, Located(part, ())) == MIXED[part.body_offset :]
    message = part.parts[1]
    assert body.decoded(MIXED, Located(message, ())).endswith(b"\r\n\r\ntwo")
    encoded = part.parts[3]
    assert body.decoded(MIXED, Located(encoded, ())) == b"Subject: x\r\n\r\nthree\n"
    assert encoded.decoded_size == len(b"Subject: x\r\n\r\nthree\n")


@pytest.mark.rfc("2183 §2.3")
@pytest.mark.parametrize(
    ("header", "name"),
    [
        (["Content-Disposition: attachment; filename=a.txt"], "a.txt"),
        (["Content-Disposition: attachment; filename*0=a; filename*1=.txt"], "a.txt"),
        (["Content-Disposition: attachment; filename*=utf-8''%c3%b6"], "ö"),
        (['Content-Disposition: inline; filename="=?utf-8?Q?=C3=B6?="'], "ö"),
        (["Content-Disposition: attachment", "Content-Type: image/png; name=b.png"], "b.png"),
        (["Content-Disposition: =?", "Content-Type: image/png; name=b.png"], "b.png"),
        (["Content-Type: image/png; name*=utf-8''%c3%b6"], "ö"),
        (["Content-Disposition: attachment"], ""),
        ([], ""),
    ],
)
def test_filename(header: list[str], name: str) -> None:
    assert body.filename(leaf(*header)[1]) == name
