"""ENVELOPE and BODYSTRUCTURE from parsed messages."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap import structure
from mox.message.address import GROUP_END, Address
from mox.message.envelope import Envelope
from mox.message.mime import parse
from mox.message.part import Part


def crlf(text: str) -> bytes:
    return text.encode().replace(b"\n", b"\r\n")


def envelope(header: str, utf8: bool = False) -> bytes:
    found = parse(crlf(header) + b"\r\n\r\n").envelope
    assert found is not None
    return structure.format_envelope(found, utf8)


def bodystructure(text: str, utf8: bool = False) -> bytes:
    return structure.format_bodystructure(parse(crlf(text)), extended=True, utf8=utf8)


@pytest.mark.rfc("9051 §7.5.2")
def test_an_envelope() -> None:
    assert envelope(
        "Date: Mon, 7 Feb 1994 21:52:25 -0800\n"
        "Subject: afternoon meeting\n"
        "From: Fred Foobar <foobar@example.com>\n"
        "Sender: \n"
        "To: mooch@example.com\n"
        "Cc: a@x, b@y\n"
        "In-Reply-To: <1@x>\n"
        "Message-ID: <2@x>"
    ) == (
        b'("Mon, 7 Feb 1994 21:52:25 -0800" "afternoon meeting"'
        b' (("Fred Foobar" NIL "foobar" "example.com"))'
        b' (("Fred Foobar" NIL "foobar" "example.com"))'
        b' (("Fred Foobar" NIL "foobar" "example.com"))'
        b' ((NIL NIL "mooch" "example.com")) ((NIL NIL "a" "x")(NIL NIL "b" "y")) NIL'
        b' "<1@x>" "<2@x>")'
    )


def test_nothing_is_nil() -> None:
    assert structure.format_envelope(Envelope(), False) == (
        b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    )


@pytest.mark.rfc("9051 §7.5.2")
def test_groups_have_a_start_and_an_end() -> None:
    assert b'((NIL NIL "friends" NIL)(NIL NIL "m" "n")(NIL NIL NIL NIL))' in envelope(
        "To: friends: m@n;"
    )
    assert b'((NIL NIL "undisclosed recipients" NIL)(NIL NIL NIL NIL))' in envelope(
        "To: undisclosed recipients:;"
    )


@pytest.mark.rfc("9051 §9 addr-mailbox")
@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ('"a b"@localhost', b'(NIL NIL "a b" "localhost")'),
        ('""@localhost', b'(NIL NIL "" "localhost")'),
        ('"mox"@localhost', b'(NIL NIL "mox" "localhost")'),
        ('"a\\"b"@x', b'(NIL NIL "a\\"b" "x")'),
        ('"Quo \\"ted\\"" <q@x>', b'("Quo \\"ted\\"" NIL "q" "x")'),
        ("<user (c)@ (c) domain>", b'(NIL NIL "user" "domain")'),
        ("<@a,@b:u@x>", b'(NIL "@a,@b" "u" "x")'),
        ("bare", b'(NIL NIL "bare" "")'),
    ],
)
def test_addresses(address: str, shown: bytes) -> None:
    assert b" (" + shown + b") " in envelope(f"To: {address}")


@pytest.mark.rfc("6855 §3")
def test_values_are_raw_unless_the_client_wants_utf8() -> None:
    header = "Subject: =?utf-8?q?h=C3=A9?=\nFrom: =?utf-8?q?=C3=A9?= <a@b>"
    raw = envelope(header)
    assert b'"=?utf-8?q?h=C3=A9?="' in raw
    assert b'("=?utf-8?q?=C3=A9?=" NIL "a" "b")' in raw
    decoded = envelope(header, utf8=True)
    assert '"hé"'.encode() in decoded
    assert '("é" NIL "a" "b")'.encode() in decoded


def test_eight_bit_values_are_literals_before_utf8() -> None:
    assert b"{2}\r\n\xc3\xa9" in envelope("Subject: é")
    assert b'"\xc3\xa9"' in envelope("Subject: é", utf8=True)


def test_no_nul_gets_out() -> None:
    shown = structure.format_envelope(Envelope(subject=b"a\0b"), False)
    assert shown.startswith(b'(NIL "ab" ')


PLAIN = b'"TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" '


def test_a_message_without_mime() -> None:
    assert bodystructure("Subject: x\n\nhi\nyou\n") == b"(" + PLAIN + b"9 2 NIL NIL NIL NIL)"
    assert bodystructure("\n") == b"(" + PLAIN + b"0 0 NIL NIL NIL NIL)"


@pytest.mark.rfc("2046 §4.1.2")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text/plain", b'"TEXT" "PLAIN" ("CHARSET" "US-ASCII") '),
        ("text/plain; Charset=utf-8", b'"TEXT" "PLAIN" ("CHARSET" "utf-8") '),
        ("text/plain; charset*=''x", b'"TEXT" "PLAIN" ("CHARSET*" "\'\'x") '),
        (
            "text/plain; format=flowed",
            b'"TEXT" "PLAIN" ("CHARSET" "US-ASCII" "FORMAT" "flowed") ',
        ),
        ("text/html", b'"TEXT" "HTML" NIL '),
        ('image/png; name="a b"', b'"IMAGE" "PNG" ("NAME" "a b") '),
        ("nonsense", b'"APPLICATION" "OCTET-STREAM" NIL '),
    ],
)
def test_types(value: str, shown: bytes) -> None:
    found = bodystructure(f"Content-Type: {value}\n\nx\n")
    assert found.startswith(b"(" + shown + b'NIL NIL "7BIT" 3 ')


@pytest.mark.rfc("9051 §7.5.2")
def test_every_field_of_a_part() -> None:
    assert bodystructure(
        "Content-Type: application/pdf; name=x\n"
        "Content-Id: <i@d>\n"
        "Content-Description: words\n"
        "Content-Transfer-Encoding: base64\n"
        "Content-MD5: abc==\n"
        "Content-Disposition: ATTACHMENT; filename=a.pdf\n"
        "Content-Language: en, de\n"
        "Content-Location: http://x/\n"
        "\nAAAA\n"
    ) == (
        b'("APPLICATION" "PDF" ("NAME" "x") "<i@d>" "words" "BASE64" 6'
        b' "abc==" ("attachment" ("FILENAME" "a.pdf")) ("en" "de") "http://x/")'
    )


def test_a_disposition_without_parameters() -> None:
    shown = bodystructure("Content-Disposition: attachment\n\nx")
    assert b'("attachment" NIL)' in shown


MIXED = """Content-Type: multipart/mixed; boundary=b

--b

one
--b
Content-Type: message/rfc822

Subject: inner
From: a@b

body
--b--
"""


@pytest.mark.rfc("9051 §7.5.2")
def test_multiparts_and_embedded_messages() -> None:
    inner = b'(NIL "inner" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)'
    assert bodystructure(MIXED) == (
        b"((" + PLAIN + b"3 1 NIL NIL NIL NIL)"
        b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 33 '
        + inner
        + b" ("
        + PLAIN
        + b"4 1 NIL NIL NIL NIL)"
        b" 4 NIL NIL NIL NIL)"
        b' "MIXED" ("BOUNDARY" "b") NIL NIL NIL)'
    )
    assert structure.format_body(parse(crlf(MIXED)), utf8=False) == (
        b"((" + PLAIN + b"3 1)"
        b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 33 ' + inner + b" (" + PLAIN + b"4 1) 4)"
        b' "MIXED")'
    )


def test_depth_is_no_matter() -> None:
    leaf = Part(
        boundary_offset=-1, header_offset=0, body_offset=0, end_offset=0, lines=0, decoded_size=0
    )
    part = leaf
    for _ in range(5000):
        part = msgspec.structs.replace(
            leaf, media_type=b"MULTIPART", media_subtype=b"MIXED", parts=(part,)
        )
    shown = structure.format_bodystructure(part, extended=False, utf8=False)
    assert shown.startswith(b"(" * 5001)
    assert shown.endswith(b' "MIXED")' * 5000)
    while part.parts:  # taken apart from above, or its end would recurse
        part = part.parts[0]


def test_a_group_end_in_an_envelope() -> None:
    shown = structure.format_envelope(Envelope(cc=(Address(mailbox=b"g"), GROUP_END)), False)
    assert b'((NIL NIL "g" NIL)(NIL NIL NIL NIL))' in shown


_texts = st.lists(
    st.sampled_from([b"a", b" ", b"=?", b"=?utf-8?q?=C3=A4?=", b"\xc3\xa4", b"\xff", b"\0", b"\x1b$B", b'"'])
    | st.binary(max_size=3)
).map(b"".join)  # fmt: skip
_lists = st.lists(
    st.builds(Address, st.none() | _texts, st.none(), st.none() | _texts, st.none() | _texts),
    max_size=2,
).map(tuple)


@given(st.none() | _texts, _lists, st.none() | _texts)
def test_both_envelopes_are_those_of_their_clients(
    subject: bytes | None, from_: tuple[Address, ...], message_id: bytes | None
) -> None:
    one = Envelope(subject=subject, from_=from_, message_id=message_id)
    assert structure.both_envelopes(one) == (
        structure.format_envelope(one, utf8=False),
        structure.format_envelope(one, utf8=True),
    )
