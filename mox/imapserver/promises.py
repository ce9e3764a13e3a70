"""What a tagged OK promises of a change of flags.    Decision 0007."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mox.imapserver.session import Session


async def keep_promise(session: "Session", ticket: int) -> None:
    """Wait before the tagged OK of a change of flags; 0 is no change.    Errors: StoreStopped.

    It is in the write-ahead log, and synced within a second; at once where a client could learn
    its modseq, or where the service is set so.
    """
    if not ticket:
        return
    committer = session.owner.committer
    if session.condstore or session.service.sync_flags_at_once:
        await committer.synced(ticket)
    else:
        await committer.written(ticket)
