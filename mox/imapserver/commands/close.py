"""CLOSE and UNSELECT.    RFC 9051 §6.4.1, §6.4.2; RFC 3691."""

from mox.base import flags as flagbits
from mox.imapserver.command import AnyCommand, Command, Done, State, no_arguments
from mox.imapserver.session import Session
from mox.store.messages import expunge


async def _close(session: Session, _nothing: None) -> Done:
    view = session.selected
    if not view.read_only and not view.mailbox.deleted:
        # Only what this client knows of.  RFC 7162 §3.2.8: never a HIGHESTMODSEQ here.
        slots = view.columns.with_flags(view.limit, view.told, flagbits.DELETED, flagbits.DELETED)
        live, _ = view.split_gone(slots)
        await expunge(session.owner, view.mailbox, live, origin=session.feed)
    session.close_view()
    return Done()


async def _unselect(session: Session, _nothing: None) -> Done:
    session.close_view()
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    # Nothing is told of a mailbox that is left.
    Command(name=b"CLOSE", states=State.SELECTED, parse=no_arguments, run=_close),
    Command(name=b"UNSELECT", states=State.SELECTED, parse=no_arguments, run=_unselect),
)
