"""Every file of tests/dialogues/imap: whole lines at a time, byte by byte, over RocksDB and a socket.

What may be given:
    mailbox NAME [with N messages]
    A says LINE                   before the dialogue; answered OK, the answers are not looked at
    A is a stranger               not logged in
    no passwords without tls
    tls is offered                where passwords need it
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from support.dialogue import Dialogue, Peer, Runner, parse
from support.imaphouse import House
from support.imapsocket import SocketPeer

from mox.imapserver.commands import COMMANDS
from mox.imapserver.server import ImapServer
from mox.imapserver.service import Listener
from mox.store import mailboxes

FOLDER = Path(__file__).parent.parent / "dialogues" / "imap"
FILES = sorted(FOLDER.rglob("*.dialog"))
# What begins with a handshake is in test_connection.py.
WITHOUT_TLS = [path for path in FILES if "given tls is offered" not in path.read_text("utf-8")]

_MAILBOX = re.compile(r"mailbox (\S+)(?: with ([0-9]+) messages?)?")
_STRANGER = re.compile(r"([A-Z]) is a stranger")
_SAYS = re.compile(r"([A-Z]) says (.+)")  # before the dialogue; the answers are not looked at


def _name(path: Path) -> str:
    return str(path.relative_to(FOLDER).with_suffix(""))


@pytest.mark.parametrize(
    ("house", "bytewise"),
    [("memory", False), ("memory", True), ("rocks", False)],
    ids=["lines", "bytes", "rocks"],
    indirect=["house"],
)
@pytest.mark.parametrize("path", FILES, ids=_name)
async def test_dialogue(house: House, path: Path, bytewise: bool) -> None:
    dialogue = parse(path)
    given = await _prepare(house, dialogue)

    async def open_peer(who: str) -> Peer:
        client = await house.connect(login=who not in given.strangers, bytewise=bytewise)
        for line in given.said.get(who, ()):
            answers = await client.command(b"given1 " + line.encode())
            assert answers[-1].startswith(b"given1 OK "), answers
        return client

    await Runner(dialogue, open_peer).run()


@pytest.mark.parametrize("house", ["rocks"], indirect=True)
@pytest.mark.parametrize("path", WITHOUT_TLS, ids=_name)
async def test_dialogue_over_a_socket(house: House, path: Path) -> None:
    dialogue = parse(path)
    given = await _prepare(house, dialogue)
    peers: list[SocketPeer] = []

    async with _listening(house) as port:

        async def open_peer(who: str) -> Peer:
            peer = await SocketPeer.connect(port, login=who not in given.strangers)
            peers.append(peer)
            for line in given.said.get(who, ()):
                answers = await peer.command(b"given1 " + line.encode())
                assert answers[-1].startswith(b"given1 OK "), answers
            return peer

        try:
            await Runner(dialogue, open_peer).run()
        finally:
            for peer in peers:
                await peer.end()


@asynccontextmanager
async def _listening(house: House) -> AsyncIterator[int]:
    """The port of a server."""
    server = ImapServer(house.service)
    accepting = await asyncio.get_running_loop().create_server(
        server.protocol(house.listener), "127.0.0.1", 0
    )
    try:
        yield accepting.sockets[0].getsockname()[1]
    finally:
        accepting.close()
        await server.stop(1.0)


@dataclass
class _Given:
    """What holds before a dialogue."""

    strangers: set[str] = field(default_factory=set)
    said: dict[str, list[str]] = field(default_factory=dict)


async def _prepare(house: House, dialogue: Dialogue) -> _Given:
    found = _Given()
    for given in dialogue.givens:
        if match := _MAILBOX.fullmatch(given):
            await _make(house, match[1], int(match[2] or 0))
        elif match := _STRANGER.fullmatch(given):
            found.strangers.add(match[1])
        elif match := _SAYS.fullmatch(given):
            found.said.setdefault(match[1], []).append(match[2])
        elif given == "no passwords without tls":
            house.listener = Listener(name="test")
        elif given == "tls is offered":
            house.listener = Listener(name="test", tls=_no_certificate)
        else:
            pytest.fail(f"{dialogue.name}: unknown given {given!r}")
    return found


def _no_certificate() -> NoReturn:
    """The wire of the tests shakes hands without one."""
    raise AssertionError("nobody asks for it")


def test_every_command_has_a_dialogue() -> None:
    lines = [line.upper() for path in FILES for line in path.read_bytes().splitlines()]
    spoken = [words[2:] for line in lines if len(words := line.split(b" ")) > 2]
    heard = {b" ".join(words[:count]) for words in spoken for count in (1, 2)}
    assert set(COMMANDS) - heard == set()


async def _make(house: House, name: str, count: int) -> None:
    account = await house.shard.account("mox")
    if name not in account.by_name:
        await mailboxes.create(account, name)
    await house.put(name, count)
