"""Envelopes, raw and decoded; the rule of the one author."""

import pytest

from mox.message import envelope, mime
from mox.message.address import GROUP_END, Address
from mox.message.envelope import BadFrom, Envelope


def envelope_of(*lines: str) -> Envelope:
    found = mime.parse("\r\n".join((*lines, "", "")).encode()).envelope
    assert found is not None
    return found


@pytest.mark.rfc("9051 §7.5.2")
def test_raw_values() -> None:
    found = envelope_of(
        "Date: Tue, 1 Jul 2025 10:00:00 +0200",
        "SUBJECT: =?utf-8?Q?=C3=B6?=",
        "\t folded ",
        "From: =?utf-8?Q?J=C3=B6rg?= <a@b>",
        "To: g: c@d;",
        'To: ""@x',
        "Cc: broken, e@f",
        "Message-ID: <1@x>",
        "In-Reply-To: <0@x> <y>",
        "Subject: second",
    )
    assert found == Envelope(
        date=b"Tue, 1 Jul 2025 10:00:00 +0200",
        subject=b"=?utf-8?Q?=C3=B6?= folded",
        from_=(Address(b"=?utf-8?Q?J=C3=B6rg?=", None, b"a", b"b"),),
        to=(
            Address(mailbox=b"g"),
            Address(mailbox=b"c", host=b"d"),
            GROUP_END,
            Address(mailbox=b'""', host=b"x"),
        ),
        cc=(Address(mailbox=b"broken", host=b""), Address(mailbox=b"e", host=b"f")),
        message_id=b"<1@x>",
        in_reply_to=b"<0@x> <y>",
    )
    assert found.sender_or_from == found.from_
    assert found.reply_to_or_from == found.from_


def test_present_but_empty() -> None:
    found = envelope_of("Subject:", "From:", "Sender: a@b", "Reply-To: c@d")
    assert (found.subject, found.date, found.from_) == (b"", None, ())
    assert found.sender_or_from == (Address(mailbox=b"a", host=b"b"),)
    assert found.reply_to_or_from == (Address(mailbox=b"c", host=b"d"),)
    assert envelope_of("X: y") == Envelope()


@pytest.mark.rfc("6855 §3")
def test_decoded_values_are_utf8() -> None:
    found = envelope.decoded(
        envelope_of(
            "Subject: =?utf-8?Q?=C3=B6?=",
            "From: =?iso-8859-1?Q?J=F6rg?= <a@b>, c@d",
            "To: =?utf-8?Q?=C3=A4?=: e@f;",
        )
    )
    assert found.subject == "ö".encode()
    assert found.from_[0].name == "Jörg".encode()
    assert found.from_[1].name is None
    assert found.to[0] == Address(mailbox="ä".encode())
    assert found.to[2] == GROUP_END
    assert envelope.decoded(Envelope()) == Envelope()


@pytest.mark.rfc("7489 §6.6.1")
@pytest.mark.parametrize(
    "value",
    ["a@b.example", "A <a@b.example> (c)", '" "@x', "g: a@b;", "a@exämple.org"],
)
def test_one_author(value: str) -> None:
    assert envelope.from_address(f"To: x@y\r\nFrom: {value}\r\n\r\n".encode()).host


@pytest.mark.parametrize(
    "block",
    [
        "To: a@b",
        "From: a@b\r\nFrom: a@b",
        "From: a@b, c@d",
        "From:",
        "From: g:;",
        "From: root",
        "From: a@b <c@d>",
        "From: A <a@b> x",
        "From: <a@[192.0.2.1]>",
        "From: a@-b",
        "From: a@b..c",
        "From: a@b.",
        "From: a@" + "x" * 64,
        "From: a@" + "x." * 130 + "x",
        "From: " + "x" * 129 + "@y",
        "From : a@b",
    ],
)
def test_no_or_several_authors(block: str) -> None:
    with pytest.raises(BadFrom):
        envelope.from_address((block + "\r\n\r\n").encode())
