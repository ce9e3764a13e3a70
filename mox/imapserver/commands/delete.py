"""DELETE.    RFC 9051 §6.3.5."""

from mox.imap.cursor import Cursor
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.session import Session
from mox.store import mailboxes


def _parse(cursor: Cursor, _session: Session) -> bytes:
    cursor.space()
    return cursor.mailbox()


async def _delete(session: Session, name: bytes) -> Done:
    await mailboxes.delete(session.owner, session.decode_name(name), origin=session.feed)
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"DELETE", states=State.LOGGED_IN, parse=_parse, run=_delete),
)
