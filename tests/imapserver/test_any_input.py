"""Any command with any arguments in any state: an answer, and nothing unforeseen.

The fixture ``house`` fails where an error was unhandled, and checks the store at the end.
"""

import random

import pytest
from support.imaphouse import Client, House

from mox.imapserver.commands import COMMANDS

ROUNDS = 12  # random argument lists per command and state

_WORDS = [
    *(b"Inbox", b"inbox/x", b"x", b'""', b'"a\\"b"', b"NIL", b"&", b"&Jjo-", b"%", b"*", b"a//b"),
    *(b"1", b"1:*", b"*", b"$", b"0", b"4294967295", b"4294967296", b"18446744073709551616"),
    *(b"5:2", b"1,2,3", b"1:", b",", b"FLAGS", b"+FLAGS", b"-FLAGS.SILENT", b"(\\Seen)", b"(\\Bad)"),
    *(b"(label)", b"BODY[]", b"BODY.PEEK[1.2.TEXT]<0.10>", b"BODY[HEADER.FIELDS (From)]", b"(UID"),
    *(b"(FLAGS UID)", b"ENVELOPE", b"BODYSTRUCTURE", b"MODSEQ", b"BINARY[1]", b"BINARY.SIZE[]"),
    *(b"(CHANGEDSINCE 1)", b"(CHANGEDSINCE 1 VANISHED)", b"(UNCHANGEDSINCE 0)", b"ALL", b"FAST"),
    *(b"RETURN (MIN MAX COUNT ALL SAVE)", b"RETURN ()", b"CHARSET utf-8", b"CHARSET x", b"NOT"),
    *(b"OR", b"SEEN", b"FROM x", b"TEXT a", b"SINCE 1-Feb-2024", b"BEFORE 31-Feb-2024", b"(NOT)"),
    *(b"HEADER Subject {1+}\r\na", b"LARGER 1", b"UID 1:*", b"KEYWORD label", b"MODSEQ 1", b"OLD"),
    *(b"(CONDSTORE)", b"(QRESYNC (1 1))", b"(QRESYNC (1 1 1:3 (1 1)))", b"(USE (\\Sent))", b"()"),
    *(b"(MESSAGES UNSEEN SIZE HIGHESTMODSEQ RECENT)", b"(SUBSCRIBED RECURSIVEMATCH)", b"((((("),
    *(b"RETURN (STATUS (MESSAGES) CHILDREN)", b"PLAIN", b"PLAIN =", b"SCRAM-SHA-256", b"AA==", b"="),
    *(b'("name" "x")', b'" 1-Feb-2024 10:00:00 +0100"', b"{3+}\r\nabc", b"~{3+}\r\na\0c", b"{3}"),
    *(b"UTF8 (~{3+}\r\nabc)", b"\xff\xfe", b"\0", b'"unended', b"QRESYNC", b"UTF8=ACCEPT", b"IMAP4rev2"),
]  # fmt: skip


async def connect(house: House, state: str) -> Client:
    client = await house.connect(login=state != "stranger")
    if state == "selected":
        assert (await client.command(b"s SELECT Inbox"))[-1].startswith(b"s OK")
    return client


async def in_state(client: Client, state: str) -> bool:
    """Still there, and still where it shall be?"""
    if await client.closed():
        return False
    found = await client.command(b"check CHECK")
    assert found[-1].startswith(b"check "), found
    return state != "selected" or found[-1].startswith(b"check OK")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("state", ["stranger", "friend", "selected"])
async def test_every_command_is_answered(house: House, state: str, seed: int) -> None:
    chance = random.Random(f"{state} {seed}")
    await house.put("Inbox", 4)
    client = await connect(house, state)
    for name in sorted(COMMANDS):
        for _ in range(ROUNDS):
            words = [chance.choice(_WORDS) for _ in range(chance.randrange(5))]
            line = b" ".join([b"t", name, *words])
            await client.send(line + b"\r\n")
            answers = await client.output()
            # Whatever waits for more is given an end.
            for _ in range(3):
                last = answers.splitlines()[-1] if answers else b""
                if answers and not last.startswith(b"+"):
                    break
                await client.send(b"DONE\r\n")
                answers = await client.output()
            status = answers.splitlines()[-1].split(b" ")
            assert status[0] in (b"t", b"*", b"DONE"), (line, answers)
            assert status[1] in (b"OK", b"NO", b"BAD", b"BYE"), (line, answers)
            if not await in_state(client, state):
                await client.close()
                client = await connect(house, state)
    await client.close()
