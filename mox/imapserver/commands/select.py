"""SELECT and EXAMINE.    RFC 9051 §6.3.2, §6.3.3; RFC 7162 §3.1.8, §3.2.5."""

from functools import partial

import msgspec

from mox.base import flags as flagbits
from mox.imap import codes
from mox.imap.cursor import Cursor
from mox.imapserver import resync
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import Bad
from mox.imapserver.flaglines import write_flags
from mox.imapserver.listing import mailbox_line
from mox.imapserver.news import write_recent
from mox.imapserver.session import Session
from mox.store.view import View


class _Arguments(msgspec.Struct, frozen=True, kw_only=True):
    name: bytes
    condstore: bool = False
    known: resync.Known | None = None  # of QRESYNC


def _parse(cursor: Cursor, session: Session) -> _Arguments:
    cursor.space()
    name = cursor.mailbox()
    condstore, known = False, None
    if cursor.try_space():
        # RFC 4466 §2.1: select-params, separated by spaces, in any order.
        cursor.open()
        while True:
            word = cursor.name()
            if word == b"CONDSTORE" and not condstore:
                condstore = True
            elif word == b"QRESYNC" and known is None:
                cursor.space()
                known = resync.parse_known(cursor)
            else:
                raise cursor.reject("unknown or repeated parameter")
            if cursor.try_close():
                break
            cursor.space()
    if known is not None and not session.qresync:
        # RFC 7162 §3.2.5
        raise Bad("QRESYNC must be enabled first")
    return _Arguments(name=name, condstore=condstore, known=known)


async def _select(session: Session, arguments: _Arguments, *, read_only: bool) -> Done:
    if session.view is not None:
        # RFC 9051 §6.3.2: the old one is closed even if the new one cannot be opened.
        session.close_view()
        session.write(b"* OK [CLOSED] previous mailbox closed\r\n")
    if arguments.known is not None:
        resync.check(arguments.known)
    mailbox = session.owner.mailbox(session.decode_name(arguments.name))
    if arguments.condstore:
        # RFC 7162 §3.1.8: the HIGHESTMODSEQ below is its announcement.
        await session.enable_condstore(announce=False)
    view = await session.open_view(mailbox, read_only=read_only)
    mailbox.pins += 1
    try:
        _write_state(session, view)
        if arguments.known is not None:
            await resync.write_resync(session, view, arguments.known)
    except BaseException:
        # RFC 9051 §6.3.2: where it fails no mailbox is selected.
        session.close_view()
        raise
    finally:
        mailbox.pins -= 1
    return Done(code=codes.READ_ONLY if read_only else codes.READ_WRITE, text="selected")


def _write_state(session: Session, view: View) -> None:
    record = view.mailbox.record
    if view.read_only:
        # RFC 3501 §6.3.2: EXAMINE shows the recent messages and leaves them recent.
        view.recent_from = record.first_recent
    write_flags(session)
    session.write(b"* %d EXISTS\r\n" % view.exists)
    write_recent(session)
    if not session.rev2 and view.exists:
        slot = view.columns.first_with_flags(view.limit, view.told, flagbits.SEEN, 0)
        if slot >= 0:
            session.write(b"* OK [UNSEEN %d] first unseen\r\n" % view.seq(slot))
    session.write(b"* OK [UIDVALIDITY %d] stays\r\n" % record.uidvalidity)
    session.write(b"* OK [UIDNEXT %d] predicted\r\n" % _uidnext(view))
    session.write(mailbox_line(session, view.mailbox))
    if session.condstore:
        session.write(b"* OK [HIGHESTMODSEQ %d] newest\r\n" % view.modseq)


def _uidnext(view: View) -> int:
    """No message that this client will be told of later has a lower UID."""
    if view.limit < len(view.columns):
        return view.columns.uid(view.limit)
    return view.mailbox.record.uidnext


COMMANDS: tuple[AnyCommand, ...] = (
    Command(
        name=b"SELECT",
        states=State.LOGGED_IN,
        parse=_parse,
        run=partial(_select, read_only=False),
        tells_news=False,
    ),
    Command(
        name=b"EXAMINE",
        states=State.LOGGED_IN,
        parse=_parse,
        run=partial(_select, read_only=True),
        tells_news=False,
    ),
)
