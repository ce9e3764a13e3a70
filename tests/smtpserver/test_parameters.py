"""What MAIL and RCPT say is kept for those who carry the message on."""

import pytest
from support.smtpsession import TLS13, Client, House

from mox.base.clock import FrozenClock
from mox.smtp.params import Body, Notify, Return
from mox.smtpserver.transaction import Transaction


def transaction_of(client: Client) -> Transaction:
    transaction = client.session.transaction
    assert transaction is not None
    return transaction


@pytest.mark.rfc("3461 §4; §5.2.1")
async def test_notifications(client: Client) -> None:
    await client.say("MAIL FROM:<a@remote.example> RET=FULL ENVID=A+2Bb", 250, "2.1.0")
    await client.say(
        "RCPT TO:<mox@example.org> ORCPT=rfc822;A+2Bb@C NOTIFY=delay,SUCCESS", 250, "2.1.0"
    )
    await client.say("RCPT TO:<other@example.org>", 250, "2.1.0")
    transaction = transaction_of(client)
    assert (transaction.ret, transaction.envid) == (Return.FULL, "A+2Bb")
    first, second = transaction.recipients
    assert first.notify == {Notify.DELAY, Notify.SUCCESS}
    assert first.orcpt == "rfc822;A+2Bb@C"
    assert (second.notify, second.orcpt) == (frozenset(), "")


@pytest.mark.rfc("8689 §4")
async def test_requiretls(house: House) -> None:
    client = await house.connect(wire_tls=TLS13)
    await client.say("EHLO client.example", 250)
    await client.say("MAIL FROM:<a@remote.example>", 250, "2.1.0")
    assert transaction_of(client).require_tls is None
    await client.say("RSET", 250, "2.0.0")
    await client.say("MAIL FROM:<a@remote.example> REQUIRETLS BODY=8BITMIME", 250, "2.1.0")
    transaction = transaction_of(client)
    assert transaction.require_tls is True
    assert transaction.body is Body.EIGHT_BIT
    await client.say("RCPT TO:<mox@example.org>", 250, "2.1.0")
    await client.data(b"Subject: x\r\n\r\n")
    prefix = house.store.messages[0][2].prefix.replace(b"\r\n\t", b" ")
    assert b" with ESMTPS (requiretls) id id1 " in prefix


@pytest.mark.rfc("4865 §4")
async def test_holding(house: House) -> None:
    client = await house.connect(submission=True, wire_tls=TLS13, future_release=True)
    await client.say("EHLO x", 250)
    await client.say("AUTH PLAIN AG1veEBleGFtcGxlLm9yZwBtb3htb3htb3g=", 235, "2.7.0")
    now_ms = FrozenClock().now_ms()
    for parameter, release_ms in (
        ("", None),
        (" HOLDFOR=1", now_ms + 1000),
        (" HOLDUNTIL=2023-11-14T22:13:20Z", now_ms),
        (" HOLDUNTIL=2023-11-15T00:00:00.5Z", 1_700_006_400_500),
    ):
        await client.say(f"MAIL FROM:<mox@example.org>{parameter}", 250, "2.1.0")
        assert transaction_of(client).release_ms == release_ms
        await client.say("RSET", 250, "2.0.0")


async def test_nothing_is_held_of_strangers(house: House) -> None:
    client = await house.connect(future_release=True)
    reply = await client.say("EHLO client.example", 250)
    assert not any(line.startswith("FUTURERELEASE") for line in reply.lines)
    await client.say("MAIL FROM:<a@remote.example> HOLDFOR=1", 555, "5.3.3")


@pytest.mark.parametrize(
    ("sender", "recipient", "content", "needed"),
    [
        ("mox@example.org", "other@example.org", b"plain", False),
        # Domains have A-labels: their U-labels need nothing.
        ("mox@b\u00fccher.example", "mox@xn--bcher-kva.example", b"plain", False),
        ("m\u00f3x@example.org", "other@example.org", b"plain", True),
        ("mox@example.org", "m\u00f3x@example.org", b"plain", True),
        ("mox@example.org", "other@example.org", b"8-bit text \xc3\xa9", False),
        ("mox@example.org", "other@example.org", b"Subject: \xc3\xa9\r\n\r\ntext", True),
        (
            "mox@example.org",
            "other@example.org",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext \xc3\xa9\r\n--b\r\n"
            b"Content-Disposition: attachment; filename=\xc3\xa9.txt\r\n\r\nx\r\n--b--",
            True,
        ),
        (
            "mox@example.org",
            "other@example.org",
            b"Content-Type: message/rfc822\r\n\r\nSubject: \xc3\xa9\r\n\r\ntext",
            True,
        ),
        (
            "mox@example.org",
            "other@example.org",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext \xc3\xa9\r\n--b--",
            False,
        ),
    ],
)
@pytest.mark.parametrize("size", [0, 1_500_000])
@pytest.mark.rfc("6531 §3.1")
async def test_smtputf8_is_what_the_message_needs(
    house: House, user: Client, sender: str, recipient: str, content: bytes, needed: bool, size: int
) -> None:
    header, _, body = (
        content.rpartition(b"\r\n\r\n") if b"\r\n\r\n" in content else (b"", b"", content)
    )
    raw = (
        b"From: mox@example.org\r\n"
        + (header + b"\r\n\r\n" if header else b"\r\n")
        + body
        + b"\r\n"
    )
    raw += b"0123456789abcd\r\n" * (size // 16)
    said = [True] if needed and not (sender + recipient).isascii() else [True, False]
    if "\u00fc" in sender:
        said = [True]
    for extension in said:
        utf8 = " SMTPUTF8" if extension else ""
        await user.say(f"MAIL FROM:<{sender}>{utf8}", 250, "2.1.0")
        await user.say(f"RCPT TO:<{recipient}>", 250, "2.1.0")
        transaction = transaction_of(user)
        assert transaction.smtputf8 is extension
        await user.say("DATA", 354)
        await user.say(raw + b".", 250, "2.2.0")
        assert transaction.smtputf8 is needed
        prefix = house.store.messages[-1][2].prefix
        assert prefix.isascii() or needed
        assert (b"UTF8SMTPSA" in prefix) is needed


async def test_of_strangers_it_can_only_become_less(house: House, client: Client) -> None:
    raw = b"Subject: \xc3\xa9\r\n\r\n"
    for extension, word in ((" SMTPUTF8", b"with UTF8SMTP id"), ("", b"with ESMTP id")):
        await client.say(f"MAIL FROM:<a@remote.example>{extension}", 250, "2.1.0")
        await client.say("RCPT TO:<mox@example.org>", 250, "2.1.0")
        await client.data(raw)
        assert word in house.store.messages[-1][2].prefix.replace(b"\r\n\t", b" ")
    await client.say("MAIL FROM:<a@remote.example> SMTPUTF8", 250, "2.1.0")
    await client.say("RCPT TO:<mox@example.org>", 250, "2.1.0")
    await client.data(b"Subject: x\r\n\r\n")
    assert b"with ESMTP id" in house.store.messages[-1][2].prefix.replace(b"\r\n\t", b" ")
