"""SUBSCRIBE and UNSUBSCRIBE.    RFC 9051 §6.3.7, §6.3.8."""

from mox.imap import codes
from mox.imap.cursor import Cursor
from mox.imap.errors import BadMailboxName
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import No
from mox.imapserver.session import Session
from mox.store import mailboxes


def _parse(cursor: Cursor, _session: Session) -> bytes:
    cursor.space()
    return cursor.mailbox()


async def _subscribe(session: Session, raw: bytes) -> Done:
    # RFC 9051 §6.3.7: the mailbox need not exist.
    try:
        name = session.decode_name(raw)
    except BadMailboxName as error:
        raise No(error.public, codes.CANNOT) from error
    await mailboxes.subscribe(session.owner, name, origin=session.feed)
    return Done()


async def _unsubscribe(session: Session, raw: bytes) -> Done:
    await mailboxes.unsubscribe(session.owner, session.decode_name(raw), origin=session.feed)
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"SUBSCRIBE", states=State.LOGGED_IN, parse=_parse, run=_subscribe),
    Command(name=b"UNSUBSCRIBE", states=State.LOGGED_IN, parse=_parse, run=_unsubscribe),
)
