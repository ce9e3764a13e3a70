"""Flags and keywords change: one modseq per change set, none where nothing changes.

Source  RFC 9051 §6.4.6; RFC 7162 §3.1.3.  Promise: decision 0007 (written before the reply, synced
within a second, at once where somebody could learn a modseq).
"""

from array import array
from enum import Enum

import msgspec

from mox.base import flags as flagbits
from mox.base.limits import COMMIT_BATCH_ROWS
from mox.store.account import Account
from mox.store.changes import ChangeSet, Feed
from mox.store.engine.base import Batch, Family
from mox.store.errors import MailboxMissing
from mox.store.layout import keys, rows
from mox.store.mailbox import Mailbox


class How(Enum):
    """What happens to the given flags."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


class FlagsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a flag change."""

    modseq: int  # 0: nothing changed
    changed: "array[int]"  # slots that really changed
    failed: "array[int]"  # slots left alone because they changed since
    ticket: int  # wait for it as the protocol promises


def change_flags(
    account: Account,
    mailbox: Mailbox,
    slots: "array[int]",
    how: How,
    flags: int,
    keywords: tuple[str, ...],
    *,
    unchanged_since: int | None = None,
    origin: Feed | None = None,
) -> FlagsChanged:
    """Stage a flag change of live messages.  The caller waits for the ticket.

    Input   slots: ascending, live, of the mailbox's loaded columns.
    Errors  MailboxMissing, KeywordLimit, StoreStopped; then nothing changed.
    """
    columns = mailbox.columns
    if mailbox.deleted or columns is None:
        raise MailboxMissing
    failed = array("I")
    if unchanged_since is not None:
        passed = array("I")
        for slot in slots:
            (failed if columns.modseq(slot) > unchanged_since else passed).append(slot)
        slots = passed
    if not slots:
        return FlagsChanged(modseq=0, changed=array("I"), failed=failed, ticket=0)
    known = len(mailbox.record.keywords)
    # Only messages that pass may bring keywords into the mailbox's list.
    mask = (
        mailbox.keyword_mask(keywords) if how is How.REMOVE else mailbox.ensure_keywords(keywords)
    )
    changes = []
    for slot in slots:
        old = columns.flags(slot), columns.keywords(slot)
        new = _apply(how, old, flags, mask)
        if new != old:
            changes.append((slot, old[0], *new))
    if not changes and len(mailbox.record.keywords) == known:
        return FlagsChanged(modseq=0, changed=array("I"), failed=failed, ticket=0)
    change = ChangeSet(account, origin)
    changed = array("I")
    sliced = len(changes) > COMMIT_BATCH_ROWS
    if sliced:
        mailbox.record.modseq = change.modseq
        mailbox.record.dirty = True
        change.batch.put(Family.META, keys.account(account.id), rows.encode(account.record))
        change.batch.put(
            Family.META, keys.mailbox(account.id, mailbox.id), rows.encode(mailbox.record)
        )
    for slot, old_flags, new_flags, new_keywords in changes:
        size = columns.size(slot)
        mailbox.count(old_flags, size, -1)
        mailbox.count(new_flags, size, 1)
        columns.set_flags(slot, new_flags, new_keywords, change.modseq)
        key = keys.row(account.id, mailbox.id, columns.uid(slot))
        change.batch.put(Family.ROW, key, columns.row(slot))
        changed.append(slot)
        if sliced and len(change.batch) >= COMMIT_BATCH_ROWS:
            # What a crash in the middle leaves is a part of the change; nobody was told of it.
            account.ticket = account.committer.stage(change.batch)
            change.batch = Batch()
    mailbox.record.dirty = False
    change.touch(mailbox)
    change.log(mailbox, columns.uid_ranges(changed), "flags", _describe(how, flags, keywords))
    ticket = change.stage()
    return FlagsChanged(modseq=change.modseq, changed=changed, failed=failed, ticket=ticket)


def _apply(how: How, old: tuple[int, int], flags: int, keywords: int) -> tuple[int, int]:
    if how is How.REPLACE:
        return flags, keywords
    if how is How.ADD:
        return old[0] | flags, old[1] | keywords
    return old[0] & ~flags, old[1] & ~keywords


def _describe(how: How, flags: int, keywords: tuple[str, ...]) -> str:
    names = [name for name, bit in flagbits.SYSTEM_FLAGS if flags & bit]
    return f"{how.value} {' '.join([*names, *keywords])}".rstrip()
