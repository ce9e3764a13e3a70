"""STARTTLS.    RFC 9051 §6.2.1."""

from mox.imapserver.command import AnyCommand, Command, Done, State, no_arguments
from mox.imapserver.errors import Bad, ConnectionClosed, No
from mox.imapserver.session import Session


async def _starttls(session: Session, _nothing: None) -> Done:
    if session.wire.encrypted:
        # RFC 9051 §6.2.1: always BAD, in whatever state.
        raise Bad("tls is on already")
    if session.account is not None:
        raise No("too late for tls")
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
        states=State.ANY,
        parse=no_arguments,
        run=_starttls,
        tells_news=False,
    ),
)
