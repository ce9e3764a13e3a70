"""Space of erased contents in packs comes back, and never that of others.    Small ones are rows."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mox.store import reading
from mox.store.account import Account
from mox.store.blobs.base import Body
from mox.store.blobs.packs import HEADER, PackBlobs
from mox.store.content import NewMessage
from mox.store.engine.base import Family
from mox.store.engine.rocks import RocksEngine
from mox.store.layout import keys
from mox.store.layout.rows import Location
from mox.store.messages import append, expunge
from mox.store.shard import Shard, check_format, open_shard
from mox.store.verify import verify_account

Make = Callable[..., NewMessage]


def derive(content: object) -> dict[int, bytes]:
    return {}


def packs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "packs").iterdir())


@pytest.fixture
async def shard(tmp_path: Path) -> AsyncIterator[Shard]:
    """Two messages fill a pack, each too large for a row."""
    engine = RocksEngine(tmp_path / "db")
    check_format(engine)
    made = Shard(engine, PackBlobs(tmp_path, pack_size=30_000), tmp_path, derive)
    yield made
    await made.close()


@pytest.fixture
async def account(shard: Shard) -> Account:
    return await shard.create_account("mox")


async def add(account: Account, message: Make, *numbers: int) -> None:
    for number in numbers:
        await append(account, account.mailbox("Inbox"), [message(f"{number:03d}" * 3000)])


def place_of(account: Account, file: int) -> Location:
    place = reading.locate(account, [file])[0]
    assert isinstance(place, Location)
    return place


async def remove(account: Account, *uids: int) -> None:
    inbox = account.mailbox("Inbox")
    columns = await inbox.load()
    await expunge(account, inbox, array("I", [columns.find(uid) for uid in uids]))
    inbox.compact()
    await account.shard.eraser.idle()


async def test_dead_packs_go_and_sparse_ones_are_rewritten(
    shard: Shard, account: Account, tmp_path: Path, message: Make
) -> None:
    await add(account, message, *range(12))
    before = packs(tmp_path)
    assert len(before) == 6
    # All of the first packs but the very first message.
    await remove(account, *range(2, 11))
    after = packs(tmp_path)
    assert not set(before[:5]) & set(after)
    assert len(after) < len(before)
    assert await verify_account(account) == []
    columns = await account.mailbox("Inbox").load()
    assert [columns.uid(slot) for slot in range(len(columns))] == [1, 11, 12]


async def test_packs_filled_since_the_first_erase_stay(account: Account, message: Make) -> None:
    await add(account, message, 0)
    await remove(account, 1)  # live bytes are counted here
    await add(account, message, *range(10))
    await remove(account, 2)
    assert await verify_account(account) == []
    assert account.mailbox("Inbox").record.messages == 9


async def test_a_body_that_no_row_names_yet_keeps_its_pack(
    shard: Shard, account: Account, message: Make, tmp_path: Path
) -> None:
    reclaimer = shard.reclaimer
    assert reclaimer is not None
    place = await shard.bodies.put(Body(account=account.id, file=77, content=b"x" * 27_000))
    await add(account, message, 0)
    await add(account, message, 1, 2)
    await remove(account, 1)
    assert reading.read_content(account, 77, place) == b"x" * 27_000
    shard.bodies.abandon(account.id, 77, place)
    await remove(account, 2)
    assert f"{place.pack:08d}.pack" not in packs(tmp_path)


async def test_a_content_is_found_in_its_new_place(
    shard: Shard, account: Account, message: Make
) -> None:
    await add(account, message, *range(4))
    expected = message("000" * 3000).content
    before = place_of(account, 1)
    await remove(account, 2, 3)
    after = place_of(account, 1)
    assert before.pack != after.pack
    # As a reader that looked the place up just before the pack was rewritten.
    assert reading.read_content(account, 1, before) == expected
    assert reading.read_start(account, 1, before, 7) == b"Subject"


async def test_reading_while_packs_are_rewritten(
    shard: Shard, account: Account, message: Make
) -> None:
    await add(account, message, *range(30))
    done = False

    async def read() -> None:
        while not done:
            found = await shard.in_thread(reading.read_contents, account, [1, 11, 21])
            assert found == [message(f"{n:03d}" * 3000).content for n in (0, 10, 20)]

    reader = asyncio.ensure_future(read())
    await remove(account, *range(2, 11))
    await remove(account, *range(12, 21))
    await remove(account, *range(22, 31))
    done = True
    await reader
    assert await verify_account(account) == []


async def test_a_pack_with_a_damaged_content_is_left_as_it_is(
    account: Account, message: Make, tmp_path: Path
) -> None:
    await add(account, message, *range(4))
    with (tmp_path / "packs" / "00000001.pack").open("r+b") as pack:
        pack.seek(HEADER.size)
        pack.write(b"Z")
    await remove(account, 2, 3, 4)
    left = packs(tmp_path)
    assert "00000001.pack" in left
    [problem] = await verify_account(account)
    assert "checksum" in problem.text


async def test_a_removed_account_gives_its_space_back(
    shard: Shard, account: Account, message: Make, tmp_path: Path
) -> None:
    other = await shard.create_account("other")
    await add(account, message, *range(4))
    large = NewMessage(content=b"x" * 1_500_000, received_ms=1)
    await append(account, account.mailbox("Inbox"), [large])
    await append(other, other.mailbox("Inbox"), [message("999" * 3000), message("998" * 3000)])
    await shard.remove_account("mox")
    await shard.eraser.idle()
    assert len(packs(tmp_path)) == 1
    assert not [path for path in (tmp_path / "large").rglob("*") if path.is_file()]
    assert await verify_account(other) == []


async def test_a_move_and_the_removal_of_its_account_leave_no_place(
    shard: Shard, account: Account, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account goes between the copy of its content and the row that would name the copy."""
    await add(account, message, *range(4))
    put = shard.bodies.put

    async def put_and_remove(body: Body):  # type: ignore[no-untyped-def]
        place = await put(body)
        await shard.remove_account("mox")
        return place

    reclaimer = shard.reclaimer
    assert reclaimer is not None
    located = reclaimer._placed_in({1})[1]
    monkeypatch.setattr(shard.bodies, "put", put_and_remove)
    await reclaimer._move(located[:1])
    monkeypatch.undo()
    assert reclaimer._placed_in({1, 2, 3, 4, 5}) == {1: [], 2: [], 3: [], 4: [], 5: []}


async def test_what_was_held_when_the_server_stopped_is_erased_at_the_next_open(
    tmp_path: Path, message: Make
) -> None:
    """Also where the learner has nothing left to do by then."""
    shard = open_shard(tmp_path / "held", lambda content: {})
    account = await shard.create_account("mox")
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("1"), message("2")])
    await account.open_view(inbox, read_only=False)
    await expunge(account, inbox, array("I", [0]))
    await shard.learner.idle()
    await shard.eraser.idle()
    await shard.close()
    shard = open_shard(tmp_path / "held", lambda content: {})
    account = await shard.account("mox")
    await shard.eraser.idle()
    located = shard.engine.scan(Family.LOC, *keys.account_range(account.id))
    assert len(list(located)) == 1
    await shard.close()
