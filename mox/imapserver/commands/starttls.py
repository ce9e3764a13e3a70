"""STARTTLS.    RFC 9051 §6.2.1."""

from mox.imapserver.command import AnyCommand, Command, Done, State, no_arguments
from mox.imapserver.errors import Bad, ConnectionClosed
from mox.imapserver.session import Session


async def _starttls(session: Session, _nothing: None) -> Done:
    if session.wire.encrypted:
        raise Bad("tls is on already")
    if session.listener.tls is None:
        raise Bad("no tls here")
    session.starting_tls = True
    # Nothing may be received between here and the handshake: what a stranger put behind the
    # command would be taken for words of the client.  RFC 9051 §6.2.1, §11.3.
    if session.input.reader.leftover() or session.wire.hold():
        session.log.info("imap.starttls_injection")
        raise ConnectionClosed
    return Done(text="begin tls now")


COMMANDS: tuple[AnyCommand, ...] = (
    Command(
        name=b"STARTTLS",
        states=State.NOT_AUTHENTICATED,
        parse=no_arguments,
        run=_starttls,
        tells_news=False,
    ),
)
