"""ID.    RFC 2971."""

from mox.base.version import mox_version
from mox.imap import writer
from mox.imap.cursor import Cursor
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.session import Session

Fields = dict[bytes, bytes | None]


def _parse(cursor: Cursor, _session: Session) -> Fields:
    cursor.space()
    return cursor.id_params() or {}


async def _id(session: Session, fields: Fields) -> Done:
    if fields:
        known = (b"name", b"version", b"vendor", b"os")
        session.log.info(
            "imap.client", **{key.decode("ascii"): fields[key] for key in known if key in fields}
        )
    pairs = [b'"name"', b'"mox"']
    if session.account is not None:
        # RFC 2971 §4: a version helps those who look for a hole in it; not for strangers.
        pairs += [b'"version"', writer.string(mox_version().encode())]
    session.write(b"* ID (%b)\r\n" % b" ".join(pairs))
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (Command(name=b"ID", states=State.ANY, parse=_parse, run=_id),)
