"""Space of erased contents comes back."""

from array import array
from collections.abc import Callable
from pathlib import Path

from mox.store.blobs.packs import PackBlobs
from mox.store.content import NewMessage
from mox.store.engine.rocks import RocksEngine
from mox.store.messages import append, expunge
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account

Make = Callable[..., NewMessage]


def derive(content: object) -> dict[int, bytes]:
    return {}


def packs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "packs").iterdir())


async def test_dead_packs_go_and_sparse_ones_are_rewritten(tmp_path: Path, message: Make) -> None:
    engine = RocksEngine(tmp_path / "db")
    check_format(engine)
    shard = Shard(engine, PackBlobs(tmp_path, pack_size=1000), tmp_path, derive)
    account = await shard.create_account("mox")
    inbox = account.mailbox("Inbox")
    for number in range(12):
        await append(account, inbox, [message(f"{number:03d}" * 100)])
    await inbox.load()
    assert packs(tmp_path) == [f"{n:08d}.pack" for n in range(1, 7)] or len(packs(tmp_path)) > 5
    before = packs(tmp_path)
    # All of the first packs but the very first message.
    await expunge(account, inbox, array("I", range(1, 10)))
    inbox.compact()
    await shard.eraser.idle()
    after = packs(tmp_path)
    assert before[0] not in after
    assert len(after) < len(before)
    assert await verify_account(account) == []
    columns = await inbox.load()
    assert [columns.uid(slot) for slot in range(len(columns))] == [1, 11, 12]
    await shard.close()
