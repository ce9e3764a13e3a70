"""Mail from our users."""

import pytest
from support.smtpsession import TLS13, Client, House


async def submit(client: Client, content: bytes, code: int = 250, enhanced: str = "2.2.0") -> None:
    await client.mail("other@example.org", sender="mox@example.org")
    await client.data(content, code, enhanced)


@pytest.mark.rfc("6409 §8")
async def test_a_submitted_message_gets_what_it_lacks(house: House, user: Client) -> None:
    await submit(user, b"From: Mox <mox@example.org>\r\nSubject: x\r\n\r\nbody\r\n")
    account, _, message = house.store.messages[0]
    assert account == "other"
    fields = message.prefix.replace(b"\r\n\t", b" ").split(b"\r\n")
    assert fields[:4] == [
        b"Delivered-To: other@example.org",
        b"Return-Path: <mox@example.org>",
        b"Authentication-Results: mail.example.org; auth=pass smtp.mailfrom=mox@example.org",
        # Where the user is, nobody is told.
        b"Received: from mail.example.org by mail.example.org ([192.0.2.1]) via tcp with ESMTPSA"
        b" id id1 (TLS1.3 TLS_AES_256_GCM_SHA384) for <other@example.org>;"
        b" 14 Nov 2023 22:13:20 +0000",
    ]
    assert fields[4].startswith(b"Message-Id: <")
    assert fields[4].endswith(b"@mail.example.org>")
    assert fields[5] == b"Date: 14 Nov 2023 22:13:20 +0000"
    assert message.facts.message_id == fields[4][13:-1].decode().lower()


async def test_what_is_there_is_left_alone(house: House, user: Client) -> None:
    content = (
        b"From: mox@example.org\r\nMessage-ID: <a@b>\r\nDate: 1 Jan 2024 00:00:00 +0000\r\n"
        b"Bcc: hidden@example.org\r\n\r\n"
    )
    await submit(user, content)
    message = house.store.messages[0][2]
    assert message.content == content
    assert b"Message-Id" not in message.prefix
    assert b"\r\nDate" not in message.prefix


@pytest.mark.parametrize(
    ("content", "code", "enhanced"),
    [
        (b"From: mox@example.org\r\n", 554, "5.6.0"),  # no empty line
        (b"Subject: x\r\n\r\n", 550, "5.6.0"),
        (b"From: mox@example.org, mox@localhost\r\n\r\n", 550, "5.6.0"),
        (b"From: mox@example.org\r\nFrom: mox@example.org\r\n\r\n", 550, "5.6.0"),
        (b"From: nonsense\r\n\r\n", 550, "5.6.0"),
        (b"From: <mox@exa mple.org>\r\n\r\n", 550, "5.6.0"),
        (b"From: \xff@example.org\r\n\r\n", 550, "5.6.0"),
        (b"From: <>\r\n\r\n", 550, "5.6.0"),
        (b"From: (" + b"x" * 20_000 + b") mox@example.org\r\n\r\n", 550, "5.6.0"),
        # Some show the author of the first one, some of the second.
        (b"From : other@example.org\r\nFrom: mox@example.org\r\n\r\n", 550, "5.6.0"),
        (b"From: mox@example.org\r\nFROM\t:\r\n other@example.org\r\n\r\n", 550, "5.6.0"),
        (b"From: other@example.org\r\n\r\n", 550, "5.7.1"),
        (b"From: mox@elsewhere.example\r\n\r\n", 550, "5.7.1"),
        (b"From: mox@off.example\r\n\r\n", 451, "4.3.0"),
    ],
)
async def test_refused_messages(
    house: House, user: Client, content: bytes, code: int, enhanced: str
) -> None:
    await submit(user, content, code, enhanced)
    assert house.store.messages == []


@pytest.mark.parametrize(
    "author",
    [
        'Mox "the" <mox@example.org>',
        "=?utf-8?q?M=C3=B6x?= <MOX+news@Example.ORG>",
        '"a b"@localhost',
        '""@localhost',
        "M\u00f6x <m\u00f3x@example.org>",
        "mox@b\u00fccher.example",
    ],
)
async def test_authors(house: House, user: Client, author: str) -> None:
    await submit(user, f"From: {author}\r\n\r\n".encode())
    assert len(house.store.messages) == 1


async def test_utf8_in_a_message_needs_no_announcement(house: House, user: Client) -> None:
    content = (
        "From: mox@example.org\r\nContent-Disposition: attachment; filename=\u00fc.txt\r\n\r\n"
    ).encode()
    await submit(user, content)
    assert house.store.messages[0][2].content == content


async def test_the_null_sender(house: House, user: Client) -> None:
    await user.mail("other@example.org", "mox@example.org", sender="")
    await user.data(b"From: mox@example.org\r\n\r\n")
    assert len(house.store.messages) == 2
    prefix = house.store.messages[0][2].prefix
    assert b"Return-Path: <>\r\nAuthentication-Results: mail.example.org; auth=pass\r\n" in prefix


async def test_a_failure_is_a_reply(house: House, user: Client) -> None:
    from mox.store.errors import QuotaExceeded

    house.store.failures["other"] = QuotaExceeded()
    await submit(user, b"From: mox@example.org\r\n\r\n", 452, "4.2.2")


async def test_localserve_takes_everything(house: House) -> None:
    house.local()
    user = await house.connect(submission=True, wire_tls=TLS13, special_localparts=True)
    await user.say("EHLO x", 250)
    await user.say("AUTH PLAIN AG1veEBleGFtcGxlLm9yZwBtb3htb3htb3g=", 235, "2.7.0")
    await user.mail("a@elsewhere.example", "b@[192.0.2.9]", sender="mox@example.org")
    await user.data(b"From: mox@example.org\r\n\r\n")
    assert [account for account, _, _ in house.store.messages] == ["mox", "mox"]
    await user.mail("somebody-554@elsewhere.example", sender="mox@example.org")
    await user.data(b"From: mox@example.org\r\n\r\n", 554, "5.3.0")


async def test_a_sender_cannot_end_the_line_of_a_field(house: House, user: Client) -> None:
    sender = '"mox+\x85Subject:\u2028y"@example.org'
    await user.say(f"MAIL FROM:<{sender}> SMTPUTF8", 250, "2.1.0")
    await user.say("RCPT TO:<other@example.org>", 250, "2.1.0")
    await user.data(b"From: mox@example.org\r\n\r\n")
    lines = house.store.messages[0][2].prefix.decode().splitlines()
    assert not [line for line in lines if line.startswith(("Subject", "y"))]
    assert 'smtp.mailfrom="mox+?Subject:?y"@example.org' in "".join(lines)
