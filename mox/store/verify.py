"""Is everything consistent?    Every invariant of the account store, checked from the stored rows.

Bytes that no row refers to are no problem: a crash leaves them, and the next start or reclaiming
removes them.  Source  spec of the account store, section 4, as far as its parts exist.  Run by ``mox verifydata`` on a
folder that no server has open, and by tests on live accounts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from mox._speedups import Columns, count_ranges
from mox.base import flags as flagbits
from mox.mailauth.publicsuffix import listed
from mox.store.account import Account
from mox.store.blobs.base import Blobs
from mox.store.blobs.packs import PackBlobs
from mox.store.engine.base import Engine, Family
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import DataDamaged, DataUnreadable
from mox.store.layout import keys, rows
from mox.store.layout.rows import AccountRecord, Location, LogRow, MailboxRecord
from mox.store.verify_learnt import Learnt
from mox.store.votes import Organizational


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must not be."""

    where: str  # account and mailbox
    text: str


async def verify_account(account: Account) -> list[Problem]:
    """Check a live account; everything it staged is settled and learnt first."""
    await account.settle()
    shard = account.shard
    await shard.learner.write_down(account)
    place = _Place(shard.engine, shard.blobs, shard.organizational)
    problems = await shard.in_thread(
        lambda: list(_account(place, account.id, contents=True, junk=True))
    )
    stored_ids = {
        int.from_bytes(key[5:13], "big")
        for key, _ in shard.engine.scan(Family.META, *keys.mailboxes(account.id))
    }
    for number in stored_ids - account.mailboxes.keys():
        problems.append(Problem(where=account.name, text=f"mailbox {number} is stored only"))
    value = shard.engine.get(Family.META, keys.account(account.id))
    # Content ids are given out before they are stored.
    if value is None or account.record != msgspec.structs.replace(
        rows.decode(AccountRecord, value), next_file=account.record.next_file
    ):
        text = "the record in memory differs from the stored one"
        problems.append(Problem(where=account.name, text=text))
    for mailbox in account.mailboxes.values():
        stored = shard.engine.get(Family.META, keys.mailbox(account.id, mailbox.id))
        if stored != rows.encode(mailbox.record):
            problems.append(
                Problem(
                    where=f"{account.name}: {mailbox.name}",
                    text="the record in memory differs from the stored one",
                )
            )
    return problems


class _Place(NamedTuple):
    """Where an account is stored."""

    engine: Engine
    blobs: Blobs
    organizational: Organizational


def verify_folder(data_dir: Path, *, contents: bool = True, junk: bool = False) -> list[Problem]:
    """Check every shard of a data folder.    Errors: DataLocked, DataUnreadable.

    Input  contents: each content is read.  junk: the words of junk filters are counted again.
    """
    if not (data_dir / "shards").is_dir() and (data_dir / "data" / "shards").is_dir():
        data_dir = data_dir / "data"  # the folder around it, as mox localserve --dir names it
    shards = sorted((data_dir / "shards").glob("*"))
    if not shards:
        raise DataUnreadable(f"{data_dir} is not a data folder: it has no shards")
    problems: list[Problem] = []
    for folder in shards:
        engine = RocksEngine(folder / "db")
        blobs = PackBlobs(folder)
        try:
            for _, value in engine.scan(Family.META, *keys.ACCOUNT_NAMES):
                number = int.from_bytes(value, "big")
                place = _Place(engine, blobs, listed().organizational)
                problems += _account(place, number, contents=contents, junk=junk)
        finally:
            blobs.close()
            engine.close()
    return problems


def _account(place: _Place, number: int, *, contents: bool, junk: bool) -> Iterator[Problem]:
    engine, blobs, organizational = place
    value = engine.get(Family.META, keys.account(number))
    if value is None:
        yield Problem(where=f"account {number}", text="it has a name but no record")
        return
    account = rows.decode(AccountRecord, value)
    mailboxes = {
        int.from_bytes(key[5:13], "big"): rows.decode(MailboxRecord, stored)
        for key, stored in engine.scan(Family.META, *keys.mailboxes(number))
    }
    yield from _tree(account, mailboxes)
    used = 0
    referred: set[tuple[int, int, int]] = set()
    modseqs: dict[int, str] = {}
    for mailbox_id, record in mailboxes.items():
        used += record.size
        columns = Columns()
        start, end = keys.rows(number, mailbox_id, 1, 1 << 32)
        stored_rows = list(engine.scan(Family.ROW, start, end))
        try:
            columns.load([row for _, row in stored_rows])
        except ValueError as error:
            yield Problem(where=f"{account.name}: {record.name}", text=f"damaged rows: {error}")
            continue
        for slot, (key, _) in enumerate(stored_rows):
            if keys.row_uid(key) != columns.uid(slot):
                yield Problem(
                    where=f"{account.name}: {record.name}",
                    text="a row has another UID than its key",
                )
            referred.add((columns.file(slot), mailbox_id, columns.uid(slot)))
        yield from _mailbox(account, record, columns)
    if used != account.used_bytes:
        yield Problem(
            where=account.name, text=f"{account.used_bytes} bytes counted, {used} in mailboxes"
        )
    yield from _vanished(engine, number, account, mailboxes, referred)
    yield from _log(engine, number, account, modseqs)
    yield from _contents(engine, blobs, number, account, referred, contents=contents)
    try:
        learnt = Learnt(engine, blobs, number, mailboxes, organizational)
        for name, text in learnt.problems(account, contents=contents, junk=junk):
            yield Problem(where=f"{account.name}: {name}" if name else account.name, text=text)
    except DataDamaged as error:
        yield Problem(where=account.name, text=error.public)


def _tree(account: AccountRecord, mailboxes: dict[int, MailboxRecord]) -> Iterator[Problem]:
    names = [record.name for record in mailboxes.values()]
    for name in {name for name in names if names.count(name) > 1}:
        yield Problem(where=f"{account.name}: {name}", text="two mailboxes have this name")
    for mailbox_id, record in mailboxes.items():
        where = f"{account.name}: {record.name}"
        parent = record.name.rpartition("/")[0]
        if parent and parent not in names:
            yield Problem(where=where, text="its parent is missing")
        if record.uidvalidity >= account.next_uidvalidity:
            yield Problem(where=where, text="UIDVALIDITY is not below the next one to give out")
        if mailbox_id >= account.next_mailbox:
            yield Problem(where=where, text="its id is not below the next one to give out")
        if not 0 < record.createseq <= record.modseq <= account.modseq:
            yield Problem(
                where=where, text="createseq, modseq and the account's modseq do not ascend"
            )
        if record.dirty:
            yield Problem(where=where, text="a change was interrupted and not recovered yet")


def _mailbox(account: AccountRecord, record: MailboxRecord, columns: Columns) -> Iterator[Problem]:
    where = f"{account.name}: {record.name}"
    messages = unseen = deleted = size = deleted_size = 0
    for slot in range(len(columns)):
        flags, length = columns.flags(slot), columns.size(slot)
        messages += 1
        size += length
        unseen += not flags & flagbits.SEEN
        if flags & flagbits.DELETED:
            deleted += 1
            deleted_size += length
        uid = columns.uid(slot)
        if uid >= record.uidnext:
            yield Problem(where=where, text=f"UID {uid} is not below UIDNEXT {record.uidnext}")
        if not 0 < columns.createseq(slot) <= columns.modseq(slot) <= record.modseq:
            yield Problem(where=where, text=f"UID {uid}: createseq and modseq do not ascend")
        if columns.file(slot) >= account.next_file:
            yield Problem(where=where, text=f"UID {uid}: content id was never given out")
        if columns.keywords(slot) >> len(record.keywords):
            yield Problem(where=where, text=f"UID {uid} has a keyword unknown to its mailbox")
        if not columns.thread(slot):
            yield Problem(where=where, text=f"UID {uid} is in no thread")
    counted = (messages, unseen, deleted, size, deleted_size)
    kept = (record.messages, record.unseen, record.deleted, record.size, record.deleted_size)
    if counted != kept:
        yield Problem(
            where=where,
            text=f"messages, unseen, deleted, size, deleted size: kept {kept}, counted {counted}",
        )


def _vanished(
    engine: Engine,
    number: int,
    account: AccountRecord,
    mailboxes: dict[int, MailboxRecord],
    referred: set[tuple[int, int, int]],
) -> Iterator[Problem]:
    live: dict[int, set[int]] = {}
    for _, mailbox_id, uid in referred:
        live.setdefault(mailbox_id, set()).add(uid)
    gone: dict[int, set[int]] = {}
    for key, value in engine.scan(Family.VANISHED, *keys.account_range(number)):
        mailbox_id = int.from_bytes(key[4:12], "big")
        record = mailboxes.get(mailbox_id)
        where = f"{account.name}: {record.name if record else mailbox_id}"
        if record is None:
            yield Problem(where=where, text="expunges are recorded of a mailbox that is not there")
            continue
        if keys.vanished_modseq(key) > record.modseq:
            yield Problem(where=where, text="an expunge is newer than its mailbox")
        ranges = rows.decode_uids(value)
        if count_ranges(ranges) > 50_000_000:
            yield Problem(where=where, text="an expunge names impossibly many UIDs")
            continue
        for first, last in ranges:
            for uid in range(first, last + 1):
                if uid in live.get(mailbox_id, ()):
                    yield Problem(where=where, text=f"UID {uid} is expunged and there")
                if uid in gone.setdefault(mailbox_id, set()):
                    yield Problem(where=where, text=f"UID {uid} was expunged twice")
                gone[mailbox_id].add(uid)
                if uid >= record.uidnext:
                    yield Problem(where=where, text=f"expunged UID {uid} is not below UIDNEXT")


def _log(
    engine: Engine, number: int, account: AccountRecord, seen: dict[int, str]
) -> Iterator[Problem]:
    for key, value in engine.scan(Family.LOG, *keys.account_range(number)):
        modseq = int.from_bytes(key[4:12], "big")
        if modseq > account.modseq:
            yield Problem(where=account.name, text=f"log row {modseq} is newer than the account")
        try:
            rows.decode(LogRow, value)
        except DataDamaged as error:
            yield Problem(where=account.name, text=f"log row {modseq}: {error.public}")


def _contents(
    engine: Engine,
    blobs: Blobs,
    number: int,
    account: AccountRecord,
    referred: set[tuple[int, int, int]],
    *,
    contents: bool,
) -> Iterator[Problem]:
    where = account.name
    start, end = keys.references(number, 0)[0], keys.references(number, 1 << 63)[0]
    indexed = {keys.reference_parts(key) for key, _ in engine.scan(Family.IDX, start, end)}
    for file, mailbox_id, uid in referred - indexed:
        yield Problem(where=where, text=f"mailbox {mailbox_id} UID {uid}: no reference to {file}")
    awaiting = {
        file
        for _, value in engine.scan(Family.KV, *keys.settings(number, keys.ERASE))
        for file in rows.decode_files(value)
    }
    for file, mailbox_id, uid in indexed - referred:
        if file not in awaiting:
            text = f"mailbox {mailbox_id} UID {uid}: reference without a row"
            yield Problem(where=where, text=text)
    needed = {file for file, _, _ in referred}
    sizes = _sizes(engine, number, referred)
    located: dict[int, Location] = {}
    # Side by side, so that they are of the same moment.
    places = engine.scan(Family.LOC, *keys.account_range(number))
    in_rows = engine.scan(Family.BODY, *keys.account_range(number))
    for key, value in places:
        file = keys.file_id(key)
        location = located[file] = rows.decode(Location, value)
        if file not in needed and file not in awaiting:
            yield Problem(where=where, text=f"content {file} is referred to by nobody")
        if file in needed and sizes.get(file) != location.length:
            yield Problem(where=where, text=f"content {file} has another size than its messages")
        if contents and not location.is_row:
            try:
                data = blobs.read(number, file, location, 0, location.length)
                if len(data) != location.length:
                    yield Problem(where=where, text=f"content {file} is shorter than recorded")
            except (DataDamaged, OSError) as error:
                yield Problem(where=where, text=f"content {file}: {error}")
    for file in needed - located.keys():
        yield Problem(where=where, text=f"content {file} has no place: a message is lost")
    if contents:
        yield from _rows(in_rows, account, located)


def _rows(
    stored: Iterator[tuple[bytes, bytes]], account: AccountRecord, located: dict[int, Location]
) -> Iterator[Problem]:
    """Contents that are rows, against the places that say so."""
    missing = {file for file, location in located.items() if location.is_row}
    for key, value in stored:
        file = keys.file_id(key)
        if file not in missing:
            yield Problem(where=account.name, text=f"content {file}: a row that no place names")
            continue
        missing.remove(file)
        try:
            rows.row_content(located[file], value)
        except DataDamaged as error:
            yield Problem(where=account.name, text=f"content {file}: {error}")
    for file in missing:
        yield Problem(where=account.name, text=f"content {file} has no row: a message is lost")


def _sizes(engine: Engine, number: int, referred: set[tuple[int, int, int]]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    columns = Columns()
    for file, mailbox_id, uid in referred:
        row = engine.get(Family.ROW, keys.row(number, mailbox_id, uid))
        assert row is not None
        columns = Columns()
        columns.load([row])
        sizes[file] = columns.size(0)
    return sizes
