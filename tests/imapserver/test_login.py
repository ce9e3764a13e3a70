"""Logging in: mechanisms, what is counted, what gets slow."""

import secrets
from base64 import b64decode, b64encode

import pytest
from support.imaphouse import PASSWORD, USER, Client, House, PlainCredentials

from mox.base.limits import LOGIN_FAILURES_MINUTE
from mox.imapserver.service import Delays, Listener, Login
from mox.sasl.client import ScramClient, cram_md5
from mox.sasl.secretset import Cost, SecretSet, derive


@pytest.fixture(scope="module")
def stored() -> SecretSet:
    return derive(PASSWORD, secrets.token_bytes, cost=Cost(passes=1, memory_kib=8))


@pytest.fixture
def strong(house: House, stored: SecretSet) -> House:
    """With everything stored that mechanisms want."""
    house.users.logins[USER] = Login(account_name="mox", credentials=stored)
    return house


async def last(client: Client, line: bytes) -> bytes:
    return (await client.command(line))[-1]


async def scram(client: Client, scheme: ScramClient, name: bytes, *, initial: bool) -> bytes:
    """The tagged reply."""
    first = b64encode(scheme.first())
    if initial:
        challenge = await last(client, b"s AUTHENTICATE %b %b" % (name, first))
    else:
        assert await last(client, b"s AUTHENTICATE %b" % name) == b"+ "
        challenge = await last(client, first)
    if not challenge.startswith(b"+ "):
        return challenge
    final = scheme.final(b64decode(challenge[2:]))
    verdict = await last(client, b64encode(final))
    if not verdict.startswith(b"+ "):
        return verdict
    if not b64decode(verdict[2:]).startswith(b"e="):
        scheme.check(b64decode(verdict[2:]))
        return await last(client, b"")
    return await last(client, b"*")


@pytest.mark.rfc("5802 §5; 7677 §3; 4959 §3")
@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize(
    ("name", "hash_name"), [(b"SCRAM-SHA-256", "sha256"), (b"scram-sha-1", "sha1")]
)
async def test_scram(strong: House, name: bytes, hash_name: str, initial: bool) -> None:
    client = await strong.connect(login=False)
    scheme = ScramClient(hash_name, USER, PASSWORD)
    reply = await scram(client, scheme, name, initial=initial)
    assert reply.startswith(b"s OK [CAPABILITY "), reply
    assert (await client.command(b"a SELECT Inbox"))[-1].startswith(b"a OK [READ-WRITE]")


@pytest.mark.rfc("5802 §7")
async def test_scram_with_a_wrong_password(strong: House) -> None:
    client = await strong.connect(login=False)
    scheme = ScramClient("sha256", USER, "wrongwrong")
    reply = await scram(client, scheme, b"SCRAM-SHA-256", initial=True)
    assert reply == b"s NO [AUTHENTICATIONFAILED] login failed"
    assert (await last(client, b"a NOOP")).startswith(b"a OK")


@pytest.mark.rfc("5929 §4.1; 5802 §6")
async def test_channel_binding_is_offered_and_checked_where_there_is_one(strong: House) -> None:
    strong.listener = Listener(name="test")
    client = await strong.connect(login=False, encrypted=True)
    client.wire.bound = {"tls-server-end-point": b"certificate hash"}
    found = await client.command(b"a CAPABILITY")
    assert b"AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1-PLUS" in found[0]
    tampered = ScramClient(
        "sha256", USER, PASSWORD, gs2="p=tls-server-end-point,,", channel=b"another"
    )
    reply = await scram(client, tampered, b"SCRAM-SHA-256-PLUS", initial=True)
    assert reply.startswith(b"s NO [AUTHENTICATIONFAILED] ")
    assert b"man in the middle" in reply
    bound = ScramClient(
        "sha256", USER, PASSWORD, gs2="p=tls-server-end-point,,", channel=b"certificate hash"
    )
    assert (await scram(client, bound, b"SCRAM-SHA-256-PLUS", initial=True)).startswith(b"s OK")


async def test_no_channel_binding_without_tls(strong: House) -> None:
    client = await strong.connect(login=False)
    assert b"-PLUS" not in (await client.command(b"a CAPABILITY"))[0]
    assert (await last(client, b"b AUTHENTICATE SCRAM-SHA-1-PLUS")).startswith(b"b NO ")


@pytest.mark.rfc("2195 §2")
async def test_cram_md5(strong: House) -> None:
    client = await strong.connect(login=False)
    challenge = b64decode((await last(client, b"a AUTHENTICATE CRAM-MD5"))[2:])
    assert challenge.endswith(b"@localhost>")
    answer = b64encode(cram_md5(USER, PASSWORD, challenge))
    assert (await last(client, answer)).startswith(b"a OK [CAPABILITY ")


async def test_a_disabled_user_learns_why_only_with_the_password(house: House) -> None:
    house.users.logins[USER] = Login(
        account_name="mox", credentials=PlainCredentials(), disabled_text="ask the postmaster"
    )
    client = await house.connect(login=False)
    wrong = await last(client, b"a LOGIN %b wrongwrong" % USER.encode())
    assert wrong == b"a NO [AUTHENTICATIONFAILED] login failed"
    right = await last(client, b"b LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
    assert right == b"b NO ask the postmaster"
    assert (await last(client, b"c SELECT Inbox")).startswith(b"c NO")


async def test_a_user_without_password_cannot_log_in(house: House) -> None:
    house.users.logins[USER] = Login(account_name="mox", credentials=None)
    client = await house.connect(login=False)
    reply = await last(client, b"a LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
    assert reply == b"a NO [AUTHENTICATIONFAILED] login failed"


async def test_capabilities_taken_from_an_account(house: House) -> None:
    house.users.logins[USER] = Login(
        account_name="mox",
        credentials=PlainCredentials(),
        capabilities_disabled=frozenset((b"QRESYNC", b"MOVE")),
    )
    client = await house.connect(login=False)
    assert b" QRESYNC " in (await client.command(b"a CAPABILITY"))[0]
    await client.login()
    listed = (await client.command(b"b CAPABILITY"))[0].split()
    assert b"QRESYNC" not in listed
    assert b"MOVE" not in listed
    assert b"CONDSTORE" in listed
    assert (await client.command(b"c ENABLE QRESYNC"))[0] == b"* ENABLED"


async def test_failures_make_a_connection_slow_until_a_login(house: House) -> None:
    house.service.delays = Delays(slow_read=1.0, slow_byte=1.0, failure_step=1.0)
    client = await house.connect(login=False)
    for number in range(2):
        await last(client, b"a%d LOGIN x y" % number)
    reply = await last(client, b"a3 LOGIN x y")
    slept = house.clock.slept
    # The third reply is slow already: one second for each byte.
    assert slept == [1.0] * (len(reply) + 2 + 1)
    slept.clear()
    await last(client, b"a4 LOGIN x y")
    before_try = [seconds for seconds in slept if seconds != 1.0]
    assert before_try == []  # the fourth try does not wait yet
    slept.clear()
    reply = await last(client, b"a5 LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
    assert reply.startswith(b"a5 OK")
    assert slept == [1.0]  # 4 failures - 3; the answer is quick again


async def test_the_wait_before_a_try_grows(house: House) -> None:
    house.service.delays = Delays(slow_read=0, slow_byte=0, failure_step=7.0)
    client = await house.connect(login=False)
    for number in range(7):
        await last(client, b"a%d LOGIN x y" % number)
    assert [seconds for seconds in house.clock.slept if seconds] == [7.0, 14.0, 21.0]


async def test_too_many_failures_from_an_address_end_the_connection(house: House) -> None:
    allowed = LOGIN_FAILURES_MINUTE[0]
    client = await house.connect(login=False)
    for number in range(allowed):
        assert b" NO [AUTHENTICATIONFAILED] " in await last(client, b"a%d LOGIN x y" % number)
    good = b"b LOGIN %b %b" % (USER.encode(), PASSWORD.encode())
    assert await client.command(good) == [b"* BYE [UNAVAILABLE] too many auth failures"]
    assert await client.closed()
    house.clock.advance(60)
    other = await house.connect(login=False)
    assert (await last(other, good)).startswith(b"b OK")


@pytest.mark.parametrize("answer", [b"", b"*", b"!", None])
async def test_a_wrong_proof_counts_whatever_the_client_says_to_it(
    strong: House, answer: bytes | None
) -> None:
    for _ in range(LOGIN_FAILURES_MINUTE[0]):
        client = await strong.connect(login=False)
        scheme = ScramClient("sha256", USER, "wrongwrong")
        first = b64encode(scheme.first())
        challenge = await last(client, b"s AUTHENTICATE SCRAM-SHA-256 " + first)
        final = b64encode(scheme.final(b64decode(challenge[2:])))
        assert b64decode((await last(client, final))[2:]) == b"e=invalid-proof"
        if answer is None:
            await client.close()
        else:
            assert await last(client, answer) == b"s NO [AUTHENTICATIONFAILED] login failed"
    assert not strong.service.limiter.failures.can_add("127.0.0.1")


@pytest.mark.rfc("5802 §9")
async def test_spellings_of_a_name_do_not_tell_who_is_there(strong: House) -> None:
    salts = set()
    for name in ("nobody@localhost", "NOBODY@localhost"):
        client = await strong.connect(login=False)
        first = b64encode(ScramClient("sha256", name, PASSWORD).first())
        reply = await last(client, b"s AUTHENTICATE SCRAM-SHA-256 " + first)
        salts.add(b64decode(reply[2:]).split(b",")[1])
    assert len(salts) == 1


async def test_a_success_forgives_the_failures_of_an_address(house: House) -> None:
    for _ in range(2 * LOGIN_FAILURES_MINUTE[0]):
        client = await house.connect(login=False)
        assert b" NO " in await last(client, b"a LOGIN x y")
        await client.login()
        await client.close()
