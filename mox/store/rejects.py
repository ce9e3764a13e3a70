"""The Rejects mailbox: what was refused is kept for a while, so that the user can rescue it.

A message is known again by its Message-ID or by the hash of what was received; index rows that are
written with it say so.  They may outlive it: whoever reads them looks whether the message is there.
Source  spec of the account store, section 10.
"""

from array import array

import msgspec

from mox.base import flags as flagbits
from mox.base.limits import COMMIT_BATCH_ROWS, REJECTS_DAYS, REJECTS_KEPT
from mox.store.account import Account
from mox.store.blobs.base import SpoolFile
from mox.store.content import NewMessage
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import ensure
from mox.store.messages import append, expunge

DAY_MS = 24 * 60 * 60 * 1000


async def keep(
    account: Account, mailbox_name: str, message: NewMessage, *, now_ms: int, keep_all: bool
) -> bool:
    """Keep a refused message, seen; False where it is there already or there are too many.

    Input   message: with Message-ID, content hash and destined mailbox in its facts.
            keep_all: nothing is removed because of age, and there is no limit to their number.
    Errors  as ``messages.append``, MailboxNameInvalid.  A spooled content is consumed in every case.
    """
    try:
        async with account.keeping_reject:
            mailbox = await ensure(account, mailbox_name)
            if not keep_all:
                await _tidy(account, mailbox, now_ms)
                if mailbox.record.messages >= REJECTS_KEPT:
                    return False
            facts = msgspec.structs.replace(message.facts, is_reject=True)
            names = keys.reject_names(account.id, mailbox.id, facts.message_id, facts.content_hash)
            if await account.shard.in_thread(_live_uids, account, mailbox.id, names):
                return False
            kept = msgspec.structs.replace(
                message, facts=facts, flags=message.flags | flagbits.SEEN
            )
            await append(account, mailbox, [kept])
            return True
    finally:
        if isinstance(message.content, SpoolFile):
            message.content.path.unlink(missing_ok=True)


async def forget(account: Account, mailbox_name: str, message_id: str) -> int:
    """Expunge kept messages of this Message-ID, as it was accepted now; their number.

    Cost    nothing where there is no mailbox or nothing in it, else one short read.
    Errors  MailboxNameInvalid, StoreStopped.
    """
    mailbox = account.by_name.get(account.normalise(mailbox_name))
    if mailbox is None or not mailbox.record.messages or not message_id:
        return 0
    names = keys.reject_names(account.id, mailbox.id, message_id, b"")
    uids = await account.shard.in_thread(_live_uids, account, mailbox.id, names)
    if not uids:
        return 0
    with mailbox.pinned():
        columns = await mailbox.load()
        if mailbox.deleted:
            return 0
        ranges = [(uid, uid) for uid in uids]
        slots = columns.slots_by_uid(ranges, len(columns), account.record.modseq)
        await expunge(account, mailbox, slots)
    mailbox.compact()
    return len(slots)


def _live_uids(account: Account, mailbox_id: int, names: list[bytes]) -> list[int]:
    """Messages of the names that are there, ascending.    Blocks."""
    engine = account.shard.engine
    found = {
        keys.reject_parts(key)[1]
        for name in names
        for key, _ in engine.scan(Family.IDX, *keys.rejects(name))
    }
    uids = sorted(found)
    values = engine.multi_get(Family.ROW, [keys.row(account.id, mailbox_id, uid) for uid in uids])
    return [uid for uid, value in zip(uids, values, strict=True) if value is not None]


async def _tidy(account: Account, mailbox: Mailbox, now_ms: int) -> None:
    """Expunge what is too old."""
    oldest = now_ms - REJECTS_DAYS * DAY_MS
    with mailbox.pinned():
        columns = await mailbox.load()
        if mailbox.deleted:
            return
        received = columns.received
        there = columns.visible_slots(len(columns), account.record.modseq)
        old = array("I", (slot for slot in there if received(slot) < oldest))
        await expunge(account, mailbox, old)
    if old:
        mailbox.compact()


async def sweep(account: Account) -> None:
    """Remove index rows whose message is gone."""
    stale = await account.shard.in_thread(_stale, account)
    for at in range(0, len(stale), COMMIT_BATCH_ROWS):
        account.check_open()
        batch = Batch()
        batch.delete_all(Family.IDX, stale[at : at + COMMIT_BATCH_ROWS])
        account.ticket = account.committer.stage(batch)


def _stale(account: Account) -> list[bytes]:
    engine = account.shard.engine
    found = [key for key, _ in engine.scan(Family.IDX, *keys.rejects_of(account.id))]
    values = engine.multi_get(
        Family.ROW, [keys.row(account.id, *keys.reject_parts(key)) for key in found]
    )
    return [key for key, value in zip(found, values, strict=True) if value is None]
