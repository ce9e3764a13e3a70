"""Limits, time, the end of connections."""

import errno

import pytest
from support.smtpsession import Client, FakeStore, House

from mox.base import metrics
from mox.base.limits import SMTP_LINE
from mox.smtp import replies
from mox.smtp.errors import CommandError
from mox.smtpserver.errors import Rejected, is_bug, reply_to
from mox.smtpserver.service import Delays
from mox.smtpserver.special import refusal_for
from mox.store.content import NewMessage
from mox.store.errors import DiskFull, MailboxMissing, QuotaExceeded


async def refusal(house: House, *, ip: str = "192.0.2.7") -> tuple[int, str]:
    client = await house.connect(greeted=False, ip=ip)
    reply = await client.reply()
    if reply.code != 220:
        await client.expect_end()
    return reply.code, reply.enhanced


async def test_connections_of_a_minute_are_limited(house: House) -> None:
    for _ in range(300):
        client = await house.connect()
        client.wire.hang_up()
        await client.expect_end()
    house.clients.clear()
    assert await refusal(house) == (421, "4.7.0")
    assert await refusal(house, ip="198.51.100.1") == (220, "")
    house.clock.advance(60)
    assert await refusal(house) == (220, "")


async def test_open_connections_are_limited(house: House) -> None:
    clients = [await house.connect() for _ in range(30)]
    assert await refusal(house) == (421, "4.7.0")
    await clients[0].say("QUIT", 221, "2.0.0")
    await clients[0].expect_end()
    assert await refusal(house) == (220, "")


async def test_lines_have_a_limit(house: House, client: Client) -> None:
    await client.say("NOOP " + "x" * (SMTP_LINE - 7), 250, "2.0.0")
    await client.send(b"x" * (SMTP_LINE + 1))
    reply = await client.reply()
    assert (reply.code, reply.enhanced) == (500, "5.5.2")
    await client.expect_end()


async def test_silence_ends_the_connection(client: Client) -> None:
    client.wire.time_out()
    reply = await client.reply()
    assert (reply.code, reply.enhanced) == (421, "4.4.2")
    await client.expect_end()


async def test_a_line_that_comes_byte_by_byte_has_five_minutes(
    house: House, client: Client
) -> None:
    for byte in b"NOOP":
        await client.send(bytes([byte]))
        await client.settle()
        house.clock.advance(74)
    await client.say("", 250, "2.0.0")  # after 296 s
    for byte in b"NOOP ":
        await client.send(bytes([byte]))
        await client.settle()
        house.clock.advance(75)
    reply = await client.reply()
    assert (reply.code, reply.enhanced) == (421, "4.4.2")
    await client.expect_end()


async def test_a_response_of_an_exchange_that_comes_byte_by_byte(house: House) -> None:
    client = await house.connect(submission=True)
    await client.say("EHLO x", 250)
    await client.say("AUTH PLAIN", 334)
    for _ in range(5):
        await client.send(b"A")
        await client.settle()
        house.clock.advance(75)
    await client.send(b"A")
    reply = await client.reply()
    assert (reply.code, reply.enhanced) == (421, "4.4.2")
    await client.expect_end()


async def test_a_message_takes_at_most_half_an_hour(house: House, client: Client) -> None:
    await client.mail()
    await client.say("DATA", 354)
    await client.send(b"Subject: x\r\n")
    await client.settle()
    house.clock.advance(30 * 60)
    await client.send(b"more\r\n")
    reply = await client.reply()
    assert (reply.code, reply.enhanced) == (421, "4.4.2")
    await client.expect_end()


async def test_asking_for_addresses_is_slow_also_behind_a_good_one(house: House) -> None:
    client = await house.connect(delays=Delays())
    await client.say("EHLO client.example", 250)
    await client.mail("postmaster")
    house.clock.slept.clear()
    await client.say("RCPT TO:<nobody@example.org>", 550, "5.1.1")
    assert house.clock.slept == [5.0]
    await client.say("RCPT TO:<mox@example.org>", 250, "2.1.0")
    assert house.clock.slept == [5.0]


async def test_stopping_while_idle_and_while_busy(house: House, client: Client) -> None:
    busy = await house.connect()
    await busy.say("EHLO client.example", 250)
    await busy.mail()
    await busy.say("DATA", 354)
    for each in (client, busy):
        each.wire.stop()
    assert (await client.reply()).code == 421
    await client.expect_end()
    await busy.say(b"Subject: x\r\n\r\n.", 250, "2.2.0")  # what was begun is finished
    assert (await busy.reply()).enhanced == "4.3.2"
    await busy.expect_end()
    late = await house.connect(greeted=False)
    late.wire.stop()
    assert (await late.reply()).code == 421


async def test_unknown_recipients_only_wait(house: House) -> None:
    client = await house.connect(delays=Delays())
    await client.say("EHLO client.example", 250)
    await client.mail("nobody@example.org")
    await client.data(b"\r\n", 550, "5.1.1")
    assert house.clock.slept == [5.0]


async def test_the_special_timeout(house: House) -> None:
    house.local()
    client = await house.connect(special_localparts=True)
    await client.say("EHLO client.example", 250)
    await client.say("MAIL FROM:<mailfrom-timeout@x>", 451, "4.3.0")
    assert house.clock.slept == [3600.0]


@pytest.mark.parametrize(
    ("localpart", "code"),
    [
        ("a-400", 400),
        ("599", 599),
        ("x600", 0),
        ("x399", 0),
        ("x40", 0),
        ("550x", 0),
        ("x\u0664" * 3, 0),
    ],
)
def test_codes_in_local_parts(localpart: str, code: int) -> None:
    found = refusal_for(localpart)
    assert (found.code if found else 0) == code


async def test_an_unexpected_error_is_counted_and_answered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(FakeStore):
        async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
            raise ZeroDivisionError

    client = await house.connect(deliverer=Broken())
    await client.say("EHLO client.example", 250)
    await client.mail()
    counted: list[str] = []
    monkeypatch.setattr(metrics, "unhandled", counted.append)
    await client.data(b"\r\n", 451, "4.3.0")
    assert counted == ["smtpserver"]
    await client.say("NOOP", 250, "2.0.0")


async def test_commands_are_counted_with_their_codes(house: House) -> None:
    def count(cmd: str, code: str, enhanced: str) -> float:
        value = metrics.REGISTRY.get_sample_value(
            "mox_smtpserver_command_duration_seconds_count",
            {"kind": "deliver", "cmd": cmd, "code": code, "ecode": enhanced},
        )
        return value or 0.0

    before = count("(unknown)", "500", "5.5.1"), count("noop", "250", "2.0.0")
    client = await house.connect()
    await client.say("NOOP", 250, "2.0.0")
    await client.say("X" * 500, 500, "5.5.1")
    assert (count("(unknown)", "500", "5.5.1"), count("noop", "250", "2.0.0")) == (
        before[0] + 1,
        before[1] + 1,
    )


async def test_ten_thousand_commands_in_one_packet(client: Client) -> None:
    await client.send(b"NOOP\r\n" * 10_000)
    for _ in range(10_000):
        assert (await client.line()) == b"250 2.0.0 alrighty"
    # Others had a turn, and the replies did not pile up.
    assert max(len(part) for part in client.wire.sent) < 4096


async def test_a_failed_handshake_is_counted(house: House) -> None:
    from support.smtpsession import BoundTLS

    def count() -> float:
        name = "mox_smtpserver_delivery_starttls_errors_total"
        return metrics.REGISTRY.get_sample_value(name, {"reason": "nottls"}) or 0.0

    before = count()
    client = await house.connect(tls=BoundTLS())
    await client.say("EHLO client.example", 250)
    client.wire.handshake_fails = True
    await client.say("STARTTLS", 220, "2.0.0")
    await client.expect_end()
    assert count() == before + 1


@pytest.mark.parametrize(
    ("error", "reply", "bug"),
    [
        (QuotaExceeded(), replies.OVER_QUOTA, False),
        (DiskFull(), replies.STORAGE_FULL, False),
        (OSError(errno.EDQUOT, ""), replies.STORAGE_FULL, False),
        (OSError(errno.EIO, ""), replies.PROCESSING, False),
        (MailboxMissing("secret name"), replies.PROCESSING, False),
        (Rejected(replies.LOOP), replies.LOOP, False),
        (CommandError(replies.SYNTAX), replies.SYNTAX, False),
        (KeyError("x"), replies.PROCESSING, True),
    ],
)
def test_errors_as_replies(error: Exception, reply: object, bug: bool) -> None:
    assert reply_to(error) == reply
    assert is_bug(error) is bug
