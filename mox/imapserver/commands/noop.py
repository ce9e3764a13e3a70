"""NOOP and CHECK.    RFC 9051 §6.1.2, RFC 3501 §6.4.1."""

from typing import TYPE_CHECKING

from mox.imapserver.command import AnyCommand, Command, Done, State, no_arguments
from mox.store.errors import MailboxMissing

if TYPE_CHECKING:
    from mox.imapserver.session import Session


async def _noop(_session: "Session", _nothing: None) -> Done:
    # What others changed is written before every tagged reply; there is nothing else to do.
    return Done()


async def _check(session: "Session", _nothing: None) -> Done:
    if session.selected.mailbox.deleted:
        raise MailboxMissing
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"NOOP", states=State.ANY, parse=no_arguments, run=_noop),
    Command(name=b"CHECK", states=State.SELECTED, parse=no_arguments, run=_check),
)
