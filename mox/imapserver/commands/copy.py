"""COPY, MOVE and their UID forms.    RFC 9051 §6.4.7, §6.4.8; RFC 4315 §3, RFC 6851."""

from functools import partial

import msgspec

from mox.imap import codes
from mox.imap.cursor import Cursor
from mox.imap.seqset import SeqSet
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import No
from mox.imapserver.news import write_news
from mox.imapserver.numbers import find_slots
from mox.imapserver.pinned import pinned
from mox.imapserver.session import Session
from mox.store.errors import MailboxMissing, ReadOnly
from mox.store.mailbox import Mailbox
from mox.store.messages import copy


class _Arguments(msgspec.Struct, frozen=True, kw_only=True):
    numbers: SeqSet
    target: bytes


def _parse(cursor: Cursor, _session: Session) -> _Arguments:
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    return _Arguments(numbers=numbers, target=cursor.mailbox())


async def _copy(session: Session, arguments: _Arguments, *, uid: bool, move: bool) -> Done:
    view = session.selected
    if view.mailbox.deleted:
        raise MailboxMissing
    if move and view.read_only:
        raise ReadOnly
    found = find_slots(session, arguments.numbers, uid=uid)
    target = find_target(session, arguments.target)
    # What another session expunged meanwhile is left out; the rest is copied.
    slots, some_gone = view.split_gone(found)
    if not slots:
        if some_gone:
            raise No("these messages were expunged", codes.EXPUNGEISSUED)
        # RFC 9051 §6.4.9 for unknown UIDs, RFC 5182 §2.1 for an empty "$".
        return Done(text="no messages, nothing done")
    with pinned(view.mailbox):
        try:
            added = await copy(
                session.owner, view.mailbox, slots, target, origin=session.feed, move=move
            )
        except MailboxMissing as error:
            raise _missing(target, error) from error
    view.own(added.modseq)
    code = codes.copy_uid(added.uidvalidity, added.source_uids, added.uids)
    if not move:
        return Done(code, "copied")
    # RFC 6851 §4.3: COPYUID in an untagged OK, before the messages go.
    session.write(b"* OK [%b] moved\r\n" % code)
    await write_news(session, expunge=True)
    if session.qresync:
        # RFC 7162 §3.2.7 says it of EXPUNGE; a MOVE expunges as well.
        return Done(codes.number(codes.HIGHESTMODSEQ, view.modseq), "moved")
    return Done(text="moved")


def find_target(session: Session, raw: bytes) -> Mailbox:
    """Where messages are to go.    Errors: BadMailboxName; No [TRYCREATE] (RFC 9051 §6.4.7)."""
    try:
        return session.owner.mailbox(session.decode_name(raw))
    except MailboxMissing as error:
        raise No(error.public, codes.TRYCREATE, cause=error) from error


def _missing(target: Mailbox, error: MailboxMissing) -> No | MailboxMissing:
    """Which of the two mailboxes is gone since we looked."""
    return No(error.public, codes.TRYCREATE, cause=error) if target.deleted else error


COMMANDS: tuple[AnyCommand, ...] = (
    # RFC 9051 §7.5.1 forbids expunges in answer to FETCH, STORE and SEARCH only.
    Command(
        name=b"COPY",
        states=State.SELECTED,
        parse=_parse,
        run=partial(_copy, uid=False, move=False),
    ),
    Command(
        name=b"UID COPY",
        states=State.SELECTED,
        parse=_parse,
        run=partial(_copy, uid=True, move=False),
    ),
    Command(
        name=b"MOVE",
        states=State.SELECTED,
        parse=_parse,
        run=partial(_copy, uid=False, move=True),
        pins=False,
    ),
    Command(
        name=b"UID MOVE",
        states=State.SELECTED,
        parse=_parse,
        run=partial(_copy, uid=True, move=True),
        pins=False,
    ),
)
