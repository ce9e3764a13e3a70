"""Data of earlier versions opens, is whole, and is added to."""

import shutil
from array import array
from pathlib import Path

import pytest

from mox.imapserver.derive import derive
from mox.store import reading
from mox.store.content import NewMessage
from mox.store.engine.base import Family
from mox.store.engine.rocks import RocksEngine
from mox.store.layout import keys
from mox.store.layout.rows import Location
from mox.store.messages import append, copy, expunge
from mox.store.shard import open_shard
from mox.store.verify import verify_account, verify_folder

LINE = b"The quick brown fox jumps over the lazy dog, again and again.\r\n"
LINES = {1: 1, 2: 10, 4: 700, 5: 20_000}  # lines of the messages in Inbox; the third was expunged


def content(number: int, lines: int) -> bytes:
    head = (
        f"From: <a@example.org>\r\nTo: <mox@localhost>\r\nSubject: message {number}\r\n"
        f"Message-ID: <{number}@old.example>\r\n\r\n"
    )
    return head.encode() + LINE * lines


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Small contents in a pack, one in a file of its own, two of them copied to Archive."""
    shutil.unpack_archive(Path(__file__).with_name("contents-in-packs.tar.xz"), tmp_path)
    return tmp_path / "data"


async def test_small_contents_in_packs_stay_and_new_ones_become_rows(data: Path) -> None:
    assert verify_folder(data, junk=True) == []
    shard = open_shard(data / "shards" / "0", derive)
    account = await shard.account("mox")
    inbox, archive = account.mailbox("Inbox"), account.mailbox("Archive")
    columns = await inbox.load()
    assert [columns.uid(slot) for slot in range(len(columns))] == list(LINES)
    for number, lines in LINES.items():
        found = await reading.content(account, number)
        assert found is not None
        assert bytes(found[:]) == content(number, lines)
    await append(account, inbox, [NewMessage(content=content(6, 3), received_ms=1)])
    await copy(account, inbox, array("I", [0, len(columns) - 1]), archive)
    old, new = reading.locate(account, [1, account.record.next_file - 1])
    assert isinstance(old, Location)
    assert new == content(6, 3)
    assert await verify_account(account) == []
    # Both kinds go.
    archived = await archive.load()
    for mailbox, live in ((inbox, columns), (archive, archived)):
        await expunge(account, mailbox, array("I", range(len(live))))
        mailbox.compact()
    await shard.eraser.idle()
    assert await verify_account(account) == []
    for family in (Family.LOC, Family.BODY):
        assert list(shard.engine.scan(family, *keys.EVERY_ACCOUNT)) == []
    await shard.close()
    assert verify_folder(data, junk=True) == []


def test_a_folder_without_a_family_can_be_read_without_being_changed(data: Path) -> None:
    folder = data / "shards" / "0" / "db"
    before = {path.name for path in folder.iterdir()}
    engine = RocksEngine(folder, read_only=True)
    assert len(list(engine.scan(Family.LOC, *keys.EVERY_ACCOUNT))) == 4
    assert list(engine.scan(Family.BODY, *keys.EVERY_ACCOUNT)) == []
    assert engine.get(Family.BODY, keys.file(1, 1)) is None
    assert engine.multi_get(Family.BODY, [keys.file(1, 1)]) == [None]
    assert engine.ranges(Family.BODY, b"\xff").first(b"", b"\xff", 5) == []
    engine.close()
    after = {path.name for path in folder.iterdir() if not path.name.startswith("LOG")}
    assert after - {"LOCK"} == before
