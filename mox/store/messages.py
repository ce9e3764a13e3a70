"""Messages come, are copied, moved and expunged."""

import asyncio
from array import array

import msgspec

from mox._speedups import Columns
from mox.base.limits import COMMIT_BATCH_ROWS, MESSAGE_IN_MEMORY
from mox.store.account import Account
from mox.store.blobs.base import Body, SpoolFile
from mox.store.changes import ChangeSet, Feed
from mox.store.content import NewMessage, compose, derive_from
from mox.store.engine.base import Batch, Family
from mox.store.errors import MailboxMissing, UidExhausted
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts, Location
from mox.store.mailbox import Mailbox, NewSlot

Ranges = list[tuple[int, int]]
UID_MAX = 0xFFFFFFFF
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
        # All of them come to their end, so that ``kept`` is complete whatever happens.
        results = await asyncio.gather(
            *(_store(account, message, kept) for message in messages), return_exceptions=True
        )
        change, uids = _add_stored(account, mailbox, _all_stored(results), origin)
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
    added: list[NewSlot] = []
    for uid, item in enumerate(stored, first):
        message, file = item.message, item.file
        added.append(
            (
                uid,
                item.location.length,
                message.flags & keep | add,
                message.zone_minutes,
                message.received_ms,
                now,
                change.modseq,
                change.modseq,
                file,
                file,
                mailbox.keyword_mask(message.keywords),
            )
        )
        change.batch.put(Family.LOC, keys.file(number, file), rows.encode(item.location))
        facts = _facts_of(message, mailbox)
        change.batch.put(Family.MSG, keys.file(number, file), rows.encode(facts))
        if facts.is_reject:
            known_by = (facts.message_id, facts.content_hash)
            for name in keys.reject_names(number, mailbox.id, *known_by):
                change.batch.put(Family.IDX, keys.reject(name, uid), b"")
        for kind, value in item.derived.items():
            change.batch.put(Family.CACHE, keys.cache(number, file, kind), value)
    _put_messages(change.batch, account, mailbox, added)
    uids = [(first, first + len(stored) - 1)]
    mailbox.record.uidnext = first + len(stored)
    change.touch(mailbox)
    change.log(mailbox, uids, "added")
    return change, uids


def _facts_of(message: NewMessage, mailbox: Mailbox) -> Facts:
    if message.facts.origin:
        return message.facts
    return msgspec.structs.replace(message.facts, origin=mailbox.id)


async def _store(account: Account, message: NewMessage, kept: list[_Stored]) -> _Stored:
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
    location = await shard.bodies.put(Body(account=account.id, file=file, content=content))
    stored = _Stored(message, file, location, derived)
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

    Errors  MailboxMissing, QuotaExceeded (copy only), KeywordLimit, UidExhausted, StoreStopped.
    Locks   slot numbers hold up to the first await: the caller may let go of them after that.
    """
    if target.deleted or source.deleted:
        raise MailboxMissing
    columns = source.columns
    assert columns is not None
    account.check_open()
    if not move:
        account.check_quota(sum(columns.size(slot) for slot in slots))
    check_copy(source, slots, target)
    change = ChangeSet(account, origin)
    uids = copy_in(change, source, slots, target, move=move)
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
    target.ensure_keywords(_all_keywords(source, columns, slots))


def copy_in(
    change: ChangeSet, source: Mailbox, slots: "array[int]", target: Mailbox, *, move: bool
) -> Ranges:
    """Copy or move live messages within a change set, after ``check_copy``; their new UIDs."""
    account, columns = change.account, source.columns
    assert columns is not None
    translate = _Translation(source, target)
    first = target.record.uidnext
    now = account.clock.now_ms()
    if len(slots) > COMMIT_BATCH_ROWS // 2:
        _begin_slices(change, target)
    for at in range(0, len(slots), COMMIT_BATCH_ROWS // 2):
        some = slots[at : at + COMMIT_BATCH_ROWS // 2]
        if at:
            # Rows from uidnext on are unknown to everybody until the record below names them.
            account.ticket = account.committer.stage(change.batch)
            change.batch = Batch()
        added = [
            (
                uid,
                columns.size(slot),
                columns.flags(slot),
                columns.zone(slot),
                columns.received(slot),
                now,
                change.modseq,
                change.modseq,
                columns.thread(slot),
                columns.file(slot),
                translate(columns.keywords(slot)),
            )
            for uid, slot in enumerate(some, first + at)
        ]
        _put_messages(change.batch, account, target, added)
    uids = [(first, first + len(slots) - 1)]
    target.record.uidnext = first + len(slots)
    target.record.dirty = False
    change.touch(target)
    change.log(target, uids, "moved-in" if move else "added")
    if move:
        _expunge_in(change, source, slots, "moved-out")
    return uids


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
    """Remove every live message of a loaded mailbox within a change set."""
    columns = mailbox.columns
    assert columns is not None
    slots = columns.visible_slots(len(columns), change.modseq)
    if slots:
        _expunge_in(change, mailbox, slots, what)


def _expunge_in(change: ChangeSet, mailbox: Mailbox, slots: "array[int]", what: str) -> None:
    columns = mailbox.columns
    assert columns is not None
    number, mailbox_id = mailbox.account.id, mailbox.id
    files = array("Q", [columns.file(slot) for slot in slots])
    change.batch.delete_all(
        Family.IDX,
        [
            keys.reference(number, file, mailbox_id, uid)
            for file, uid in zip(files, columns.uids(slots), strict=True)
        ],
    )
    before = columns.counts()
    for slot in slots:
        columns.set_gone(slot, change.modseq)
    mailbox.take_counts(before, columns.counts())
    uids = columns.uid_ranges(slots)
    for first, last in uids:
        if first == last:
            change.batch.delete(Family.ROW, keys.row(number, mailbox.id, first))
        else:
            change.batch.delete_range(Family.ROW, *keys.rows(number, mailbox.id, first, last + 1))
    change.touch(mailbox)
    change.log(mailbox, uids, what)
    change.batch.put(
        Family.VANISHED,
        keys.vanished(number, mailbox.id, change.modseq),
        rows.encode_uids(uids),
    )
    # The contents stay until no view can ask for them (mox.store.erase).
    change.batch.put(
        Family.KV, keys.erase(number, change.modseq, mailbox.id), rows.encode_files(files)
    )


def _put_messages(batch: Batch, account: Account, mailbox: Mailbox, slots: list[NewSlot]) -> None:
    number, mailbox_id = account.id, mailbox.id
    batch.put_all(
        Family.ROW,
        [keys.row(number, mailbox_id, slot[0]) for slot in slots],
        [rows.pack_row(*slot) for slot in slots],
    )
    batch.put_all(
        Family.IDX,
        [keys.reference(number, slot[9], mailbox_id, slot[0]) for slot in slots],
        [b""] * len(slots),
    )
    for slot in slots:
        mailbox.add(slot)


def _begin_slices(change: ChangeSet, mailbox: Mailbox) -> None:
    """A change of several batches begins: after a crash the mailbox is recounted."""
    account = change.account
    mailbox.record.dirty = True
    change.batch.put(Family.META, keys.account(account.id), rows.encode(account.record))
    change.batch.put(Family.META, keys.mailbox(account.id, mailbox.id), rows.encode(mailbox.record))


def _check_uids(mailbox: Mailbox, count: int) -> None:
    # RFC 9051 §9: UIDNEXT is a 32-bit number as well, so the last UID is never given out.
    if mailbox.record.uidnext + count > UID_MAX:
        raise UidExhausted


def _all_keywords(source: Mailbox, columns: Columns, slots: "array[int]") -> tuple[str, ...]:
    mask = 0
    for slot in slots:
        mask |= columns.keywords(slot)
    return source.keyword_names(mask)


class _Translation:
    """Keyword bits of one mailbox as bits of another; remembers what it has seen."""

    def __init__(self, source: Mailbox, target: Mailbox) -> None:
        self._source, self._target = source, target
        self._known: dict[int, int] = {0: 0}

    def __call__(self, mask: int) -> int:
        found = self._known.get(mask)
        if found is None:
            found = self._target.keyword_mask(self._source.keyword_names(mask))
            self._known[mask] = found
        return found
