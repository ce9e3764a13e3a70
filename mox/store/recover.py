"""A change in several batches was interrupted by a crash: make its mailbox consistent again."""

from typing import TYPE_CHECKING

from mox.base import flags as flagbits
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys, rows

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.layout.rows import MailboxRecord
    from mox.store.mailbox import Mailbox


async def recover_mailbox(account: "Account", mailbox: "Mailbox") -> None:
    """Remove rows that were never committed, recount the others.  Nobody was told of either.

    A mailbox made by the interrupted change itself (Inbox was being renamed) is removed.
    """
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
    if await account.shard.in_thread(_never_made, account, record):
        del account.mailboxes[mailbox.id]
        del account.by_name[mailbox.name]
        batch.delete(Family.META, keys.mailbox(number, mailbox.id))
        await account.committer.synced(account.committer.stage(batch))
        return
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


def _never_made(account: "Account", record: "MailboxRecord") -> bool:
    """Did the change that made a mailbox not come to its end?  Its log row is in its last batch."""
    if record.createseq <= account.record.trimmed_modseq:
        return False
    return account.shard.engine.get(Family.LOG, keys.log(account.id, record.createseq)) is None
