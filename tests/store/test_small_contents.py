"""Small contents are rows of the index: they come, are shared and go with the rows that name them."""

from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from support.recording import RecordingBlobs, RecordingEngine

from mox.base.limits import BODY_INLINE, BODY_INLINE_BATCH
from mox.store import erase, reading
from mox.store.account import Account
from mox.store.blobs.packs import PackBlobs
from mox.store.content import NewMessage
from mox.store.engine.base import Batch, Family
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import DiskFull
from mox.store.layout import keys, rows
from mox.store.layout.rows import Location
from mox.store.messages import append, copy, expunge
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account
from mox.store.verify_learnt import Learnt

Make = Callable[..., NewMessage]


def of_size(size: int, *, prefix: bytes = b"", letter: bytes = b"x") -> NewMessage:
    text = b"Subject: x\r\n\r\n"
    filler = letter * (size - len(prefix) - len(text))
    return NewMessage(prefix=prefix, content=text + filler, received_ms=1)


def stored(account: Account, family: Family) -> list[int]:
    found = account.shard.engine.scan(family, *keys.account_range(account.id))
    return [keys.file_id(key) for key, _ in found]


def location(account: Account, file: int) -> Location:
    value = account.shard.engine.get(Family.LOC, keys.file(account.id, file))
    assert value is not None
    return rows.decode(Location, value)


@pytest.fixture
async def recorded(tmp_path: Path) -> tuple[Account, RecordingEngine, RecordingBlobs]:
    engine = RecordingEngine()
    check_format(engine)
    blobs = RecordingBlobs(engine)
    shard = Shard(engine, blobs, tmp_path, lambda content: {}, lazy_sync_s=60)
    return await shard.create_account("mox"), engine, blobs


async def test_a_small_message_is_one_batch_and_one_sync(
    recorded: tuple[Account, RecordingEngine, RecordingBlobs], message: Make
) -> None:
    account, engine, blobs = recorded
    await account.shard.learner.idle()
    writes, syncs = len(engine.writes), engine.syncs
    await append(account, account.mailbox("Inbox"), [message("small")])
    assert (len(engine.writes) - writes, engine.syncs - syncs) == (1, 1)
    assert blobs.put == []
    assert {family for family, *_ in engine.writes[-1].operations} >= {Family.LOC, Family.BODY}
    await account.shard.close()


async def test_the_limit_counts_all_of_a_content(account: Account) -> None:
    inbox = account.mailbox("Inbox")
    for prefix in (b"", b"Received: y\r\n"):
        for size in (BODY_INLINE, BODY_INLINE + 1):
            await append(account, inbox, [of_size(size, prefix=prefix)])
    assert stored(account, Family.BODY) == [1, 3]
    assert [location(account, file).is_row for file in (1, 2, 3, 4)] == [True, False, True, False]
    whole = of_size(BODY_INLINE, prefix=b"Received: y\r\n")
    assert await reading.content(account, 3) == whole.prefix + bytes(whole.content)  # type: ignore[arg-type]
    assert await verify_account(account) == []


async def test_a_change_puts_no_more_into_its_batch_than_it_may_hold(account: Account) -> None:
    new = [of_size(10_000, letter=b"%c" % (65 + number)) for number in range(30)]
    await append(account, account.mailbox("Inbox"), new)
    in_rows = stored(account, Family.BODY)
    assert len(in_rows) == BODY_INLINE_BATCH // 10_000
    files = range(1, 31)
    assert {location(account, file).is_row for file in files if file not in in_rows} == {False}
    found = await account.shard.in_thread(reading.read_contents, account, files)
    assert found == [message.content for message in new]
    assert await verify_account(account) == []


async def test_many_contents_are_two_looks(
    account: Account, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = [message(f"text {number}") for number in range(50)]
    await append(account, account.mailbox("Inbox"), [*new, of_size(BODY_INLINE + 1)])
    engine, looks = account.shard.engine, []
    multi_get = engine.multi_get

    def counted(family: Family, wanted: list[bytes]) -> list[bytes | None]:
        looks.append((family, len(wanted)))
        return multi_get(family, wanted)

    def single(family: Family, key: bytes) -> bytes | None:
        raise AssertionError("one look for one content")

    monkeypatch.setattr(engine, "multi_get", counted)
    monkeypatch.setattr(engine, "get", single)
    found = reading.read_contents(account, list(range(1, 52)))
    assert looks == [(Family.LOC, 51), (Family.BODY, 50)]
    assert found == [*(one.content for one in new), of_size(BODY_INLINE + 1).content]


async def test_a_row_goes_with_the_last_message_in_the_batch_that_forgets_its_place(
    recorded: tuple[Account, RecordingEngine, RecordingBlobs], message: Make
) -> None:
    account, engine, _ = recorded
    inbox, archive = account.mailbox("Inbox"), account.mailbox("Archive")
    await append(account, inbox, [message("shared"), message("alone"), of_size(BODY_INLINE + 1)])
    await inbox.load()
    await copy(account, inbox, array("I", [0]), archive)
    await expunge(account, inbox, array("I", [0, 1, 2]))
    inbox.compact()
    await account.shard.eraser.idle()
    assert stored(account, Family.BODY) == stored(account, Family.LOC) == [1]
    await archive.load()
    await expunge(account, archive, array("I", [0]))
    archive.compact()
    await account.shard.eraser.idle()
    assert stored(account, Family.BODY) == stored(account, Family.LOC) == []
    gone = [
        {(family, keys.file_id(key)) for family, key, value, end in batch.operations if end is None}
        for batch in engine.writes
        if any(family is Family.LOC and value is None for family, _, value, _ in batch.operations)
    ]
    assert [{file for family, file in one if family is Family.BODY} for one in gone] == [{2}, {1}]
    assert await verify_account(account) == []
    await account.shard.close()


async def test_a_removed_account_takes_its_rows_with_it(shard: Shard, message: Make) -> None:
    accounts = [await shard.create_account(name) for name in ("one", "two")]
    for account in accounts:
        await append(account, account.mailbox("Inbox"), [message("1"), message("2")])
    await shard.remove_account("one")
    await shard.eraser.idle()
    assert stored(accounts[0], Family.BODY) == []
    assert stored(accounts[1], Family.BODY) == [1, 2]
    assert await reading.content(accounts[1], 1) == message("1").content
    assert await verify_account(accounts[1]) == []


async def test_a_full_disk_refuses_small_contents_before_they_reach_the_index(
    shard: Shard, account: Account, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise DiskFull

    inbox = account.mailbox("Inbox")
    with monkeypatch.context() as patch:
        patch.setattr(shard.blobs, "check_space", full)
        shard.clock.advance(1)  # type: ignore[attr-defined]
        for new in ([message("1")], [message("2"), message("3")]):
            with pytest.raises(DiskFull):
                await append(account, inbox, new)
    assert stored(account, Family.BODY) == stored(account, Family.LOC) == []
    await append(account, inbox, [message("4")])
    assert inbox.record.messages == 1
    assert await verify_account(account) == []


async def test_what_does_not_fit_together_is_found(account: Account, message: Make) -> None:
    texts = ["lost", "longer", "changed", "no place", "fine"]
    await append(account, account.mailbox("Inbox"), [message(text) for text in texts])
    engine, number = account.shard.engine, account.id
    assert await verify_account(account) == []
    found = [engine.get(Family.BODY, keys.file(number, file)) or b"" for file in range(1, 6)]
    place = engine.get(Family.LOC, keys.file(number, 4))
    assert place is not None
    batch = Batch()
    batch.delete(Family.BODY, keys.file(number, 1))
    batch.put(Family.BODY, keys.file(number, 2), found[1] + b"x")
    batch.put(Family.BODY, keys.file(number, 3), found[2].swapcase())
    batch.delete(Family.LOC, keys.file(number, 4))
    engine.write(batch)
    problems = {problem.text for problem in await verify_account(account)}
    assert problems == {
        "content 1 has no row: a message is lost",
        "content 2: a stored message has another length than recorded",
        "content 3: a stored message does not match its checksum",
        "content 4: a row that no place names",
        "content 4 has no place: a message is lost",
    }
    read = await account.shard.in_thread(reading.read_contents, account, [1, 2, 3, 4, 5])
    assert read == [None, None, None, None, found[4]]
    starts = [reading.read_start(account, 5, place, 7) for place in reading.locate(account, [5, 1])]
    assert starts == [b"Subject", None]
    learnt = Learnt(engine, account.shard.blobs, number, {}, account.shard.organizational)
    assert [learnt._read(file, None) for file in (1, 3, 4, 5)] == [None, None, None, found[4]]
    assert learnt._read(5, 7) == b"Subject"
    batch = Batch()
    for file in range(1, 6):
        batch.put(Family.BODY, keys.file(number, file), found[file - 1])
    batch.put(Family.LOC, keys.file(number, 4), place)
    engine.write(batch)
    assert await verify_account(account) == []


async def test_much_that_was_erased_gives_its_space_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without anything new coming in: the disk may be too full for that."""
    monkeypatch.setattr(erase, "BODY_RECLAIM", 100_000)
    engine = RocksEngine(tmp_path / "db")
    check_format(engine)
    shard = Shard(engine, PackBlobs(tmp_path), tmp_path, lambda content: {})
    account = await shard.create_account("mox")
    inbox = account.mailbox("Inbox")
    random = Random(1)  # whose bytes cannot be made smaller
    for _ in range(30):
        new = [NewMessage(content=random.randbytes(12_000), received_ms=1) for _ in range(10)]
        await append(account, inbox, new)
    engine.give_back(Family.BODY)
    before = blob_bytes(tmp_path)
    assert before > 3_500_000
    columns = await inbox.load()
    await expunge(account, inbox, array("I", (slot for slot in range(len(columns)) if slot % 3)))
    inbox.compact()
    await shard.eraser.idle()
    assert blob_bytes(tmp_path) < before * 0.4
    assert await verify_account(account) == []
    await shard.remove_account("mox")
    await shard.eraser.idle()
    assert blob_bytes(tmp_path) == 0
    await shard.close()


def blob_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "db").glob("*.blob"))
