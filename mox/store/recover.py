"""A change in several batches was interrupted by a crash: make its mailbox consistent again."""

from typing import TYPE_CHECKING

from mox._speedups import encode_ranges
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys, rows
from mox.store.layout.rows import LogChange, LogRow

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.layout.rows import MailboxRecord
    from mox.store.mailbox import Mailbox


async def recover_mailbox(account: "Account", mailbox: "Mailbox") -> None:
    """Remove rows that were never committed or are expunged, recount the others.

    Nobody was told of any of this.  A mailbox made by the interrupted change itself (Inbox was being renamed) is removed.
    """
    record, engine, number = mailbox.record, account.shard.engine, account.id

    def leftovers() -> Batch:
        batch = Batch()
        expunged = engine.get(Family.VANISHED, keys.vanished(number, mailbox.id, record.modseq))
        for first, last in rows.decode_uids(expunged) if expunged else ():
            batch.delete_range(Family.ROW, *keys.rows(number, mailbox.id, first, last + 1))
        start, end = keys.rows(number, mailbox.id, record.uidnext, 1 << 32)
        for key, value in engine.scan(Family.ROW, start, end):
            file = rows.row_file(value)
            batch.delete(Family.ROW, key)
            batch.delete(Family.IDX, keys.reference(number, file, mailbox.id, keys.row_uid(key)))
        return batch

    batch = await account.shard.in_thread(leftovers)
    if await account.shard.in_thread(_never_made, account, record):
        del account.mailboxes[mailbox.id]
        del account.by_name[mailbox.name]
        account.record.used_bytes -= record.size
        batch.put(Family.META, keys.account(number), rows.encode(account.record))
        batch.delete(Family.META, keys.mailbox(number, mailbox.id))
        await account.committer.synced(account.committer.stage(batch))
        return
    await account.committer.written(account.committer.stage(batch))
    columns = await mailbox.load()
    every = columns.visible_slots(len(columns), 0)
    record.modseq = max(record.modseq, columns.max_modseq(every))
    kept = (record.messages, record.unseen, record.deleted, record.size, record.deleted_size)
    mailbox.take_counts(kept, columns.counts())
    # Flags may have changed without a row of the log: a change of our own says to look at all of it.
    account.record.modseq = max(account.record.modseq, record.modseq) + 1
    account.synced_modseq = account.record.modseq
    record.dirty = False
    batch = Batch()
    row = LogRow(account.clock.now_ms(), (LogChange(mailbox.id, encode_ranges([]), "recovered"),))
    batch.put(Family.LOG, keys.log(number, account.record.modseq), rows.encode(row))
    batch.put(Family.META, keys.account(number), rows.encode(account.record))
    batch.put(Family.META, keys.mailbox(number, mailbox.id), rows.encode(record))
    await account.committer.synced(account.committer.stage(batch))


def _never_made(account: "Account", record: "MailboxRecord") -> bool:
    """Did the change that made a mailbox not come to its end?  Its log row is in its last batch."""
    if record.createseq <= account.record.trimmed_modseq:
        return False
    return account.shard.engine.get(Family.LOG, keys.log(account.id, record.createseq)) is None
