"""CAPABILITY.    RFC 9051 §6.1.1."""

from typing import TYPE_CHECKING

from mox.imapserver.capabilities import announced
from mox.imapserver.command import AnyCommand, Command, Done, State, no_arguments

if TYPE_CHECKING:
    from mox.imapserver.session import Session


async def _capability(session: "Session", _nothing: None) -> Done:
    session.write(b"* CAPABILITY %b\r\n" % announced(session))
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"CAPABILITY", states=State.ANY, parse=no_arguments, run=_capability),
)
