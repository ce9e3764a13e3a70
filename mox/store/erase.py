"""Erase contents that no message refers to and no view can ask for any more.

An expunge leaves one row naming its contents, and their references.  Once every view of the mailbox
was told, references without a message go, and each content without any loses its place, facts and
derived values, and a small one its row; large files are removed, and a pack whose last content went is
removed by ``reclaim``.  Rows give their space back when much of it went: deleting must help also where a
full disk lets nothing new in.
"""

import asyncio
from array import array
from collections import deque
from typing import TYPE_CHECKING

from mox._speedups import ranges_of
from mox.base.limits import BODY_RECLAIM, COMMIT_BATCH_ROWS
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

FILES_PER_BATCH = COMMIT_BATCH_ROWS // 4

Files = list[tuple[int, Location]]


class Eraser:
    """One task of a shard."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard
        self._waiting: deque[Account] = deque()
        self._reclaim = False
        self._erased_rows = 0  # bytes of contents in rows, since their space was given back
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="eraser")

    def wake(self, mailbox: "Mailbox") -> None:
        """Views of this mailbox moved on."""
        self.wake_account(mailbox.account)

    def wake_account(self, account: "Account") -> None:
        """There may be something to erase."""
        if account not in self._waiting and not self._task.done():
            self._waiting.append(account)
            self._begin()

    def reclaim(self) -> None:
        """Many contents lost their places."""
        if self._task.done():
            return
        if self._shard.reclaimer is not None:
            self._shard.reclaimer.recount()
            self._reclaim = True
        self._erased_rows = BODY_RECLAIM
        self._begin()

    def erased(self, location: Location) -> None:
        """A content lost its place."""
        if location.is_row:
            self._erased_rows += location.length
            return
        self._reclaim = True
        if self._shard.reclaimer is not None:
            self._shard.reclaimer.erased(location)

    def _begin(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def idle(self) -> None:
        """Wait until nothing is left to do, and nothing to be learnt before."""
        while True:
            await self._shard.learner.idle()
            if self._idle.is_set():
                return
            await self._idle.wait()

    async def close(self) -> None:
        """Finish the slice at hand; the rest is done at the next open."""
        self.stopping = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        try:
            while not self.stopping:
                if self._waiting or self._reclaim or self._erased_rows >= BODY_RECLAIM:
                    await self._work()
                    continue
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
        except StoreStopped:
            # Nothing can be erased any more; the rows stay.
            self._waiting.clear()
        finally:
            self._idle.set()

    async def _work(self) -> None:
        name = ""
        try:
            if self._waiting:
                account = self._waiting.popleft()
                name = account.name
                await erase_account(account)
            if self._waiting:
                return
            if self._reclaim:
                self._reclaim = False
                if self._shard.reclaimer is not None:
                    await self._shard.reclaimer.run()
            if self._erased_rows >= BODY_RECLAIM:
                self._erased_rows = 0
                await self._shard.in_thread(self._shard.engine.give_back, Family.BODY)
        except StoreStopped:
            raise
        except Exception as error:
            # Nothing is lost: the rows stay and are tried again at the next open.
            log.error("store.erase_failed", error, account=name)


async def erase_account(account: "Account") -> None:
    """Erase what is free in one account."""
    shard, committer = account.shard, account.committer
    account.erase_waits = learnt_floor(account) < account.synced_modseq
    # References of copies staged until now must be in the index before it is read.
    await committer.written(account.ticket)
    floors: dict[int, int] = {
        mailbox.id: mailbox.told_floor() for mailbox in account.mailboxes.values()
    }
    floors.update(shard.deleted_floors(account))
    found = Found(account, floors)
    for key in await shard.in_thread(found.look):
        files = await shard.in_thread(found.files_of, key)
        for first in range(0, max(1, len(files)), FILES_PER_BATCH):
            if shard.eraser.stopping:
                return
            some = files[first : first + FILES_PER_BATCH]
            batch = Batch()
            erased = await shard.in_thread(found.erase, some, batch)
            if first + FILES_PER_BATCH >= len(files):
                batch.delete(Family.KV, key)
            await committer.synced(committer.stage(batch))
            await shard.in_thread(_remove, account, erased)
            for _, location in erased:
                shard.eraser.erased(location)


def learnt_floor(account: "Account") -> int:
    """What was expunged after this modseq may have to be unlearnt, for which its content is needed."""
    return 0 if account.course is None else account.course.floor


class Found:
    """Rows of expunges in one account: those whose contents are free, and those that hold theirs."""

    def __init__(self, account: "Account", floors: dict[int, int]) -> None:
        self._account = account
        self._floors = floors
        self._synced = account.synced_modseq
        self._learnt = learnt_floor(account)
        self._free: set[bytes] = set()
        self._held: set[int] = set()
        self._next = 0  # modseq from which on rows were not looked at

    def look(self) -> list[bytes]:
        """Keys of the rows that are free.    Blocks."""
        free = [key for key, _ in self._newer() if self._is_free(key)]
        self._free.update(free)
        self._hold()
        return free

    def files_of(self, key: bytes) -> "array[int]":
        """Contents a row names.    Blocks."""
        value = self._account.shard.engine.get(Family.KV, key)
        return array("Q") if value is None else rows.decode_files(value)

    def erase(self, files: "array[int]", batch: Batch) -> Files:
        """Put into a batch what forgets those nobody needs; these with their places.    Blocks."""
        engine, number = self._account.shard.engine, self._account.id
        unreferenced = self._unreferenced(sorted(set(files)), batch)
        # A copy may have been expunged or moved since, and not every view was told of that.  That was
        # written down no later than the message went, so it is seen here; its turn comes.
        self._hold()
        erased: Files = []
        for file in unreferenced:
            value = None if file in self._held else engine.get(Family.LOC, keys.file(number, file))
            if value is not None:
                location = rows.decode(Location, value)
                erased.append((file, location))
                batch.delete(Family.LOC, keys.file(number, file))
                batch.delete(Family.MSG, keys.file(number, file))
                if location.is_row:
                    batch.delete(Family.BODY, keys.file(number, file))
        for first, last in ranges_of(file for file, _ in erased):
            start, end = keys.cache(number, first, 0), keys.cache(number, last + 1, 0)
            batch.delete_range(Family.CACHE, start, end)
        return erased

    def _unreferenced(self, files: list[int], batch: Batch) -> list[int]:
        """Contents that no message has; references of messages that went are deleted."""
        engine, number = self._account.shard.engine, self._account.id
        references = [
            key
            for file in files
            for key, _ in engine.scan(Family.IDX, *keys.references(number, file))
        ]
        parts = [keys.reference_parts(key) for key in references]
        found = engine.multi_get(
            Family.ROW, [keys.row(number, mailbox_id, uid) for _, mailbox_id, uid in parts]
        )
        referred = set()
        for key, (file, _, _), row in zip(references, parts, found, strict=True):
            if row is None:
                batch.delete(Family.IDX, key)
            else:
                referred.add(file)
        return [file for file in files if file not in referred]

    def _is_free(self, key: bytes) -> bool:
        modseq, mailbox_id = keys.erase_parts(key)
        return modseq <= min(self._learnt, self._floors.get(mailbox_id, self._synced))

    def _newer(self) -> list[tuple[bytes, bytes]]:
        start, end = (
            keys.erase(self._account.id, self._next, 0),
            keys.settings(self._account.id, keys.ERASE)[1],
        )
        return list(self._account.shard.engine.scan(Family.KV, start, end))

    def _hold(self) -> None:
        """Contents of rows that are not free are held; rows come with ascending modseqs."""
        for key, value in self._newer():
            if key not in self._free:
                self._held.update(rows.decode_files(value))
            self._next = keys.erase_parts(key)[0] + 1


def _remove(account: "Account", erased: Files) -> None:
    for file, location in erased:
        if not location.is_row:
            account.shard.blobs.erase(account.id, file, location)
