"""What others changed, told between commands; the only place that decides what is told when.

Source  RFC 9051 §7.5.1 (no EXPUNGE in answer to FETCH, STORE, SEARCH), RFC 7162 §3.2.10 (VANISHED);
        spec/imap.md section 9.
Laws    Expunges first, then flags, then EXISTS: numbers are right at every line.
"""

import asyncio
from array import array
from typing import TYPE_CHECKING

from mox._speedups import FETCH_FLAGS, FETCH_MODSEQ, FETCH_UID
from mox.base.limits import IMAP_OUTPUT_SLICE, IMAP_VANISHED_LINE
from mox.imap.seqset import format_lines
from mox.imapserver.fetching import Fetching
from mox.imapserver.fetchplan import Plan
from mox.imapserver.flaglines import announce_keywords
from mox.imapserver.listing import list_line, mailbox_line
from mox.store.changes import ListChange
from mox.store.view import News, View

if TYPE_CHECKING:
    from mox.imapserver.session import Session

Ranges = list[tuple[int, int]]
LINES_PER_SLICE = IMAP_OUTPUT_SLICE // 64


async def write_news(session: "Session", *, expunge: bool) -> None:
    """Write what this client does not know yet.

    Input   expunge: whether expunges may be told now.
    Errors  ConnectionClosed.
    """
    if session.account is None:
        return
    view = session.view
    if view is not None:
        if session.condstore and view.seen != session.account.record.modseq:
            # Decision 0007: no modseq leaves the process before it is synced.
            await session.account.settle()
        news = view.poll(expunge=expunge)
        if news:
            view.mailbox.pins += 1
            try:
                await _write_messages(session, view, news)
            finally:
                view.mailbox.pins -= 1
            if news.expunged_seqs:
                view.mailbox.compact()
    if session.feed.list_changes or session.feed.overflowed:
        _write_list_changes(session)


async def _write_messages(session: "Session", view: View, news: News) -> None:
    if news.expunged_seqs:
        await write_expunged(session, news.expunged_seqs, news.vanished)
    if news.changed or news.added:
        announce_keywords(session)
    if news.changed:
        await write_flags_of(session, news.changed)
    if news.exists is not None:
        session.write(b"* %d EXISTS\r\n" % news.exists)
        write_recent(session)
    if news.added:
        await write_flags_of(session, news.added)


def write_recent(session: "Session") -> None:
    """RECENT, and new messages become this session's recent ones.    RFC 3501 §2.3.2, §7.3.2."""
    if session.rev2:
        # RFC 9051 appendix E: there is no \Recent any more.
        return
    view = session.selected
    session.owner.claim_recent(view)
    session.write(b"* %d RECENT\r\n" % len(view.recent_slots()))


async def write_expunged(session: "Session", seqs: "array[int]", vanished: Ranges) -> None:
    """Messages that are gone.

    Input   seqs: ascending, as they were before the first was gone; vanished: the same as UIDs.
    """
    if session.qresync:
        # RFC 7162 §3.2.10
        write_vanished(session, vanished)
        return
    for at in range(0, len(seqs), LINES_PER_SLICE):
        if at:
            await session.drain()
            await asyncio.sleep(0)  # others have their turn, however fast this client reads
        # RFC 9051 §7.5.1: each lowers the numbers behind it at once.
        some = enumerate(seqs[at : at + LINES_PER_SLICE], at)
        session.write(b"".join([b"* %d EXPUNGE\r\n" % (seq - before) for before, seq in some]))


def write_vanished(session: "Session", uids: Ranges, *, earlier: bool = False) -> None:
    """VANISHED, in lines of bounded length.    RFC 7162 §3.2.10."""
    name = b"* VANISHED (EARLIER) %b\r\n" if earlier else b"* VANISHED %b\r\n"
    for line in format_lines(uids, IMAP_VANISHED_LINE):
        session.write(name % line)


async def write_flags_of(session: "Session", slots: "array[int]") -> None:
    """FETCH lines with the flags of visible slots, ascending.    The mailbox is pinned.

    With CONDSTORE enabled their modseqs come along (RFC 7162 §3.1).
    """
    modseq = FETCH_MODSEQ if session.condstore else 0
    await Fetching(session, Plan(mask=FETCH_UID | FETCH_FLAGS | modseq)).run(slots)


def _write_list_changes(session: "Session") -> None:
    feed = session.feed
    if feed.overflowed:
        # RFC 5465 §5.8
        session.write(b"* OK [NOTIFICATIONOVERFLOW] too many changes\r\n")
        feed.overflowed = False
    while feed.list_changes:
        line = _list_change_line(session, feed.list_changes.popleft())
        if line:
            session.write(line)


def _list_change_line(session: "Session", change: ListChange) -> bytes:
    """What is told of a change to the list; empty where a client could not understand it."""
    account = session.owner
    mailbox = account.by_name.get(change.name)
    if change.kind == "removed":
        if not session.rev2 or mailbox is not None:
            return b""
        # RFC 9051 §6.3.9.7: \NonExistent tells of a removal.
        return list_line(session, change.name, [b"\\NonExistent"])
    if mailbox is None:
        if change.kind not in ("subscribed", "unsubscribed"):
            return b""  # gone meanwhile; that comes later in the queue
        attributes = [b"\\NonExistent"]
        if change.kind == "subscribed":
            attributes.insert(0, b"\\Subscribed")
        return list_line(session, change.name, attributes)
    old_name = change.old_name if change.kind == "renamed" and session.rev2 else ""
    return mailbox_line(session, mailbox, old_name=old_name)
