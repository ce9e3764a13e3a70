"""CREATE.    RFC 9051 §6.3.4, RFC 6154 §3 (special use)."""

import msgspec

from mox.imap import codes
from mox.imap.cursor import Cursor
from mox.imap.errors import BadMailboxName
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import No
from mox.imapserver.listing import mailbox_line
from mox.imapserver.session import Session
from mox.store import mailboxes


class _Arguments(msgspec.Struct, frozen=True):
    name: bytes
    uses: tuple[str, ...] = ()


def _parse(cursor: Cursor, _session: Session) -> _Arguments:
    cursor.space()
    name = cursor.mailbox()
    if not cursor.try_space():
        return _Arguments(name)
    # RFC 4466 §2.2: create-params
    cursor.open()
    if cursor.name() != b"USE":
        raise cursor.reject("unknown parameter")
    cursor.space()
    uses = cursor.list_of(lambda: _use(cursor), empty=True)
    cursor.close()
    return _Arguments(name, tuple(dict.fromkeys(uses)))


def _use(cursor: Cursor) -> str:
    # RFC 6154 §6: use-attr = "\" and an atom
    word = cursor.word("a special use")
    if not word.startswith(b"\\") or len(word) == 1 or not word.isascii():
        raise cursor.reject("expected a special use")
    return word[1:].decode("ascii").capitalize()


async def _create(session: Session, arguments: _Arguments) -> Done:
    try:
        asked = session.decode_name(arguments.name)
    except BadMailboxName as error:
        raise No(error.public, codes.CANNOT) from error
    # RFC 9051 §6.3.4: a separator at the end says that names below it will follow.
    name = asked.rstrip("/")
    made = await mailboxes.create(
        session.owner, name, special_use=arguments.uses, origin=session.feed
    )
    for mailbox in made:
        changed = asked != name and mailbox is made[-1] and session.rev2
        # RFC 9051 §6.3.4: where the name is not the one asked for, LIST tells both.
        session.write(mailbox_line(session, mailbox, old_name=asked if changed else ""))
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"CREATE", states=State.LOGGED_IN, parse=_parse, run=_create),
)
