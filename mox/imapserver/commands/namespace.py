"""NAMESPACE.    RFC 9051 §6.3.10, RFC 2342."""

from mox.imapserver.command import AnyCommand, Command, Done, State, no_arguments
from mox.imapserver.session import Session


async def _namespace(session: Session, _nothing: None) -> Done:
    # One personal namespace; none of other users, none shared.
    session.write(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"NAMESPACE", states=State.LOGGED_IN, parse=no_arguments, run=_namespace),
)
