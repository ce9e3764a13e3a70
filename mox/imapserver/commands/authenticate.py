"""AUTHENTICATE.    RFC 9051 §6.2.2, RFC 4959 (initial response)."""

import msgspec

from mox.imap.cursor import Cursor
from mox.imapserver.auth import authenticate, decode_base64
from mox.imapserver.capabilities import mechanism_of
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import No
from mox.imapserver.session import Session


class _Arguments(msgspec.Struct, frozen=True):
    mechanism: bytes
    initial: bytes | None


def _parse(cursor: Cursor, _session: Session) -> _Arguments:
    cursor.space()
    mechanism = cursor.name()
    if not cursor.try_space():
        return _Arguments(mechanism, None)
    text = cursor.base64()
    # RFC 4959 §3: "=" stands for an empty initial response.
    return _Arguments(mechanism, b"" if text == b"=" else decode_base64(text))


async def _authenticate(session: Session, arguments: _Arguments) -> Done:
    mechanism = mechanism_of(arguments.mechanism)
    if mechanism is None:
        raise No("unknown authentication mechanism")
    return await authenticate(session, mechanism, arguments.initial, mechanism.name.lower())


COMMANDS: tuple[AnyCommand, ...] = (
    Command(
        name=b"AUTHENTICATE",
        states=State.NOT_AUTHENTICATED,
        parse=_parse,
        run=_authenticate,
        tells_news=False,
    ),
)
