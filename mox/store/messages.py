"""Messages come, are copied, moved and expunged."""

import asyncio
from array import array
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter

import msgspec

from mox._speedups import (
    Columns,
    append_copies,
    expunge_slots,
    files_of,
    keywords_of,
    live_slots,
    size_of,
)
from mox.base.flags import JUNK, NOTJUNK, SEEN
from mox.base.limits import (
    BODY_INLINE,
    BODY_INLINE_BATCH,
    COMMIT_BATCH_ROWS,
    MESSAGE_IN_MEMORY,
)
from mox.store.account import Account
from mox.store.blobs.base import Body, SpoolFile
from mox.store.changes import ChangeSet, Feed
from mox.store.content import NewMessage, compose, derive_from
from mox.store.engine.base import Batch, Family
from mox.store.errors import MailboxMissing, MessageGone, UidExhausted
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts, Location
from mox.store.mailbox import Mailbox

Ranges = list[tuple[int, int]]
UID_MAX = 0xFFFFFFFF
_JUNK_FLAGS = JUNK | NOTJUNK
DERIVE_INLINE = 64 * 1024  # bytes; parsing more leaves the event loop


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """Where new messages are."""

    uidvalidity: int
    uids: Ranges
    modseq: int
    source_uids: Ranges = []  # of a copy or move, in the order of ``uids``


class _Stored(msgspec.Struct, frozen=True):
    message: NewMessage
    file: int
    location: Location
    row: bytes | None  # the content, where it is a row
    derived: dict[int, bytes]


async def append(
    account: Account,
    mailbox: Mailbox,
    messages: list[NewMessage],
    *,
    origin: Feed | None = None,
) -> Added:
    """Add messages to a mailbox, all or none; returns once they are on disk.

    Errors  MailboxMissing, QuotaExceeded, KeywordLimit, UidExhausted, MessageUnfit, DiskFull,
            StoreStopped.  Spooled contents are consumed in every case.
    """
    kept: list[_Stored] = []
    try:
        for message in messages:
            message.check()
        account.check_quota(sum(message.size for message in messages))
        as_row = _as_rows(messages)
        if len(messages) == 1:
            stored = [await _store(account, messages[0], kept, as_row=as_row[0])]
        else:
            # All of them come to their end, so that ``kept`` is complete whatever happens.
            results = await asyncio.gather(
                *(
                    _store(account, message, kept, as_row=row)
                    for message, row in zip(messages, as_row, strict=True)
                ),
                return_exceptions=True,
            )
            stored = _all_stored(results)
        change, uids = _add_stored(account, mailbox, stored, origin)
        ticket = change.stage()
    except BaseException:
        for item in kept:
            account.shard.bodies.abandon(account.id, item.file, item.location)
        for message in messages:
            if isinstance(message.content, SpoolFile):
                message.content.path.unlink(missing_ok=True)
        raise
    for item in kept:
        account.shard.named(item.location)
    await account.committer.synced(ticket)
    return Added(uidvalidity=mailbox.record.uidvalidity, uids=uids, modseq=change.modseq)


def _add_stored(
    account: Account, mailbox: Mailbox, stored: list[_Stored], origin: Feed | None
) -> tuple[ChangeSet, Ranges]:
    """From here to staging there is no await; what can fail comes before the first change."""
    account.check_open()
    if mailbox.deleted:
        raise MailboxMissing
    account.check_quota(sum(item.location.length for item in stored))
    first = mailbox.record.uidnext
    _check_uids(mailbox, len(stored))
    mailbox.ensure_keywords(tuple(word for item in stored for word in item.message.keywords))
    change = ChangeSet(account, origin)
    now, number = account.clock.now_ms(), account.id
    keep, add = account.flag_masks(mailbox)

    def fill(columns: Columns) -> "array[int]":
        slots = array("I")
        for uid, item in enumerate(stored, first):
            message = item.message
            slot = columns.append(
                uid,
                item.location.length,
                message.flags & keep | add,
                message.zone_minutes,
                message.received_ms,
                now,
                change.modseq,
                change.modseq,
                item.file,
                item.file,
                mailbox.keyword_mask(message.keywords),
            )
            slots.append(slot)
        return slots

    for uid, item in enumerate(stored, first):
        message, file = item.message, item.file
        change.batch.put(Family.LOC, keys.file(number, file), rows.encode(item.location))
        if item.row is not None:
            change.batch.put(Family.BODY, keys.file(number, file), item.row)
        facts = _facts_of(message, mailbox)
        change.batch.put(Family.MSG, keys.file(number, file), rows.encode(facts))
        if facts.is_reject:
            known_by = (facts.message_id, facts.content_hash)
            for name in keys.reject_names(number, mailbox.id, *known_by):
                change.batch.put(Family.IDX, keys.reject(name, uid), b"")
        for kind, value in item.derived.items():
            change.batch.put(Family.CACHE, keys.cache(number, file, kind), value)
    _put_messages(change.batch, mailbox, *mailbox.add(fill))
    uids = [(first, first + len(stored) - 1)]
    mailbox.record.uidnext = first + len(stored)
    change.touch(mailbox)
    change.log(mailbox, uids, "added")
    flags = 0
    for item in stored:
        flags |= item.message.flags & keep | add
    change.teaches = bool(flags & (JUNK | NOTJUNK)) or "Sent" in mailbox.record.special_use
    return change, uids


def _facts_of(message: NewMessage, mailbox: Mailbox) -> Facts:
    if message.facts.origin:
        return message.facts
    return msgspec.structs.replace(message.facts, origin=mailbox.id)


def _as_rows(messages: list[NewMessage]) -> list[bool]:
    """Which contents are put as rows: small ones, and together no more than a batch may hold."""
    left = BODY_INLINE_BATCH
    chosen = []
    for message in messages:
        row = message.size <= min(BODY_INLINE, left)
        left -= message.size if row else 0
        chosen.append(row)
    return chosen


async def _store(
    account: Account, message: NewMessage, kept: list[_Stored], *, as_row: bool
) -> _Stored:
    """A content with its place: durable there, or to be put as a row.

    Output  also in ``kept``, where somebody has to name or abandon it.
    """
    shard = account.shard
    if isinstance(message.content, bytes) and message.size <= MESSAGE_IN_MEMORY:
        content: bytes | SpoolFile = message.prefix + message.content
    else:
        content = await shard.in_thread(compose, message, shard.spool_folder)
    file = account.new_file()
    try:
        if isinstance(content, bytes) and len(content) <= DERIVE_INLINE:
            derived = derive_from(shard.derive, content)
        else:
            derived = await shard.in_thread(derive_from, shard.derive, content)
    except BaseException:
        if isinstance(content, SpoolFile):
            content.path.unlink(missing_ok=True)
        raise
    if as_row and isinstance(content, bytes):
        shard.space.check()
        return _Stored(message, file, rows.row_location(content), content, derived)
    location = await shard.bodies.put(Body(account=account.id, file=file, content=content))
    stored = _Stored(message, file, location, None, derived)
    kept.append(stored)
    return stored


def _all_stored(results: list[_Stored | BaseException]) -> list[_Stored]:
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def copy(
    account: Account,
    source: Mailbox,
    slots: "array[int]",
    target: Mailbox,
    *,
    origin: Feed | None = None,
    move: bool = False,
) -> Added:
    """Copy live messages by reference, ascending; with ``move`` they leave the source as well.

    Junk flags follow from the mailbox; what is moved out of the Rejects mailbox is unseen.
    Errors  MailboxMissing, QuotaExceeded (copy only), KeywordLimit, UidExhausted, MessageGone,
            StoreStopped.
    Locks   slot numbers hold up to the first await: the caller may let go of them after that.
    """
    target.check()
    source.check()
    columns = source.columns
    assert columns is not None
    account.check_open()
    destined: frozenset[int] = frozenset()
    if account.rules.introbox and source.name == account.rules.introbox:
        with source.pinned():
            destined = await account.shard.in_thread(
                _destined, account, files_of(columns, slots), target.id
            )
            slots = live_slots(columns, slots)
        account.check_open()
        target.check()
        source.check()
        if not slots:
            raise MessageGone
    if not move:
        account.check_quota(size_of(columns, slots))
    check_copy(source, slots, target)
    change = ChangeSet(account, origin)
    uids = copy_in(change, source, slots, target, move=move, destined=destined)
    source_uids = columns.uid_ranges(slots)
    await account.committer.synced(change.stage())
    return Added(
        uidvalidity=target.record.uidvalidity,
        uids=uids,
        modseq=change.modseq,
        source_uids=source_uids,
    )


def check_copy(source: Mailbox, slots: "array[int]", target: Mailbox) -> None:
    """Errors: UidExhausted, KeywordLimit; else the target knows the keywords from here on."""
    columns = source.columns
    assert columns is not None
    _check_uids(target, len(slots))
    target.ensure_keywords(source.keyword_names(keywords_of(columns, slots)))


def copy_in(
    change: ChangeSet,
    source: Mailbox,
    slots: "array[int]",
    target: Mailbox,
    *,
    move: bool,
    destined: frozenset[int] = frozenset(),
) -> Ranges:
    """Copy or move live messages within a change set, after ``check_copy``; their new UIDs.

    Input  destined: contents that would have gone to the target, had they not been put aside.
    """
    account, columns = change.account, source.columns
    assert columns is not None
    first = uid = target.record.uidnext
    copied = partial(
        append_copies,
        source=columns,
        saved=account.clock.now_ms(),
        modseq=change.modseq,
        there=source.keyword_bits_in(target),
    )
    most = COMMIT_BATCH_ROWS // 2
    if len(slots) > most:
        change.begin_slices(target)
    put = 0
    for some, keep, add in _marked(source, slots, target, move=move, destined=destined):
        if put and put + len(some) > most:
            # Rows from uidnext on are unknown to everybody until the record below names them.
            change.end_slice()
            put = 0
        fill = partial(copied, slots=some, first_uid=uid, keep=keep, add=add)
        _put_messages(change.batch, target, *target.add(fill))
        put += len(some)
        uid += len(some)
    target.record.uidnext = uid
    target.record.dirty = False
    uids = [(first, uid - 1)]
    change.touch(target)
    change.log(target, uids, "moved-in" if move else "added")
    if move:
        _expunge_in(change, source, slots, "moved-out")
    return uids


def _marked(
    source: Mailbox,
    slots: "array[int]",
    target: Mailbox,
    *,
    move: bool,
    destined: frozenset[int],
) -> Iterator[tuple["array[int]", int, int]]:
    """Slices of messages with what becomes of their flags: ``& keep | add``."""
    rules, columns = source.account.rules, source.columns
    assert columns is not None
    keep, add = source.account.flag_masks(target)
    if move and rules.rejects_mailbox and source.name == rules.rejects_mailbox:
        keep &= ~SEEN
    runs = [(slots, add)]
    if destined:
        name, roles = target.name, target.record.special_use
        keep &= ~_JUNK_FLAGS
        marks = [
            rules.moved(
                columns.flags(slot),
                name,
                roles,
                source=source.name,
                is_destined=columns.file(slot) in destined,
            )
            & _JUNK_FLAGS
            for slot in slots
        ]
        pairs = groupby(zip(slots, marks, strict=True), key=itemgetter(1))
        runs = [
            (array("I", (slot for slot, _ in run)), add & ~_JUNK_FLAGS | mark)
            for mark, run in pairs
        ]
    most = COMMIT_BATCH_ROWS // 2
    for run_slots, run_add in runs:
        for at in range(0, len(run_slots), most):
            yield run_slots[at : at + most], keep, run_add


def _destined(account: Account, files: "array[int]", mailbox_id: int) -> frozenset[int]:
    """Contents that would have gone to a mailbox.    Blocks."""
    found: set[int] = set()
    for at in range(0, len(files), COMMIT_BATCH_ROWS):
        some = files[at : at + COMMIT_BATCH_ROWS]
        values = account.shard.engine.multi_get(
            Family.MSG, [keys.file(account.id, file) for file in some]
        )
        found.update(
            file
            for file, value in zip(some, values, strict=True)
            if value is not None and rows.decode(Facts, value).destined == mailbox_id
        )
    return frozenset(found)


async def expunge(
    account: Account, mailbox: Mailbox, slots: "array[int]", *, origin: Feed | None = None
) -> int:
    """Remove live messages; the modseq of the change once it is durable, 0 when there were none.

    Errors  MailboxMissing, StoreStopped.
    Locks   the caller has pinned the mailbox.
    """
    if mailbox.deleted:
        raise MailboxMissing
    if not slots:
        return 0
    change = ChangeSet(account, origin)
    _expunge_in(change, mailbox, slots, "expunged")
    await account.committer.synced(change.stage())
    return change.modseq


def expunge_all_in(change: ChangeSet, mailbox: Mailbox, what: str) -> None:
    """Remove every live message of a loaded mailbox within a change set that deletes it."""
    columns = mailbox.columns
    assert columns is not None
    slots = columns.visible_slots(len(columns), change.modseq)
    if slots:
        _set_gone(change, mailbox, slots, what)
        every = keys.rows(mailbox.account.id, mailbox.id, 1, 1 << 32)
        change.batch.delete_range(Family.ROW, *every)


def _expunge_in(change: ChangeSet, mailbox: Mailbox, slots: "array[int]", what: str) -> None:
    columns = mailbox.columns
    assert columns is not None
    uids = _set_gone(change, mailbox, slots, what)
    number, mailbox_id = mailbox.account.id, mailbox.id
    change.batch.put(
        Family.VANISHED,
        keys.vanished(number, mailbox_id, change.modseq),
        rows.encode_uids(uids),
    )
    if len(uids) <= COMMIT_BATCH_ROWS // 4:
        for first, last in uids:
            if first == last:
                change.batch.delete(Family.ROW, keys.row(number, mailbox_id, first))
            else:
                start, end = keys.rows(number, mailbox_id, first, last + 1)
                change.batch.delete_range(Family.ROW, start, end)
        return
    batches = []
    for at in range(0, len(slots), COMMIT_BATCH_ROWS):
        some = columns.uids(slots[at : at + COMMIT_BATCH_ROWS])
        batches.append(Batch())
        batches[-1].delete_all(Family.ROW, keys.row_keys(number, mailbox_id, some))
    change.put_later(mailbox, batches)


def _set_gone(change: ChangeSet, mailbox: Mailbox, slots: "array[int]", what: str) -> Ranges:
    """All of an expunge but its rows; the UIDs."""
    columns = mailbox.columns
    assert columns is not None
    before = columns.counts()
    expunge_slots(columns, slots, change.modseq)
    mailbox.take_counts(before, columns.counts())
    uids = columns.uid_ranges(slots)
    change.touch(mailbox)
    change.log(mailbox, uids, what)
    # The contents stay until no view can ask for them (mox.store.erase), and so do the references.
    change.batch.put(
        Family.KV,
        keys.erase(mailbox.account.id, change.modseq, mailbox.id),
        rows.encode_files(files_of(columns, slots)),
    )
    return uids


def _put_messages(batch: Batch, mailbox: Mailbox, columns: Columns, slots: "array[int]") -> None:
    number, mailbox_id = mailbox.account.id, mailbox.id
    uids = columns.uids(slots)
    batch.put_all(
        Family.ROW,
        keys.row_keys(number, mailbox_id, uids),
        rows.message_rows(columns, slots),
    )
    batch.put_all(
        Family.IDX,
        keys.reference_keys(number, files_of(columns, slots), mailbox_id, uids),
        [b""] * len(slots),
    )


def _check_uids(mailbox: Mailbox, count: int) -> None:
    # RFC 9051 §9: UIDNEXT is a 32-bit number as well, so the last UID is never given out.
    if mailbox.record.uidnext + count > UID_MAX:
        raise UidExhausted
