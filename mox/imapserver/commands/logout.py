"""LOGOUT.    RFC 9051 §6.1.3."""

from typing import TYPE_CHECKING

from mox.imapserver.command import AnyCommand, Command, Done, State, no_arguments

if TYPE_CHECKING:
    from mox.imapserver.session import Session


async def _logout(session: "Session", _nothing: None) -> Done:
    session.write(b"* BYE thanks\r\n")
    session.ended = True
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"LOGOUT", states=State.ANY, parse=no_arguments, run=_logout, tells_news=False),
)
