"""Putting a message into the queue: its content once, an entry for each recipient, all or nothing."""

from collections import Counter
from functools import partial

import msgspec

from mox.base.limits import QUEUE_SUBJECT
from mox.queue import keys
from mox.queue.contents import Place
from mox.queue.database import Database
from mox.queue.edit import Edit
from mox.queue.entry import Attempt, Entry, clip
from mox.queue.errors import FromIdTaken
from mox.smtp.address import Address
from mox.store.blobs.base import SpoolFile
from mox.store.engine.base import Family

_MANY = 16  # domains: beyond it their hints are read in a thread


class NewRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient of a submission, with the parameters of RFC 3461 as they were written."""

    address: Address
    sender: Address | None = None  # where it is the recipient's own, with a unique id
    from_id: str = ""
    notify: str = ""
    original_recipient: str = ""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be sent.    ``content`` ends in CRLF and has CRLF line ends only.

    Spooled contents are consumed, whatever happens.
    """

    account: str
    sender: Address
    recipients: tuple[NewRecipient, ...]
    content: bytes | SpoolFile
    content_utf8: bytes | SpoolFile | None = None  # for hops with 8BITMIME and SMTPUTF8
    has_8bit: bool = False
    smtputf8: bool = False
    require_tls: bool | None = None
    release_ms: int = 0  # not before (RFC 4865)
    future_release: str = ""  # as it was asked for
    ret: str = ""
    envelope_id: str = ""
    message_id: str = ""
    subject: str = ""
    transport: str = ""
    max_attempts: int = 0
    is_dmarc_report: bool = False
    is_tls_report: bool = False
    hold: bool = False
    extra: dict[str, str] = {}


async def add(database: Database, submission: Submission) -> list[Entry]:
    """Queue a message; durable when it returns.    Output: the entries, in the recipients' order.

    What need not wait is begun in the same step (``starting``).
    Errors  FromIdTaken, DiskFull, Unavailable, StoreStopped: then nothing is queued.
    Cost    one sync of the index, before it one of a content that is no row of it; 1,000 recipients
            took 80 to 187 ms in all, on a busy machine.
    """
    if not submission.recipients:
        _discard(submission)
        raise ValueError("a message without recipients")
    placed: list[tuple[int, Place]] = []
    try:
        _check_from_ids(database, submission)
        for content in (submission.content, submission.content_utf8):
            if content is not None:
                number = database.new_id()
                placed.append((number, await database.contents.put(number, content)))
        await _load_hints(database, submission)
        # Again: somebody may have taken one while we waited.  From here on there is no waiting.
        _check_from_ids(database, submission)
        entries = _entries(database, submission, [number for number, _ in placed])
        edit = database.edit()
        for number, place in placed:
            database.contents.name(edit.batch, number, place)
        entries, ticket = _stage(database, edit, entries, submission.content)
    except BaseException:
        _discard(submission)
        for number, place in placed:
            database.contents.abandon(number, place)
        raise
    for _, place in placed:
        database.contents.named(place)
    await database.committer.synced(ticket)
    database.kick()
    return entries


def _stage(
    database: Database, edit: Edit, entries: list[Entry], content: bytes | SpoolFile
) -> tuple[list[Entry], int]:
    """The entries as they are staged, some begun; the ticket.    Without waiting."""
    starter = database.starter
    groups = [] if starter is None else starter.choose(entries)
    begun = {entry.id: entry for group in groups for entry in group}
    entries = [begun.get(entry.id, entry) for entry in entries]
    for entry in entries:
        edit.insert(entry)
        if entry.id in begun:
            edit.attempt(entry, Attempt(number=1, start_ms=entry.last_ms))
    if starter is None or not groups:
        return entries, edit.stage()
    edit.then(partial(starter.begin, groups, content))
    ticket = edit.stage()
    database.busy.update(begun)
    starter.claim(groups)
    return entries, ticket


def _entries(database: Database, submission: Submission, contents: list[int]) -> list[Entry]:
    now = database.clock.now_ms()
    senders = {recipient.sender or submission.sender for recipient in submission.recipients}
    first = database.counters.next_id
    # Only what has one sender can go out in one transaction.
    base_id = first if len(submission.recipients) > 1 and len(senders) == 1 else 0
    short = clip(submission.subject)[:QUEUE_SUBJECT]
    submission = msgspec.structs.replace(submission, subject=short)
    return [
        _entry(database, submission, recipient, contents, base_id, now)
        for recipient in submission.recipients
    ]


def _entry(
    database: Database,
    submission: Submission,
    recipient: NewRecipient,
    contents: list[int],
    base_id: int,
    now_ms: int,
) -> Entry:
    sender = recipient.sender or submission.sender
    entry = Entry(
        id=database.new_id(),
        base_id=base_id,
        content=contents[0],
        content_utf8=contents[1] if len(contents) > 1 else 0,
        size=_size(submission.content),
        size_utf8=0 if submission.content_utf8 is None else _size(submission.content_utf8),
        queued_ms=now_ms,
        release_ms=submission.release_ms,
        account=submission.account,
        sender_localpart=sender.localpart,
        sender_domain=sender.domain,
        from_id=recipient.from_id,
        recipient_localpart=recipient.address.localpart,
        recipient_domain=recipient.address.domain,
        max_attempts=submission.max_attempts,
        next_ms=max(now_ms, submission.release_ms),
        hold=submission.hold,
        transport=submission.transport,
        require_tls=submission.require_tls,
        has_8bit=submission.has_8bit,
        smtputf8=submission.smtputf8,
        is_dmarc_report=submission.is_dmarc_report,
        is_tls_report=submission.is_tls_report,
        future_release=submission.future_release,
        message_id=submission.message_id,
        subject=submission.subject,
        ret=submission.ret,
        envelope_id=submission.envelope_id,
        notify=recipient.notify,
        original_recipient=recipient.original_recipient,
        extra=submission.extra,
    )
    if not entry.hold and any(rule.matches(entry) for rule in database.rules):
        return msgspec.structs.replace(entry, hold=True)
    return entry


def _check_from_ids(database: Database, submission: Submission) -> None:
    given = Counter(recipient.from_id for recipient in submission.recipients if recipient.from_id)
    for from_id, count in given.items():
        if (
            count > 1
            or from_id in database.from_ids
            or database.engine.get(Family.IDX, keys.from_id(from_id)) is not None
        ):
            raise FromIdTaken


async def _load_hints(database: Database, submission: Submission) -> None:
    lanes = {keys.FRESH + recipient.address.domain.encode() for recipient in submission.recipients}
    missing = database.lanes.missing(lanes)
    if len(missing) > _MANY:
        database.lanes.fill(missing, await database.in_thread(database.lanes.load, missing))


def _size(content: bytes | SpoolFile) -> int:
    return len(content) if isinstance(content, bytes) else content.size


def _discard(submission: Submission) -> None:
    for content in (submission.content, submission.content_utf8):
        if isinstance(content, SpoolFile):
            content.path.unlink(missing_ok=True)
