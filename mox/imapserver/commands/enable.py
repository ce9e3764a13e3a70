"""ENABLE.    RFC 9051 §6.3.1, RFC 5161; RFC 7162 §3.2.3; RFC 6855 §3."""

from mox.imap.cursor import Cursor
from mox.imapserver.capabilities import ENABLED
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.session import Session


def _parse(cursor: Cursor, _session: Session) -> list[bytes]:
    cursor.space()
    names = [cursor.atom()]
    while cursor.try_space():
        names.append(cursor.atom())
    return names


async def _enable(session: Session, names: list[bytes]) -> Done:
    # RFC 5161 §3.1: what is unknown is ignored.
    known = {
        name.upper(): name
        for name in names
        if name.upper() in ENABLED and name.upper() not in session.capabilities_disabled
    }
    told = list(known.values())
    if b"QRESYNC" in known and not session.condstore and b"CONDSTORE" not in known:
        # RFC 7162 §3.2.3: QRESYNC brings CONDSTORE with it.
        told.append(b"CONDSTORE")
    if b"QRESYNC" in known or b"CONDSTORE" in known:
        await session.enable_condstore()
    session.enabled.update(known)
    session.write(b"* ENABLED%b\r\n" % b"".join(b" " + name for name in told))
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"ENABLE", states=State.LOGGED_IN, parse=_parse, run=_enable),
)
