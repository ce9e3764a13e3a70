"""LMTP: a mail server of this machine delivers into us.    RFC 2033."""

import errno

import pytest
from support.smtpsession import Client, FakeJudging, House

from mox.base import metrics
from mox.base.limits import CONNECTIONS_OPEN
from mox.smtp.reply import Reply
from mox.smtpserver.service import Delays
from mox.store.errors import QuotaExceeded


@pytest.fixture
async def relay(house: House) -> Client:
    client = await house.connect(lmtp=True, ip="127.0.0.1", delays=Delays())
    await client.say("LHLO mx.example", 250)
    return client


async def replies_of(client: Client, count: int) -> list[Reply]:
    replies = [await client.reply() for _ in range(count)]
    assert await client.line() is None
    return replies


@pytest.mark.rfc("2033 §4.2")
async def test_each_recipient_has_a_reply_of_its_own(house: House, relay: Client) -> None:
    house.store.failures["mox"] = QuotaExceeded()
    await relay.mail("other@example.org", "mox@example.org", "other@example.org")
    await relay.say("DATA", 354)
    await relay.send(b"Subject: x\r\n\r\n.\r\n")
    found = [(each.code, each.enhanced) for each in await replies_of(relay, 3)]
    assert found == [(250, "2.2.0"), (452, "4.2.2"), (250, "2.2.0")]
    assert [account for account, _, _ in house.store.messages] == ["other", "other"]
    await relay.say("MAIL FROM:<>", 250, "2.1.0")


@pytest.mark.rfc("2033 §4.2")
@pytest.mark.parametrize(
    ("content", "code"),
    [(b"a\rb\r\n", 500), (b"Received: x\r\n" * 101 + b"\r\n", 550)],
)
async def test_what_is_refused_is_refused_for_each(
    house: House, relay: Client, content: bytes, code: int
) -> None:
    for data in (b"DATA\r\n" + content + b".\r\n", b"BDAT %d LAST\r\n" % len(content) + content):
        await relay.mail("other@example.org", "mox@example.org")
        await relay.send(data)
        if data.startswith(b"DATA"):
            assert (await relay.reply()).code == 354
        found = await replies_of(relay, 2)
        assert [each.code for each in found] == [code, code]
        assert all(each.text.endswith(" (id1)") for each in found)
    assert house.store.messages == []


async def test_a_fault_of_ours_is_told_for_each(
    house: House, relay: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.store.failures["mox"] = ZeroDivisionError()
    counted: list[str] = []
    monkeypatch.setattr(metrics, "unhandled", counted.append)
    await relay.mail("mox@example.org", "other@example.org")
    await relay.send(b"DATA\r\nSubject: x\r\n\r\n.\r\n")
    assert (await relay.reply()).code == 354
    assert [each.code for each in await replies_of(relay, 2)] == [451, 250]
    assert counted


async def test_a_disk_that_is_full(
    house: House, relay: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mox.store.content import Spool

    def full(_self: Spool, _chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Spool, "write", full)
    await relay.mail("mox@example.org", "other@example.org")
    await relay.send(b"BDAT 300000 LAST\r\n" + b"x" * 300_000)
    assert [each.code for each in await replies_of(relay, 2)] == [452, 452]
    # Before the last chunk there is one reply.
    await relay.mail("mox@example.org", "other@example.org")
    await relay.send(b"BDAT 300000\r\n" + b"x" * 300_000)
    assert [each.code for each in await replies_of(relay, 1)] == [452]


@pytest.mark.rfc("3848; 2033 §5")
async def test_the_trace_says_lmtp(house: House, relay: Client) -> None:
    await relay.mail(sender="x@remote.example")
    await relay.data(b"Subject: x\r\n\r\n")
    await relay.say("RSET", 250, "2.0.0")
    prefix = house.store.messages[0][2].prefix.replace(b"\r\n\t", b" ")
    assert b"Return-Path: <x@remote.example>\r\n" in prefix
    assert (
        b"Received: from mx.example ([127.0.0.1]) by mail.example.org ([192.0.2.1]) with LMTP id id1"
        b" for <mox@example.org>;" in prefix
    )


async def test_a_local_server_is_neither_rationed_nor_slowed(house: House, relay: Client) -> None:
    for _ in range(CONNECTIONS_OPEN[0] + 1):
        await house.connect(lmtp=True, ip="127.0.0.1")
    assert len(house.open_connections) == 0
    for _ in range(12):
        await relay.mail("mox@example.org")
        await relay.data(b"a\rb\r\n", 500, "5.5.2")
        await relay.say("MAIL FROM:<>", 250, "2.1.0")
        await relay.say("RCPT TO:<nobody@example.org>", 550, "5.1.1")
        await relay.say("RCPT TO:<mox@example.org>", 250, "2.1.0")
        await relay.say("RCPT TO:<nobody@example.org>", 550, "5.1.1")
        await relay.say("RCPT TO:<other@example.org>", 250, "2.1.0")  # of the null sender, too
        await relay.say("RSET", 250, "2.0.0")
    assert house.clock.slept == []


async def test_connections_are_counted_apart(house: House) -> None:
    def count() -> float:
        name = "mox_smtpserver_connection_total"
        return metrics.REGISTRY.get_sample_value(name, {"kind": "lmtp"}) or 0.0

    before = count()
    await house.connect(lmtp=True)
    assert count() == before + 1


async def test_the_client_of_the_other_server_is_judged(house: House) -> None:
    judging = FakeJudging()
    relay = await house.connect(lmtp=True, ip="127.0.0.1", judging=judging, delays=Delays())
    reply = await relay.say("LHLO mx.example", 250)
    assert "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in reply.lines
    # Nobody is known: nobody is judged.
    await relay.mail()
    await relay.data(b"Subject: x\r\n\r\n")
    assert (judging.connections, len(house.store.messages)) == ([], 1)
    # As Postfix says it.
    for host in ("192.0.2.9", "IPV6:2001:db8::9"):
        await relay.say(f"XFORWARD NAME=a.example ADDR={host} PORT=4711", 250, "2.0.0")
        await relay.say("XFORWARD PROTO=ESMTP HELO=a.example IDENT=3F SOURCE=REMOTE", 250, "2.0.0")
        await relay.mail("mox@example.org", "other@example.org")
        await relay.say("XFORWARD HELO=b.example", 503, "5.5.1")
        await relay.say("DATA", 354)
        await relay.send(b"Subject: x\r\n\r\n.\r\n")
        assert [each.code for each in await replies_of(relay, 2)] == [250, 250]
    assert [evidence.told for evidence in judging.connections] == [
        [
            f"connected {ip}", f"ehlo [{literal}]", "ehlo a.example", "from <sender@remote.example>",
            "header", "deliver", "close",
        ]
        for ip, literal in (("192.0.2.9", "192.0.2.9"), ("2001:db8::9", "IPv6:2001:db8::9"))
    ]  # fmt: skip
    # It was of that message only.
    await relay.mail()
    await relay.data(b"Subject: x\r\n\r\n")
    assert (len(judging.connections), len(house.store.messages)) == (2, 2)
    assert house.clock.slept == []


async def test_a_client_that_the_other_server_does_not_know(house: House) -> None:
    judging = FakeJudging()
    relay = await house.connect(lmtp=True, judging=judging)
    await relay.say("LHLO mx.example", 250)
    await relay.say("XFORWARD HELO=a.example", 250, "2.0.0")
    await relay.say("XFORWARD ADDR=[UNAVAILABLE]", 250, "2.0.0")
    await relay.mail()
    await relay.data(b"Subject: x\r\n\r\n")
    assert judging.connections == []
    await relay.say("XFORWARD ADDR=192.0.2.9", 250, "2.0.0")
    await relay.say("XFORWARD ADDR=192.0.2.10", 250, "2.0.0")
    assert [each.told[-1] for each in judging.connections] == ["close", "ehlo [192.0.2.10]"]
    await relay.mail()
    await relay.say("RSET", 250, "2.0.0")
    assert judging.connections[1].told[-1] == "close"


async def test_nobody_else_may_say_who_is_judged(house: House, relay: Client) -> None:
    await relay.say("XFORWARD ADDR=192.0.2.9", 500, "5.5.1")
    stranger = await house.connect(judging=FakeJudging())
    await stranger.say("EHLO x.example", 250)
    await stranger.say("XFORWARD ADDR=192.0.2.9", 500, "5.5.1")


@pytest.mark.parametrize(("uid", "code"), [(0, 220), (107, 220), (108, 554), (None, 554)])
async def test_who_may_speak_on_the_socket(house: House, uid: int | None, code: int) -> None:
    client = await house.connect(lmtp=True, peers=frozenset({0, 107}), uid=uid, greeted=False)
    assert (await client.reply()).code == code
    assert await client.closed() == (code == 554)
