"""IDLE.    RFC 9051 §6.3.13, RFC 2177."""

from mox.imapserver.command import AnyCommand, Command, Done, State, no_arguments
from mox.imapserver.errors import Bye
from mox.imapserver.news import write_news
from mox.imapserver.session import Session


async def _idle(session: Session, _nothing: None) -> Done:
    session.write(b"+ idling\r\n")
    session.idling = True
    try:
        while True:
            await write_news(session, expunge=True)
            line = await session.input.poll_line(session.timeout_s)
            if line is not None:
                break
    finally:
        session.idling = False
    if line.upper() != b"DONE":
        # What follows may be meant as anything.
        raise Bye("expected DONE")
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    # No slot is held over the wait.
    Command(name=b"IDLE", states=State.LOGGED_IN, parse=no_arguments, run=_idle, pins=False),
)
