"""Flags and keywords change: one modseq per change set, none where nothing changes.

Source  RFC 9051 §6.4.6; RFC 7162 §3.1.3.  Promise: decision 0007 (written before the reply, synced
within a second, at once where somebody could learn a modseq).
"""

from array import array
from enum import Enum

import msgspec

from mox._speedups import Columns, flag_changes, set_flags_of, split_modseq
from mox.base import flags as flagbits
from mox.base.limits import COMMIT_BATCH_ROWS
from mox.store.account import Account
from mox.store.changes import ChangeSet, Feed
from mox.store.engine.base import Family
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
    ticket: int  # wait for it as the protocol promises, also where another session's change did it


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
    account.check_open()
    failed = array("I")
    if unchanged_since is not None:
        slots, failed = split_modseq(columns, slots, unchanged_since)
    if not slots:
        return FlagsChanged(modseq=0, changed=array("I"), failed=failed, ticket=account.ticket)
    known = len(mailbox.record.keywords)
    # Only messages that pass may bring keywords into the mailbox's list.
    mask = (
        mailbox.keyword_mask(keywords) if how is How.REMOVE else mailbox.ensure_keywords(keywords)
    )
    masks = *_masks(how, flags), *_masks(how, mask)
    changed = flag_changes(columns, slots, *masks)
    if not changed and len(mailbox.record.keywords) == known:
        return FlagsChanged(modseq=0, changed=array("I"), failed=failed, ticket=account.ticket)
    change = ChangeSet(account, origin)
    before = columns.counts()
    set_flags_of(columns, changed, *masks, change.modseq)
    mailbox.take_counts(before, columns.counts())
    _put_rows(change, mailbox, columns, changed)
    change.touch(mailbox)
    change.log(mailbox, columns.uid_ranges(changed), "flags", _describe(how, flags, keywords))
    change.teaches = how is How.REPLACE or bool(flags & (flagbits.JUNK | flagbits.NOTJUNK))
    ticket = change.stage()
    return FlagsChanged(modseq=change.modseq, changed=changed, failed=failed, ticket=ticket)


def _masks(how: How, bits: int) -> tuple[int, int]:
    """Bits that are kept, and bits that are set."""
    if how is How.REPLACE:
        return 0, bits
    if how is How.ADD:
        return -1, bits
    return ~bits, 0


def _put_rows(change: ChangeSet, mailbox: Mailbox, columns: Columns, slots: "array[int]") -> None:
    """Put changed rows into the change set; many of them go in slices before it."""
    number = change.account.id
    if len(slots) > COMMIT_BATCH_ROWS:
        # What a crash in the middle leaves is a part of the change; nobody was told of it.
        mailbox.record.modseq = change.modseq
        change.begin_slices(mailbox)
    for at in range(0, len(slots), COMMIT_BATCH_ROWS):
        if at:
            change.end_slice()
        some = slots[at : at + COMMIT_BATCH_ROWS]
        change.batch.put_all(
            Family.ROW,
            keys.row_keys(number, mailbox.id, columns.uids(some)),
            rows.message_rows(columns, some),
        )
    mailbox.record.dirty = False


def _describe(how: How, flags: int, keywords: tuple[str, ...]) -> str:
    names = [name for name, bit in flagbits.SYSTEM_FLAGS if flags & bit]
    return f"{how.value} {' '.join([*names, *keywords])}".rstrip()
