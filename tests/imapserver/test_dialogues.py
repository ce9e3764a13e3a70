"""Every file of tests/dialogues/imap: whole lines at a time, byte by byte, and over RocksDB.

What may be given:
    mailbox NAME [with N messages]
    A says LINE                   before the dialogue; answered OK, the answers are not looked at
    A is a stranger               not logged in
    no passwords without tls
    tls is offered                where passwords need it
"""

import re
from pathlib import Path
from typing import NoReturn

import pytest
from support.dialogue import Peer, Runner, parse
from support.imaphouse import House

from mox.imapserver.commands import COMMANDS
from mox.imapserver.service import Listener
from mox.store import mailboxes

FOLDER = Path(__file__).parent.parent / "dialogues" / "imap"
FILES = sorted(FOLDER.rglob("*.dialog"))


_MAILBOX = re.compile(r"mailbox (\S+)(?: with ([0-9]+) messages?)?")
_STRANGER = re.compile(r"([A-Z]) is a stranger")
_SAYS = re.compile(r"([A-Z]) says (.+)")  # before the dialogue; the answers are not looked at


@pytest.mark.parametrize(
    ("house", "bytewise"),
    [("memory", False), ("memory", True), ("rocks", False)],
    ids=["lines", "bytes", "rocks"],
    indirect=["house"],
)
@pytest.mark.parametrize(
    "path", FILES, ids=[str(path.relative_to(FOLDER).with_suffix("")) for path in FILES]
)
async def test_dialogue(house: House, path: Path, bytewise: bool) -> None:
    dialogue = parse(path)
    strangers: set[str] = set()
    said: dict[str, list[str]] = {}
    for given in dialogue.givens:
        if match := _MAILBOX.fullmatch(given):
            await _make(house, match[1], int(match[2] or 0))
        elif match := _STRANGER.fullmatch(given):
            strangers.add(match[1])
        elif match := _SAYS.fullmatch(given):
            said.setdefault(match[1], []).append(match[2])
        elif given == "no passwords without tls":
            house.listener = Listener(name="test")
        elif given == "tls is offered":
            house.listener = Listener(name="test", tls=_no_certificate)
        else:
            pytest.fail(f"{path}: unknown given {given!r}")

    async def open_peer(who: str) -> Peer:
        client = await house.connect(login=who not in strangers, bytewise=bytewise)
        for line in said.get(who, ()):
            answers = await client.command(b"given " + line.encode())
            assert answers[-1].startswith(b"given OK "), answers
        return client

    await Runner(dialogue, open_peer).run()


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
