"""EXPUNGE and UID EXPUNGE.    RFC 9051 §6.4.3, §6.4.9; RFC 4315 §2.1; RFC 7162 §3.2.7."""

from mox._speedups import slots_in_both
from mox.base import flags as flagbits
from mox.imap import codes
from mox.imap.cursor import Cursor
from mox.imap.seqset import SeqSet
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.news import write_news
from mox.imapserver.numbers import find_slots
from mox.imapserver.pinned import pinned
from mox.imapserver.session import Session
from mox.store.errors import MailboxMissing, ReadOnly
from mox.store.messages import expunge


def _parse_all(_cursor: Cursor, _session: Session) -> SeqSet | None:
    return None


def _parse_uids(cursor: Cursor, _session: Session) -> SeqSet | None:
    cursor.space()
    return cursor.sequence_set()


async def _expunge(session: Session, numbers: SeqSet | None) -> Done:
    view = session.selected
    if view.mailbox.deleted:
        raise MailboxMissing
    if view.read_only:
        raise ReadOnly
    # Only what this client knows of: a message it was not told of yet stays.
    slots = view.columns.with_flags(view.limit, view.told, flagbits.DELETED, flagbits.DELETED)
    if numbers is not None:
        slots = slots_in_both(slots, find_slots(session, numbers, uid=True))
    live, _ = view.split_gone(slots)
    with pinned(view.mailbox):
        await expunge(session.owner, view.mailbox, live, origin=session.feed)
    # They go with whatever else was expunged, so that the numbers are right.
    await write_news(session, expunge=True)
    if session.condstore:
        # RFC 7162 §3.2.7: in the tagged reply.
        return Done(codes.number(codes.HIGHESTMODSEQ, view.modseq))
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(
        name=b"EXPUNGE",
        states=State.SELECTED,
        parse=_parse_all,
        run=_expunge,
        pins=False,
    ),
    Command(
        name=b"UID EXPUNGE",
        states=State.SELECTED,
        parse=_parse_uids,
        run=_expunge,
        pins=False,
    ),
)
