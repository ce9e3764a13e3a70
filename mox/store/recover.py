"""A change in several batches was interrupted by a crash: make its mailbox consistent again."""

from typing import TYPE_CHECKING

from mox.base import flags as flagbits
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys, rows

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.mailbox import Mailbox


async def recover_mailbox(account: "Account", mailbox: "Mailbox") -> None:
    """Remove rows that were never committed, recount the others.  Nobody was told of either."""
    record, engine, number = mailbox.record, account.shard.engine, account.id

    def uncommitted() -> Batch:
        batch = Batch()
        start, end = keys.rows(number, mailbox.id, record.uidnext, 1 << 32)
        for key, value in engine.scan(Family.ROW, start, end):
            file = rows.row_file(value)
            batch.delete(Family.ROW, key)
            batch.delete(Family.IDX, keys.reference(number, file, mailbox.id, keys.row_uid(key)))
        return batch

    batch = await account.shard.in_thread(uncommitted)
    columns = await mailbox.load()
    before = record.size
    record.messages = record.unseen = record.deleted = record.size = record.deleted_size = 0
    for slot in range(len(columns)):
        flags, size = columns.flags(slot), columns.size(slot)
        record.messages += 1
        record.size += size
        record.unseen += not flags & flagbits.SEEN
        if flags & flagbits.DELETED:
            record.deleted += 1
            record.deleted_size += size
        record.modseq = max(record.modseq, columns.modseq(slot))
    account.record.used_bytes += record.size - before
    account.record.modseq = max(account.record.modseq, record.modseq)
    account.synced_modseq = account.record.modseq
    record.dirty = False
    batch.put(Family.META, keys.account(number), rows.encode(account.record))
    batch.put(Family.META, keys.mailbox(number, mailbox.id), rows.encode(record))
    await account.committer.synced(account.committer.stage(batch))
