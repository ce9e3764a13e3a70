"""FETCH of many items at once: what it holds in memory, and what it makes twice."""

import base64
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.imaphouse import Client, House

from mox.base.limits import IMAP_FETCH_ITEMS
from mox.imapserver import contents, fetching
from mox.imapserver.contents import Produced
from mox.imapserver.fetchplan import ContentItem
from mox.imapserver.sections import Extent, binary
from mox.message.buffer import Buffer
from mox.message.part import Part
from mox.store.account import Account


async def test_what_is_held_for_a_fetch_is_bounded(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.put("Inbox", 5)
    await client.command(b"g SELECT Inbox")
    plain = await client.command(b"f FETCH 1:5 (UID BODY[] BODY.PEEK[HEADER.FIELDS (Subject)])")
    assert len(plain) == 6
    # Less than the second message: each message is made and sent before the next one.
    monkeypatch.setattr(contents, "IMAP_FETCH_HELD", 200)
    made: list[int] = []
    produce = contents.produce

    def counting(
        account: Account, files: Sequence[int], items: Sequence[ContentItem]
    ) -> list[Produced]:
        results = produce(account, files, items)
        made.append(len(results))
        return results

    monkeypatch.setattr(fetching, "produce", counting)
    again = await client.command(b"f FETCH 1:5 (UID BODY[] BODY.PEEK[HEADER.FIELDS (Subject)])")
    assert [line.replace(b" FLAGS (\\Recent \\Seen)", b"") for line in plain] == again
    assert made == [2, 2, 1]
    # What one message alone needs more is refused.
    monkeypatch.setattr(contents, "IMAP_FETCH_HELD", 160)
    found = await client.command(
        b"f FETCH 2 (BODY.PEEK[HEADER.FIELDS (Subject)] BODY.PEEK[HEADER.FIELDS (To)])"
    )
    assert found == [
        b"* 2 FETCH (UID 2 BODY[HEADER.FIELDS (Subject)] {21}\r\nSubject: message2\r\n\r\n)",
        b"f NO [LIMIT] too much of one message at once",
    ]


async def test_a_part_is_decoded_once_for_all_its_partials(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"0123456789") + b"\r\n"
    )
    await client.command(b"a APPEND Inbox {%d+}\r\n%b" % (len(message), message))
    await client.command(b"g SELECT Inbox")
    calls: list[tuple[int, ...]] = []

    def counting(content: Buffer, tree: Part, path: tuple[int, ...], folder: Path) -> Extent:
        calls.append(path)
        return binary(content, tree, path, folder)

    monkeypatch.setattr(contents, "binary", counting)
    found = await client.command(b"f FETCH 1 (BINARY.PEEK[1]<0.2> BINARY[1]<2.3> BINARY[1]<9.9>)")
    assert found[0].endswith(
        b" BINARY[1]<0> {2}\r\n01 BINARY[1]<2> {3}\r\n234 BINARY[1]<9> {1}\r\n9)"
    )
    assert calls == [(1,)]


async def test_items_of_a_fetch_are_limited(house: House, client: Client) -> None:
    await house.put("Inbox", 1)
    await client.command(b"g SELECT Inbox")
    items = [b"BODY.PEEK[]<%d.1>" % at for at in range(IMAP_FETCH_ITEMS)]
    found = await client.command(b"f FETCH 1 (%b)" % b" ".join(items))
    assert found[-1] == b"f OK fetch done"
    found = await client.command(b"f FETCH 1 (%b UID)" % b" ".join(items))
    assert found == [b"f BAD too many FETCH items"]


async def test_a_header_too_large_to_be_held_is_mapped(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.put("Inbox", 1)
    await client.command(b"g SELECT Inbox")
    expected = await client.command(b"f FETCH 1 BODY.PEEK[HEADER]")
    monkeypatch.setattr(contents, "HEADER_PARSE", 10)
    monkeypatch.setattr(contents, "read_start", None)  # it is not read so
    assert await client.command(b"f FETCH 1 BODY.PEEK[HEADER]") == expected
