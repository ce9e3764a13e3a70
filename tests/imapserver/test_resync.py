"""QRESYNC where the history of expunges is not whole.    RFC 7162 §3.2.5.2, §3.2.6."""

from collections.abc import AsyncIterator

import pytest
from support.imaphouse import Client, House


@pytest.fixture
async def trimmed(house: House) -> AsyncIterator[tuple[Client, int, int]]:
    """UIDs 3, 6 and 9 of 10 are there, nobody knows since when; UIDVALIDITY and modseq."""
    client = await house.connect()
    await house.put("Inbox", 10)
    await client.command(b"g1 ENABLE QRESYNC")
    await client.command(b"g2 SELECT Inbox")
    await client.command(b"g3 STORE 1:2,4:5,7:8,10 +FLAGS.SILENT (\\Deleted)")
    found = await client.command(b"g4 EXPUNGE")
    assert found[0] == b"* VANISHED 1:2,4:5,7:8,10"
    account = await house.shard.account("mox")
    account.record.trimmed_modseq = account.record.modseq
    mailbox = account.by_name["Inbox"]
    yield client, mailbox.record.uidvalidity, account.record.modseq
    account.record.trimmed_modseq = 0  # as it is stored


def vanished(found: list[bytes]) -> list[bytes]:
    """The sets of VANISHED (EARLIER)."""
    begin = b"* VANISHED (EARLIER) "
    return [line.removeprefix(begin) for line in found if line.startswith(begin)]


@pytest.mark.rfc("7162 §3.2.5.1")
@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (b"", [b"1:2,4:5,7:8,10"]),  # as if it were 1:UIDNEXT-1
        (b" 1:9", [b"1:2,4:5,7:8"]),
        (b" 1:4294967295", [b"1:2,4:5,7:8,10"]),
        (b" 3,6", []),
    ],
)
async def test_every_known_uid_that_is_not_there(
    trimmed: tuple[Client, int, int], known: bytes, expected: list[bytes]
) -> None:
    client, uidvalidity, _ = trimmed
    found = await client.command(b"a1 SELECT Inbox (QRESYNC (%d 1%b))" % (uidvalidity, known))
    assert vanished(found) == expected
    assert found[-1].startswith(b"a1 OK [READ-WRITE]")


@pytest.mark.rfc("7162 §3.2.5.2")
@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (b"(1 3)", [b"4:5,7:8"]),
        (b"(1:2 3,6)", [b"7:8"]),
        (b"(1:3 3,6,9)", []),
        (b"(1,3 3,10)", [b"4:5,7:8"]),  # the second pair does not hold
        (b"(1 2)", [b"1:2,4:5,7:8"]),
    ],
)
async def test_match_data_bounds_it_below(
    trimmed: tuple[Client, int, int], match: bytes, expected: list[bytes]
) -> None:
    client, uidvalidity, _ = trimmed
    found = await client.command(b"a1 SELECT Inbox (QRESYNC (%d 1 1:9 %b))" % (uidvalidity, match))
    assert vanished(found) == expected
    assert not any(b"[ALERT]" in line for line in found)


@pytest.mark.rfc("7162 §3.2.6")
async def test_uid_fetch_vanished(trimmed: tuple[Client, int, int]) -> None:
    client, _, modseq = trimmed
    found = await client.command(b"a1 UID FETCH 2:8 (UID) (CHANGEDSINCE 1 VANISHED)")
    assert vanished(found) == [b"2,4:5,7:8"]
    assert [line.split(b" ")[1] for line in found[1:-1]] == [b"1", b"2"]
    found = await client.command(b"a2 UID FETCH 2:8 (UID) (CHANGEDSINCE %d VANISHED)" % modseq)
    assert found == [b"a2 OK uid fetch done"]
