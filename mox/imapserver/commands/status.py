"""STATUS.    RFC 9051 §6.3.11."""

import msgspec

from mox.imap.cursor import Cursor
from mox.imapserver import status
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.session import Session


class _Arguments(msgspec.Struct, frozen=True):
    name: bytes
    items: tuple[bytes, ...]


def _parse(cursor: Cursor, session: Session) -> _Arguments:
    cursor.space()
    name = cursor.mailbox()
    cursor.space()
    return _Arguments(name, status.parse_items(cursor, session))


async def _status(session: Session, arguments: _Arguments) -> Done:
    name = session.decode_name(arguments.name)
    session.owner.mailbox(name)
    await status.prepare(session, arguments.items)
    mailbox = session.owner.mailbox(name)
    session.write(await status.status_line(session, mailbox, arguments.items))
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"STATUS", states=State.LOGGED_IN, parse=_parse, run=_status),
)
