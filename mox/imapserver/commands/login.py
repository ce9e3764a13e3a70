"""LOGIN.    RFC 9051 §6.2.3."""

from functools import partial

import msgspec

from mox.imap.cursor import Cursor
from mox.imapserver.auth import authenticate
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.session import Session
from mox.sasl.mechanism import Mechanism, Run, ServerContext
from mox.sasl.plain import check_password


class _Arguments(msgspec.Struct, frozen=True):
    username: bytes
    password: bytes


def _parse(cursor: Cursor, _session: Session) -> _Arguments:
    cursor.space()
    username = cursor.astring()
    cursor.space()
    return _Arguments(username, cursor.astring())


def _given(arguments: _Arguments, _context: ServerContext, _initial: bytes | None) -> Run:
    """A mechanism that has everything already."""
    return check_password(arguments.username, arguments.password)


async def _login(session: Session, arguments: _Arguments) -> Done:
    mechanism = Mechanism(name="LOGIN", run=partial(_given, arguments), plaintext=True)
    return await authenticate(session, mechanism, None, "login")


COMMANDS: tuple[AnyCommand, ...] = (
    Command(
        name=b"LOGIN",
        states=State.NOT_AUTHENTICATED,
        parse=_parse,
        run=_login,
        tells_news=False,
    ),
)
