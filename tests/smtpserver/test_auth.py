"""AUTH: mechanisms over the wire, and what failures lead to."""

import asyncio
from base64 import b64decode, b64encode
from typing import Any

import pytest
from support.smtpsession import TLS13, Client, House

from mox.base.clock import FrozenClock
from mox.base.limits import SMTP_AUTH_DISCARD, SMTP_AUTH_LINE
from mox.sasl import client as sasl
from mox.sasl.client import ScramClient
from mox.sasl.secretset import NOBODY
from mox.smtpserver.service import Delays
from mox.smtpserver.wire import TLSState

GOOD = "AUTH PLAIN AG1veEBleGFtcGxlLm9yZwBtb3htb3htb3g="
BAD = "AUTH PLAIN AG1veEBleGFtcGxlLm9yZwB3cm9uZ3dyb25n"


class Standing(FrozenClock):
    """A clock on which a sleep never ends."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


async def hello(house: House, **changes: Any) -> Client:
    client = await house.connect(submission=True, **changes)
    await client.say("EHLO x", 250)
    return client


def text(data: bytes) -> str:
    return b64encode(data).decode()


async def test_cram_md5(house: House) -> None:
    client = await hello(house)
    reply = await client.say("AUTH CRAM-MD5", 334)
    challenge = b64decode(reply.text)
    assert challenge.endswith(b".1700000000000@mail.example.org>")
    answer = sasl.cram_md5("mox@example.org", "moxmoxmox", challenge)
    await client.say(text(answer), 235, "2.7.0")


async def scram(client: Client, mechanism: str, password: str, gs2: str, channel: bytes) -> bytes:
    """The server's last message; the client's last line is not sent."""
    hash_name = "sha1" if "SHA-1" in mechanism else "sha256"
    ours = ScramClient(hash_name, "mox@example.org", password, gs2=gs2, channel=channel)
    reply = await client.say(f"AUTH {mechanism} {text(ours.first())}", 334)
    reply = await client.say(text(ours.final(b64decode(reply.text))), 334)
    return b64decode(reply.text)


@pytest.mark.rfc("5802 §5")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("binding", ["", "tls-server-end-point", "tls-unique"])
async def test_scram(house: House, mechanism: str, binding: str) -> None:
    tls = TLSState(version="TLSv1.2", cipher="x", bindings={binding: b"channel"})
    client = await hello(house, wire_tls=tls if binding else None)
    gs2 = f"p={binding},," if binding else "n,,"
    name = mechanism + ("-PLUS" if binding else "")
    last = await scram(client, name, "moxmoxmox", gs2, b"channel" if binding else b"")
    assert last.startswith(b"v=")
    await client.say("", 235, "2.7.0")


async def test_scram_failures(house: House) -> None:
    tls = TLSState(version="TLSv1.3", cipher="x", bindings={"tls-server-end-point": b"channel"})
    client = await hello(house, wire_tls=tls)
    assert await scram(client, "SCRAM-SHA-256", "wrongwrong", "n,,", b"") == b"e=invalid-proof"
    await client.say("*", 535, "5.7.8")
    gs2 = "p=tls-server-end-point,,"
    last = await scram(client, "SCRAM-SHA-256-PLUS", "moxmoxmox", gs2, b"other channel")
    assert last == b"e=channel-bindings-dont-match"
    reply = await client.say("", 535, "5.7.7")
    assert "mitm" in reply.text
    downgraded = ScramClient("sha256", "mox@example.org", "moxmoxmox", gs2="y,,")
    await client.say(f"AUTH SCRAM-SHA-256 {text(downgraded.first())}", 455, "4.7.0")


@pytest.mark.rfc("4954 §4")
async def test_long_lines_of_an_exchange(house: House) -> None:
    client = await hello(house)
    # A long nonce makes a long challenge, and it stays one line.
    first = b"n,,n=mox@example.org,r=" + b"x" * 6000
    await client.say(f"AUTH SCRAM-SHA-256 {text(first)}", 334)
    await client.say("*", 501, "5.5.0")
    await client.say("AUTH PLAIN", 334)
    await client.say("A" * SMTP_AUTH_LINE, 500, "5.5.6")
    await client.say("AUTH PLAIN " + "A" * SMTP_AUTH_LINE, 500, "5.5.6")
    await client.say("NOOP", 250, "2.0.0")
    await client.say("AUTH PLAIN", 334)
    await client.say("A" * SMTP_AUTH_DISCARD, 500, "5.5.6")
    await client.expect_end()


async def test_not_within_a_transaction(house: House) -> None:
    client = await hello(house)
    await client.say(GOOD, 235, "2.7.0")
    await client.say("MAIL FROM:<>", 250, "2.1.0")
    await client.say(GOOD, 503, "5.5.1")


async def test_a_failure_on_our_side_is_not_held_against_the_client(house: House) -> None:
    house.users.broken = True
    client = await hello(house)
    for _ in range(12):
        await client.say(GOOD, 454, "4.7.0")
    assert house.login_failures.can_add("192.0.2.7", 10)


async def test_no_secret_for_a_mechanism_is_not_held_against_the_client(house: House) -> None:
    house.users.logins["mox@example.org"].credentials = NOBODY
    client = await hello(house)
    for _ in range(3):
        assert await scram(client, "SCRAM-SHA-1", "moxmoxmox", "n,,", b"") == b"e=invalid-proof"
        await client.say("*", 535, "5.7.8")
    assert house.login_failures.can_add("192.0.2.7", 10)
    # A password that cannot be right is one, as for users who do not exist.
    await client.say(GOOD, 535, "5.7.8")
    assert not house.login_failures.can_add("192.0.2.7", 10)


async def test_after_ten_failures_new_connections_are_refused(house: House) -> None:
    client = await hello(house)
    for _ in range(10):
        await client.say(BAD, 535, "5.7.8")
    refused = await house.connect(submission=True, greeted=False)
    reply = await refused.reply()
    assert (reply.code, reply.enhanced) == (421, "4.7.0")
    await refused.expect_end()
    await house.connect(submission=False)  # mail from others goes on
    house.clock.advance(60)
    again = await hello(house)
    await again.say(GOOD, 235, "2.7.0")


async def test_after_ten_failures_nobody_goes_on_guessing_in_an_open_connection(
    house: House,
) -> None:
    clients = [await hello(house) for _ in range(3)]
    for _ in range(10):
        await clients[0].say(BAD, 535, "5.7.8")
    for client in clients:
        await client.say(GOOD, 421, "4.7.0")
        await client.expect_end()
    elsewhere = await hello(house, ip="198.51.100.7")
    await elsewhere.say(GOOD, 235, "2.7.0")


@pytest.mark.parametrize("password", ["wrongwrong", "moxmoxmox"])
async def test_a_guess_counts_also_when_the_client_leaves_early(
    house: House, password: str
) -> None:
    for _ in range(10):
        client = await hello(house)
        await scram(client, "SCRAM-SHA-256", password, "y,,", b"")
        client.wire.hang_up()
        await client.expect_end()
    assert not house.login_failures.can_add("192.0.2.7")


@pytest.mark.rfc("5802 §9; 4954 §8")
async def test_spellings_of_a_name_do_not_tell_who_is_there(house: House) -> None:
    client = await hello(house)
    for mechanism, hash_name in (("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-256", "sha256")):
        salts = set()
        for name in ("nobody@example.org", "NoBody@example.org", "nobody@EXAMPLE.ORG"):
            first = ScramClient(hash_name, name, "moxmoxmox").first()
            reply = await client.say(f"AUTH {mechanism} {text(first)}", 334)
            salts.add(b64decode(reply.text).split(b",")[1])
            await client.say("*", 501, "5.5.0")
        assert len(salts) == 1


async def test_success_resets_the_count(house: House) -> None:
    client = await hello(house)
    for _ in range(9):
        await client.say(BAD, 535, "5.7.8")
    await client.say(GOOD, 235, "2.7.0")
    client = await hello(house)
    for _ in range(10):
        await client.say(BAD, 535, "5.7.8")
    assert not house.login_failures.can_add("192.0.2.7")


async def test_three_failures_make_a_connection_slow_and_success_restores_it(house: House) -> None:
    client = await hello(house, delays=Delays())
    for _ in range(2):
        await client.say(BAD, 535, "5.7.8")
    assert house.clock.slept == []
    # The third failure: its reply comes byte by byte.
    client.wire.sent.clear()
    reply = await client.say(BAD, 535, "5.7.8")
    length = len(b"535 5.7.8 bad user/pass (id1)\r\n")
    assert reply.text == "bad user/pass (id1)"
    assert [len(part) for part in client.wire.sent] == [1] * 25 + [length - 25]
    assert house.clock.slept == [1.0] * 26  # 25 bytes, and before the next read
    # The fourth waits for nothing more yet, the fifth a second, the sixth two.
    house.clock.slept.clear()
    await client.say(BAD, 535, "5.7.8")
    await client.say(BAD, 535, "5.7.8")
    await client.say(BAD, 535, "5.7.8")
    assert house.clock.slept.count(2.0) == 1
    client.wire.sent.clear()
    await client.say(GOOD, 235, "2.7.0")
    assert client.wire.sent[-1] == b"235 2.7.0 nice\r\n"


async def test_a_delay_ends_when_the_server_stops(house: House) -> None:
    client = await hello(house, delays=Delays(), clock=Standing())
    for _ in range(2):
        await client.say(BAD, 535, "5.7.8")
    await client.send(BAD.encode() + b"\r\n")
    await asyncio.sleep(0)
    client.wire.stop()
    reply = await client.reply()
    assert reply.code == 535
    assert (await client.reply()).code == 421
    await client.expect_end()


async def test_mechanisms_with_binding_are_announced_where_they_work(house: House) -> None:
    tls = TLSState(version="TLSv1.3", cipher="x", bindings={"tls-server-end-point": b"channel"})
    client = await house.connect(submission=True, wire_tls=tls)
    reply = await client.say("EHLO x", 250)
    assert (
        "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN"
    ) in reply.lines
    client = await house.connect(submission=True, wire_tls=TLS13)
    reply = await client.say("EHLO x", 250)
    assert "AUTH SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN" in reply.lines
