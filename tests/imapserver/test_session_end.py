"""Limits, time limits, the end of the server, and what happens to a client that goes away."""

import asyncio
from dataclasses import replace

import pytest
from support.imaphouse import Client, House

from mox.base import metrics
from mox.base.limits import (
    IMAP_IDLE_CHANGES,
    IMAP_LINE_AFTER_LOGIN,
    IMAP_LINE_BEFORE_LOGIN,
    IMAP_LINE_DISCARD,
)
from mox.imapserver.command import Done
from mox.imapserver.commands import COMMANDS
from mox.imapserver.session import Session
from mox.store import mailboxes
from mox.store.changes import ListChange


async def test_a_long_line_before_login_is_refused_and_the_connection_goes_on(
    house: House,
) -> None:
    client = await house.connect(login=False)
    fields = b" ".join(b'"%030d" "%01024d"' % (number, number) for number in range(30))
    assert (await client.command(b"a ID (%b)" % fields))[-1].startswith(b"a OK")
    long = b"b ID (" + b"x" * IMAP_LINE_BEFORE_LOGIN
    assert (await client.command(long))[-1].startswith(b"b BAD [TOOBIG] ")
    assert (await client.command(b"c NOOP"))[-1].startswith(b"c OK")


async def test_a_long_line_after_login(client: Client) -> None:
    long = b"b LIST (" + b"x" * (IMAP_LINE_AFTER_LOGIN - 100)
    assert (await client.command(long))[-1].startswith(b"b BAD ")
    long = b"c LIST (" + b"x" * IMAP_LINE_AFTER_LOGIN
    assert (await client.command(long))[-1].startswith(b"c BAD [TOOBIG] ")
    assert (await client.command(b"d NOOP"))[-1].startswith(b"d OK")


async def test_an_endless_line_ends_the_connection(client: Client) -> None:
    for _ in range(IMAP_LINE_DISCARD // 65536 + 20):
        await client.send(b"x" * 65536)
    assert (await client.output()).startswith(b"* BYE [ALERT] ")
    assert await client.closed()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a SELECT {4294967295}", [b"a BAD [TOOBIG] "]),
        (b"a SELECT {99999999999999999999999}", [b"a BAD [TOOBIG] "]),
        (b"a SELECT {4294967295+}", [b"* BYE [ALERT] ", b"a BAD [TOOBIG] "]),
        (b"a APPEND nope {4294967295}", [b"a NO [TRYCREATE] "]),
        (b"a APPEND Inbox {4294967295}", [b"a NO "]),
    ],
)
async def test_huge_literals(client: Client, line: bytes, expected: list[bytes]) -> None:
    found = await client.command(line)
    assert len(found) == len(expected)
    for response, start in zip(found, expected, strict=True):
        assert response.startswith(start), found
    assert await client.closed() == (len(expected) > 1)


async def test_a_refused_message_too_long_to_be_skipped_ends_the_connection(
    client: Client,
) -> None:
    await client.send(b"a APPEND Inbox (\\Nope) {%d+}\r\n" % (2 * IMAP_LINE_DISCARD))
    found = (await client.output()).splitlines()
    assert found[0] == b"* BYE [ALERT] too much data"
    assert found[1].startswith(b"a BAD ")
    assert await client.closed()


@pytest.mark.parametrize("login", [True, False])
async def test_ten_megabytes_of_parentheses(house: House, login: bool) -> None:
    client = await house.connect(login=login)
    for _ in range(160):
        await client.send(b"(" * 65536)
    assert (await client.output()).startswith(b"* B")
    assert await client.closed()


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.rfc("9051 §5.4")
async def test_silence_ends_the_connection(house: House, login: bool) -> None:
    client = await house.connect(login=login)
    await client.quiet()
    client.wire.expire()
    assert await client.output() == b"* BYE inactive\r\n"
    assert await client.closed()


async def test_silence_in_idle_ends_the_connection(client: Client) -> None:
    assert await client.command(b"a IDLE") == [b"+ idling"]
    client.wire.expire()
    assert await client.output() == b"* BYE inactive\r\n"
    assert await client.closed()


@pytest.mark.parametrize(
    ("begin", "before", "after"),
    [
        (b"", 30, 30 * 60),
        (b"a NOO", 30, 30 * 60),
        (b"a LIST {5+}\r\nab", 30, 30),
        (b"a LIST {5}\r\n", 30, 30),
        (b"a APPEND Inbox {5}\r\n", 30, 30),
        (b"a IDLE\r\n", 30, 30 * 60),
    ],
)
async def test_how_long_is_waited(house: House, begin: bytes, before: int, after: int) -> None:
    for login, seconds in ((False, before), (True, after)):
        client = await house.connect(login=login)
        await client.send(begin)
        await client.output()
        assert client.wire.timeout_s == seconds


@pytest.mark.parametrize("begin", [b"", b"a IDLE\r\n", b"a APPEND Inbox {5}\r\n"])
async def test_the_server_stops(house: House, begin: bytes) -> None:
    client = await house.connect()
    await client.send(begin)
    await client.output()
    house.service.stopping = True
    client.wire.poke()
    assert (await client.output()).startswith(b"* BYE ")
    assert await client.closed()


async def test_the_server_stops_while_a_password_is_asked_for(house: House) -> None:
    client = await house.connect(login=False)
    assert await client.command(b"a AUTHENTICATE PLAIN") == [b"+ "]
    house.service.stopping = True
    client.wire.poke()
    assert await client.output() == b"* BYE shutting down\r\n"
    assert await client.closed()


async def test_a_command_in_progress_is_finished_when_the_server_stops(house: House) -> None:
    client = await house.connect()
    await client.send(b"a CREATE last\r\nb NOOP\r\n")
    await asyncio.sleep(0)
    house.service.stopping = True
    client.wire.poke()
    found = (await client.output()).splitlines()
    assert found[:2] == [b'* LIST () "/" last', b"a OK create done"]
    assert found[-1] == b"* BYE shutting down"


@pytest.mark.parametrize(
    "begin", [b"a IDLE\r\n", b"a SELECT Inbox\r\n", b"a APPEND Inbox {100+}\r\nabc", b"a NOO"]
)
async def test_a_client_goes_away(house: House, begin: bytes) -> None:
    account = await house.shard.account("mox")
    client = await house.connect()
    await client.send(begin)
    await client.quiet()
    client.wire.end()
    assert await client.closed()
    assert not account.feeds
    inbox = account.mailbox("Inbox")
    assert not inbox.views
    assert inbox.pins == 0
    assert list(house.shard.spool_folder.iterdir()) == []


async def test_an_unforeseen_error_is_answered_and_the_session_goes_on(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = metrics.unhandled_total()
    house.unhandled_expected = 1
    command = COMMANDS.get(b"NAMESPACE")
    assert command is not None

    async def fails(_session: Session, _nothing: None) -> Done:
        raise ZeroDivisionError("secret words")

    failing = replace(command, run=fails)
    monkeypatch.setitem(COMMANDS._entries, b"NAMESPACE", failing)
    found = await client.command(b"a NAMESPACE")
    assert found == [b"a NO [SERVERBUG] internal error"]
    assert (await client.command(b"b NOOP"))[-1].startswith(b"b OK")
    assert metrics.unhandled_total() == before + 1


async def test_too_many_list_changes_overflow(house: House) -> None:
    client = await house.connect()
    for number in range(IMAP_IDLE_CHANGES + 1):
        client.session.feed.push(ListChange(kind="added", name=f"x{number}"))
    found = await client.command(b"a NOOP")
    assert found == [b"* OK [NOTIFICATIONOVERFLOW] too many changes", b"a OK noop done"]


async def test_10_000_pipelined_commands(client: Client) -> None:
    await client.send(b"".join(b"a%d NOOP\r\n" % number for number in range(10_000)))
    found = (await client.output()).splitlines()
    assert found == [b"a%d OK noop done" % number for number in range(10_000)]


async def test_pipelined_commands_are_read_as_far_as_a_pause_and_after_it(client: Client) -> None:
    await client.send(b"a IDLE\r\nDONE\r\nb NOOP\r\nc LOGOUT\r\nd NOOP\r\n")
    found = (await client.output()).splitlines()
    assert found == [
        b"+ idling",
        b"a OK idle done",
        b"b OK noop done",
        b"* BYE thanks",
        b"c OK logout done",
    ]
    assert await client.closed()


async def test_a_wrong_password_in_a_literal_is_in_no_log(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await house.connect(login=False)
    await client.command(b"a LOGIN nobody {12+}\r\nsecretsecret")
    written = capsys.readouterr()
    assert "secretsecret" not in written.err + written.out


async def test_deleted_while_selected_here(house: House) -> None:
    account = await house.shard.account("mox")
    await mailboxes.create(account, "x")
    client = await house.connect()
    await client.command(b"a SELECT x")
    assert (await client.command(b"b DELETE x"))[-1].startswith(b"b OK")
    assert (await client.command(b"c CHECK"))[-1].startswith(b"c NO [NONEXISTENT]")
    assert (await client.command(b"d CREATE x"))[-1].startswith(b"d OK")
    assert (await client.command(b"e CHECK"))[-1].startswith(b"e NO [NONEXISTENT]")
    assert (await client.command(b"f CLOSE"))[-1].startswith(b"f OK")
