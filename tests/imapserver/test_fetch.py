"""FETCH beyond single sections: slices, large messages, what is missing, UTF-8."""

import base64
from pathlib import Path

import pytest
from support.imaphouse import Client, House

from mox.base.clock import FrozenClock
from mox.imapserver import fetching
from mox.imapserver.derive import derive
from mox.store.account import Account
from mox.store.content import Kind, NewMessage
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys
from mox.store.messages import append
from mox.store.shard import open_shard

LINE = b"0123456789 abcdefghijklmnopqrstuvwxyz\r\n"


async def put(house: House, *contents: bytes) -> Account:
    account = await house.shard.account("mox")
    made = [NewMessage(content=content, received_ms=1_700_000_000_000) for content in contents]
    await append(account, account.mailbox("Inbox"), made)
    return account


async def test_many_messages_by_every_way(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "LINES_PER_SLICE", 7)
    monkeypatch.setattr(fetching, "CACHED_PER_SLICE", 5)
    monkeypatch.setattr(fetching, "CONTENTS_PER_SLICE", 3)
    await house.put("Inbox", 50)
    await client.command(b"s SELECT Inbox")
    for items, each in (
        (b"(UID MODSEQ)", b"MODSEQ ("),
        (b"(ENVELOPE FLAGS)", b'"<message%d@small.example>"'),
        (b"(BODYSTRUCTURE BODY ENVELOPE)", b'"<message%d@small.example>"'),
        (b"BODY.PEEK[TEXT]", b"\r\nmessage%d\r\n"),
        (b"(ENVELOPE BODY.PEEK[TEXT] RFC822.SIZE)", b"\r\nmessage%d\r\n"),
        (b"BODY.PEEK[HEADER.FIELDS (Subject)]", b"Subject: message%d\r\n"),
    ):
        found = await client.command(b"f FETCH 1:* " + items)
        lines = [line for line in found if b" FETCH (" in line]
        assert len(lines) == 50
        for number, line in enumerate(lines, 1):
            assert line.startswith(b"* %d FETCH (UID %d " % (number, number))
            assert each.replace(b"%d", b"%d" % number) in line
        assert found[-1].startswith(b"f OK ")


async def test_cached_values_that_are_missing_are_made_again(house: House, client: Client) -> None:
    account = await put(house, b"Subject: one\r\n\r\nx\r\n", b"Subject: two\r\n\r\nx\r\n")
    batch = Batch()
    for kind in (Kind.ENVELOPE, Kind.PART, Kind.BODYSTRUCTURE):
        batch.delete(Family.CACHE, keys.cache(account.id, 1, kind))
    house.shard.engine.write(batch)
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"f FETCH 1:2 (ENVELOPE BODYSTRUCTURE BODY.PEEK[1])")
    assert b'ENVELOPE (NIL "one" NIL' in found[0]
    assert b'ENVELOPE (NIL "two" NIL' in found[1]
    assert found[0].endswith(b"BODY[1] {3}\r\nx\r\n)")


async def test_a_lost_content_does_not_hide_the_others(house: House, client: Client) -> None:
    account = await put(house, *(b"Subject: %d\r\n\r\nx\r\n" % number for number in range(3)))
    found = house.shard.engine.get(Family.LOC, keys.file(account.id, 2))
    assert found is not None
    batch = Batch()
    batch.delete(Family.LOC, keys.file(account.id, 2))
    house.shard.engine.write(batch)
    await client.command(b"s SELECT Inbox")
    answers = await client.command(b"f FETCH 1:3 (RFC822.SIZE BODY[])")
    assert b"BODY[] {17}" in answers[0]
    assert answers[1] == b"* 2 FETCH (UID 2 RFC822.SIZE 17)"
    assert b"BODY[] {17}" in answers[2]
    assert answers[3].startswith(b"f NO [SERVERBUG] ")
    answers = await client.command(b"f SEARCH NOT SEEN")
    assert answers[0] == b"* SEARCH 2"
    # It matches no text, and the search goes on.
    answers = await client.command(b"f SEARCH OR SUBJECT 1 BODY x")
    assert answers[0] == b"* SEARCH 1 3"
    batch = Batch()
    batch.put(Family.LOC, keys.file(account.id, 2), found)
    house.shard.engine.write(batch)


@pytest.mark.rfc("6855 §3")
async def test_envelopes_are_decoded_for_who_reads_utf8(house: House, client: Client) -> None:
    await put(
        house,
        b"Subject: =?utf-8?q?=C3=A4?=\r\nFrom: =?utf-8?b?w7Y=?= <a@example.org>\r\n\r\n",
        b"Subject: plain\r\n\r\n",
    )
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"f FETCH 1:2 ENVELOPE")
    assert b'(NIL "=?utf-8?q?=C3=A4?=" (("=?utf-8?b?w7Y=?=" NIL "a" "example.org"))' in found[0]
    await client.command(b"e ENABLE UTF8=ACCEPT")
    found = await client.command(b"f FETCH 1:2 (ENVELOPE BODY)")
    assert '(NIL "ä" (("ö" NIL "a" "example.org"))'.encode() in found[0]
    assert b'ENVELOPE (NIL "plain" NIL' in found[1]
    assert found[1].endswith(b")")


@pytest.mark.rfc("3501 §2.3.2")
async def test_recent_is_not_for_rev2(house: House, client: Client) -> None:
    await house.put("Inbox", 1)
    await client.command(b"e ENABLE IMAP4rev2")
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"f FETCH 1 FLAGS")
    assert found[0] == b"* 1 FETCH (UID 1 FLAGS ())"


async def test_a_mailbox_that_was_deleted(house: House, client: Client) -> None:
    other = await house.connect()
    await client.command(b"c CREATE Box")
    await client.command(b"a APPEND Box {3+}\r\n\r\nx")
    await client.command(b"s SELECT Box")
    await other.command(b"d DELETE Box")
    for line in (
        b"FETCH 1 FLAGS",
        b"STORE 1 FLAGS ()",
        b"SEARCH ALL",
        b"COPY 1 Inbox",
        b"MOVE 1 Inbox",
        b"EXPUNGE",
    ):
        found = await client.command(b"f " + line)
        assert found[-1].startswith(b"f NO [NONEXISTENT] "), found


async def test_a_large_message_on_disk(tmp_path: Path) -> None:
    """Mapped, sent in slices, decoded through a file."""
    clock = FrozenClock()
    shard = open_shard(tmp_path / "shard", derive, clock=clock)
    await shard.create_account("mox")
    house = House(shard, clock)
    client = await house.connect()
    body = LINE * 70_000
    content = b"Subject: large\r\nContent-Transfer-Encoding: base64\r\n\r\n" + _base64(body)
    assert len(content) > 3_500_000
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"a APPEND Inbox {%d+}\r\n%b" % (len(content), content))
    assert b"APPENDUID" in found[-1], found
    found = await client.command(b"f FETCH 1 (BODY.PEEK[] RFC822.SIZE)")
    assert found[0] == b"* 1 FETCH (UID 1 RFC822.SIZE %d BODY[] {%d}\r\n%b)" % (
        len(content),
        len(content),
        content,
    )
    found = await client.command(b"f FETCH 1 BINARY.PEEK[1]")
    assert found[0] == b"* 1 FETCH (UID 1 BINARY[1] {%d}\r\n%b)" % (len(body), body)
    found = await client.command(b"f FETCH 1 (BODY.PEEK[]<1000000.10> BINARY.PEEK[]<1000000.10>)")
    whole = b"Subject: large\r\n\r\n" + body
    assert found[0].endswith(
        b"BODY[]<1000000> {10}\r\n%b BINARY[]<1000000> {10}\r\n%b)"
        % (content[1_000_000:1_000_010], whole[1_000_000:1_000_010])
    )
    found = await client.command(b"f SEARCH BODY stuvwxyz TEXT large NOT BODY large")
    assert found[0] == b"* SEARCH 1"
    assert list((tmp_path / "shard" / "tmp").iterdir()) == []
    await house.close()
    await shard.close()


def _base64(body: bytes) -> bytes:
    return base64.encodebytes(body).replace(b"\n", b"\r\n")
