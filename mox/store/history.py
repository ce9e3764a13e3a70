"""What happened to a mailbox since a modseq.    Source  RFC 7162 §3.2."""

from mox._speedups import count_ranges, intersect_ranges, merge_ranges, subtract_ranges
from mox.store.account import Account
from mox.store.engine.base import Family
from mox.store.layout import keys, rows
from mox.store.mailbox import Mailbox

Ranges = list[tuple[int, int]]


async def vanished_since(
    account: Account, mailbox: Mailbox, since: int, upto: int, known: Ranges
) -> Ranges:
    """UIDs of ``known`` expunged at modseqs ``since < m <= upto``; ascending.

    Where history was trimmed: every known UID that is not there any more.
    """
    if since < account.record.trimmed_modseq:
        columns = await mailbox.load()
        live = columns.slots_by_uid([(1, 0xFFFFFFFF)], len(columns), upto)
        below = [(1, mailbox.record.uidnext - 1)] if mailbox.record.uidnext > 1 else []
        return subtract_ranges(intersect_ranges(known, below), columns.uid_ranges(live))
    start = keys.vanished(account.id, mailbox.id, since + 1)
    end = keys.vanished(account.id, mailbox.id, upto + 1)
    engine = account.shard.engine

    def read() -> list[Ranges]:
        return [rows.decode_uids(value) for _, value in engine.scan(Family.VANISHED, start, end)]

    return intersect_ranges(merge_ranges(await account.shard.in_thread(read)), known)


async def expunged_by(account: Account, mailbox: Mailbox, uid: int, upto: int) -> int:
    """Modseq of the expunge of a UID at or before ``upto``; 0 when there is none."""
    start = keys.vanished(account.id, mailbox.id, 0)
    end = keys.vanished(account.id, mailbox.id, upto + 1)
    engine = account.shard.engine

    def read() -> int:
        for key, value in engine.scan(Family.VANISHED, start, end):
            if count_ranges(intersect_ranges(rows.decode_uids(value), [(uid, uid)])):
                return keys.vanished_modseq(key)
        return 0

    return await account.shard.in_thread(read)


def is_complete(account: Account, since: int) -> bool:
    """Is the history after this modseq whole?"""
    return since >= account.record.trimmed_modseq
