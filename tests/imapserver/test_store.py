"""STORE: what its reply promises, and what a client is told."""

import pytest
from support.imaphouse import Client, House

from mox.store.engine.memory import MemoryEngine


def syncs(house: House) -> int:
    engine = house.shard.engine
    assert isinstance(engine, MemoryEngine)
    return engine.syncs


async def test_a_pure_flag_change_waits_for_no_sync(house: House, client: Client) -> None:
    await house.put("Inbox", 2)
    await client.command(b"s SELECT Inbox")
    before = syncs(house)
    await client.command(b"t STORE 1 +FLAGS (\\Seen)")
    await client.command(b"t FETCH 2 BODY[]")
    assert syncs(house) == before
    # Decision 0007: a client that may learn the modseq waits for the sync.
    found = await client.command(b"t FETCH 1 MODSEQ")
    assert syncs(house) > before
    before = syncs(house)
    found = await client.command(b"t STORE 1 -FLAGS (\\Seen)")
    assert b"FLAGS (\\Recent) MODSEQ (" in found[0]
    assert syncs(house) > before


async def test_sync_at_once_is_a_setting(house: House, client: Client) -> None:
    await house.put("Inbox", 1)
    await client.command(b"s SELECT Inbox")
    house.service.sync_flags_at_once = True
    before = syncs(house)
    await client.command(b"t STORE 1 +FLAGS (\\Seen)")
    assert syncs(house) > before


@pytest.mark.rfc("9051 §7.5.1")
async def test_an_older_state_never_comes_after_a_newer_one(house: House, client: Client) -> None:
    other = await house.connect()
    await house.put("Inbox", 1)
    for each in (client, other):
        await each.command(b"s SELECT Inbox")
    await other.command(b"t STORE 1 FLAGS (\\Flagged)")
    await other.command(b"t STORE 1 FLAGS (\\Answered)")
    found = await client.command(b"t STORE 1 +FLAGS (\\Seen)")
    flags = [line for line in found if b"FLAGS" in line]
    assert all(line.endswith(b"FLAGS (\\Recent \\Seen \\Answered))") for line in flags), found
    found = await client.command(b"n NOOP")
    assert len(found) == 1
    found = await other.command(b"n NOOP")
    assert found[0].endswith(b"FLAGS (\\Seen \\Answered))")
    assert len(found) == 2


@pytest.mark.rfc("5182 §2.1")
async def test_store_takes_saved_messages(house: House, client: Client) -> None:
    await house.put("Inbox", 4)
    await client.command(b"s SELECT Inbox")
    await client.command(b"f SEARCH RETURN (SAVE) 2:3")
    found = await client.command(b"t STORE 4,$ +FLAGS (\\Seen)")
    assert [line.split()[1] for line in found[:-1]] == [b"2", b"3", b"4"]
    found = await client.command(b"t UID STORE 1,$ +FLAGS.SILENT (\\Draft)")
    found = await client.command(b"t SEARCH DRAFT")
    assert found[0] == b"* SEARCH 1 2 3"


async def test_a_large_store_in_slices(house: House, client: Client) -> None:
    await house.put("Inbox", 2500)
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"t STORE 1:* FLAGS (\\Seen label)")
    assert sum(b"FLAGS (\\Recent \\Seen label)" in line for line in found) == 2500
    found = await client.command(b"t SEARCH RETURN (COUNT) KEYWORD label SEEN")
    assert found[0] == b'* ESEARCH (TAG "t") COUNT 2500'


async def test_many_messages_are_copied_moved_and_expunged(house: House, client: Client) -> None:
    await house.put("Inbox", 2500)
    await client.command(b"s SELECT Inbox")
    await client.command(b"t STORE 2:2400 +FLAGS.SILENT (label \\Deleted)")
    found = await client.command(b"c COPY 1:* Archive")
    assert b" 1:2500 1:2500]" in found[-1]
    found = await client.command(b"m MOVE 1:2300 Archive")
    assert b" 1:2300 2501:4800]" in found[0]
    assert found[1:-1] == [b"* 1 EXPUNGE"] * 2300
    found = await client.command(b"x EXPUNGE")
    assert found[:-1] == [b"* 1 EXPUNGE"] * 100
    found = await client.command(b"s STATUS Archive (MESSAGES UNSEEN DELETED UIDNEXT)")
    assert found[0] == b"* STATUS Archive (MESSAGES 4800 UNSEEN 4800 DELETED 4698 UIDNEXT 4801)"
    await client.command(b"s SELECT Archive")
    found = await client.command(b"t UID SEARCH RETURN (COUNT) KEYWORD label DELETED")
    assert found[0] == b'* ESEARCH (TAG "t") UID COUNT 4698'


@pytest.mark.parametrize(
    "line",
    [
        b"STORE",
        b"STORE 1",
        b"STORE 1 FLAGS",
        b"STORE 1 FLAGS.LOUD ()",
        b"STORE 1 +FLAGS (\\Seen",
        b"STORE 1 +FLAGS (a b) c",
        b"STORE 1 +FLAGS (a]b)",
        b"STORE 0 +FLAGS (a)",
        b"STORE 1: +FLAGS (a)",
        b"STORE 1 () +FLAGS (a)",
        b"STORE 1 (UNCHANGEDSINCE x) FLAGS ()",
        b"UID STORE a +FLAGS (a)",
        b"UID EXPUNGE",
        b"EXPUNGE 1",
        b"COPY 1",
        b"MOVE a Archive",
        b"UID COPY 1 Archive x",
    ],
)
async def test_what_does_not_parse_changes_nothing(
    house: House, client: Client, line: bytes
) -> None:
    await house.put("Inbox", 1)
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"t " + line)
    assert found[-1].startswith(b"t BAD "), found
    found = await client.command(b"t FETCH 1 FLAGS")
    assert found[0] == b"* 1 FETCH (UID 1 FLAGS (\\Recent))"
