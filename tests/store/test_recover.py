"""Large changes are made of several batches: a crash between any two leaves a consistent account."""

from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.base import flags as flagbits
from mox.store import flags as flags_module
from mox.store import messages as messages_module
from mox.store.blobs.memory import MemoryBlobs
from mox.store.content import NewMessage
from mox.store.engine.base import Batch
from mox.store.engine.memory import MemoryEngine
from mox.store.errors import StoreStopped
from mox.store.flags import How, change_flags
from mox.store.messages import append, copy
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account

Make = Callable[..., NewMessage]
MESSAGES = 10


class CrashingEngine(MemoryEngine):
    """Refuses every write after the given number of further ones."""

    left = 1 << 30

    def write(self, batch: Batch) -> None:
        if self.left == 0:
            raise OSError("crash")
        self.left -= 1
        super().write(batch)


def derive(content: object) -> dict[int, bytes]:
    return {}


@pytest.mark.parametrize("writes", range(6))
@pytest.mark.parametrize("what", ["flags", "copy", "move"])
async def test_crash_between_slices(
    what: str, writes: int, tmp_path: Path, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flags_module, "COMMIT_BATCH_ROWS", 4)
    monkeypatch.setattr(messages_module, "COMMIT_BATCH_ROWS", 4)
    engine, blobs = CrashingEngine(), MemoryBlobs()
    check_format(engine)
    shard = Shard(engine, blobs, tmp_path, derive)
    account = await shard.create_account("mox")
    inbox, archive = account.mailbox("Inbox"), account.mailbox("Archive")
    await append(account, inbox, [message(str(n)) for n in range(MESSAGES)])
    await inbox.load()
    everything = array("I", range(MESSAGES))
    before = account.record.modseq
    engine.left = writes
    finished = True
    try:
        if what == "flags":
            result = change_flags(account, inbox, everything, How.ADD, flagbits.SEEN, ())
            await account.committer.synced(result.ticket)
        else:
            await copy(account, inbox, everything, archive, move=what == "move")
    except StoreStopped:
        finished = False
    await shard.close()

    engine.left = 1 << 30
    shard = Shard(engine, blobs, tmp_path, derive)
    account = await shard.account("mox")
    assert await verify_account(account) == []
    inbox, archive = account.mailbox("Inbox"), account.mailbox("Archive")
    columns = await inbox.load()
    if what == "flags":
        seen = [bool(columns.flags(slot) & flagbits.SEEN) for slot in range(MESSAGES)]
        assert all(seen) or not finished
        assert inbox.record.unseen == seen.count(False)
    else:
        assert archive.record.messages == (MESSAGES if finished else 0)
        assert inbox.record.messages == (0 if finished and what == "move" else MESSAGES)
    # No modseq that may have reached the disk is given out again.
    used = max((columns.modseq(slot) for slot in range(len(columns))), default=before)
    assert account.record.modseq >= used
    added = await append(account, inbox, [message("new")])
    assert added.modseq > used
    assert await verify_account(account) == []
    await shard.close()
