"""RENAME.    RFC 9051 §6.3.6; spec/imap.md section 14."""

import msgspec

from mox.imap import codes
from mox.imap.cursor import Cursor
from mox.imap.errors import BadMailboxName
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import No
from mox.imapserver.session import Session
from mox.store import mailboxes


class _Arguments(msgspec.Struct, frozen=True):
    old: bytes
    new: bytes


def _parse(cursor: Cursor, _session: Session) -> _Arguments:
    cursor.space()
    old = cursor.mailbox()
    cursor.space()
    return _Arguments(old, cursor.mailbox())


async def _rename(session: Session, arguments: _Arguments) -> Done:
    old = session.decode_name(arguments.old)
    try:
        new = session.decode_name(arguments.new)
    except BadMailboxName as error:
        raise No(error.public, codes.CANNOT) from error
    await mailboxes.rename(session.owner, old, new, origin=session.feed)
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"RENAME", states=State.LOGGED_IN, parse=_parse, run=_rename),
)
