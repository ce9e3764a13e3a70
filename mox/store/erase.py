"""Erase contents that no message refers to and no view can ask for any more.

An expunge leaves one row naming its contents.  Once every view of the mailbox was told, each content
without a reference loses its place, facts and derived values; large files are removed, and a pack
whose last content went is removed by ``reclaim``.
"""

import asyncio
from array import array
from collections import deque
from typing import TYPE_CHECKING

from mox.base.limits import COMMIT_BATCH_ROWS
from mox.base.log import get_logger
from mox.store.engine.base import Batch, Family
from mox.store.errors import StoreStopped
from mox.store.layout import keys, rows
from mox.store.layout.rows import Location

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.mailbox import Mailbox
    from mox.store.shard import Shard

log = get_logger("store")


class Eraser:
    """One task of a shard."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard
        self._waiting: deque[Account] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="eraser")

    def wake(self, mailbox: "Mailbox") -> None:
        """Views of this mailbox moved on."""
        self.wake_account(mailbox.account)

    def wake_account(self, account: "Account") -> None:
        """There may be something to erase."""
        if account not in self._waiting and not self._stopping:
            self._waiting.append(account)
            self._idle.clear()
            self._wake.set()

    async def idle(self) -> None:
        """Wait until nothing is left to do."""
        await self._idle.wait()

    async def close(self) -> None:
        """Finish the slice at hand; the rest is done at the next open."""
        self._stopping = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        while not self._stopping:
            if not self._waiting:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
                continue
            account = self._waiting.popleft()
            try:
                if await erase_account(account) and self._shard.reclaimer is not None:
                    await self._shard.reclaimer.run()
            except StoreStopped:
                self._idle.set()
                return
            except Exception as error:
                # Nothing is lost: the rows stay and are tried again at the next open.
                log.error("store.erase_failed", error, account=account.name)


async def erase_account(account: "Account") -> bool:
    """Erase what is free in one account; True when there was something."""
    shard, engine, number = account.shard, account.shard.engine, account.id
    # References of copies staged until now must be in the index before it is read.
    await account.committer.written(account.ticket)
    floors: dict[int, int] = {
        mailbox.id: mailbox.told_floor() for mailbox in account.mailboxes.values()
    }
    floors.update(account.shard.deleted_floors(account))
    synced = account.synced_modseq

    def read() -> list[tuple[bytes, bytes]]:
        found = []
        for key, value in engine.scan(Family.KV, *keys.settings(number, keys.ERASE)):
            modseq, mailbox_id = keys.erase_parts(key)
            if modseq <= floors.get(mailbox_id, synced):
                found.append((key, value))
        return found

    erased_any = False
    free = await shard.in_thread(read)
    free_keys = {key for key, _ in free}
    for key, value in free:
        files = rows.decode_files(value)
        for first in range(0, len(files), COMMIT_BATCH_ROWS // 10):
            batch = Batch()
            chunk = files[first : first + COMMIT_BATCH_ROWS // 10]
            erased = await shard.in_thread(_erase_in, account, chunk, batch, free_keys)
            if first + len(chunk) == len(files):
                batch.delete(Family.KV, key)
            await account.committer.synced(account.committer.stage(batch))
            for file, location in erased:
                await shard.in_thread(shard.blobs.erase, number, file, location)
                if shard.reclaimer is not None:
                    shard.reclaimer.erased(location)
            erased_any = erased_any or bool(erased)
    return erased_any


def _erase_in(
    account: "Account", files: "array[int]", batch: Batch, free_keys: set[bytes]
) -> list[tuple[int, Location]]:
    engine, number = account.shard.engine, account.id
    unreferenced = {
        file
        for file in files
        if next(iter(engine.scan(Family.IDX, *keys.references(number, file))), None) is None
    }
    if unreferenced:
        # A copy may have been expunged since, and not every view was told of that.  Its row was
        # written together with the end of its reference, so it is seen here; its turn comes.
        unreferenced -= _held(account, free_keys)
    erased = []
    for file in sorted(unreferenced):
        value = engine.get(Family.LOC, keys.file(number, file))
        if value is None:
            continue
        erased.append((file, rows.decode(Location, value)))
        batch.delete(Family.LOC, keys.file(number, file))
        batch.delete(Family.MSG, keys.file(number, file))
        batch.delete_range(
            Family.CACHE, keys.cache(number, file, 0), keys.cache(number, file + 1, 0)
        )
    return erased


def _held(account: "Account", free_keys: set[bytes]) -> set[int]:
    """Contents named by rows that are not free."""
    rows_now = account.shard.engine.scan(Family.KV, *keys.settings(account.id, keys.ERASE))
    return {
        file for key, value in rows_now if key not in free_keys for file in rows.decode_files(value)
    }
