"""Items of STATUS, one line each.    RFC 9051 §6.3.11; used by STATUS and by LIST RETURN (STATUS).

The counts are kept with the mailbox: nothing is scanned.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from mox.imap.cursor import Cursor
from mox.imapserver.session import Session
from mox.store.mailbox import Mailbox

Item = Callable[[Session, Mailbox], Awaitable[int]]


async def _messages(_session: Session, mailbox: Mailbox) -> int:
    return mailbox.record.messages


async def _uidnext(_session: Session, mailbox: Mailbox) -> int:
    return mailbox.record.uidnext


async def _uidvalidity(_session: Session, mailbox: Mailbox) -> int:
    return mailbox.record.uidvalidity


async def _unseen(_session: Session, mailbox: Mailbox) -> int:
    return mailbox.record.unseen


async def _deleted(_session: Session, mailbox: Mailbox) -> int:
    return mailbox.record.deleted


async def _deleted_storage(_session: Session, mailbox: Mailbox) -> int:
    return mailbox.record.deleted_size


async def _size(_session: Session, mailbox: Mailbox) -> int:
    return mailbox.record.size


async def _recent(_session: Session, mailbox: Mailbox) -> int:
    # RFC 3501 §6.3.10: counted, and left recent.
    return await mailbox.count_from(mailbox.record.first_recent)


async def _append_limit(session: Session, _mailbox: Mailbox) -> int:
    return session.service.append_limit


async def _highest_modseq(session: Session, mailbox: Mailbox) -> int:
    # Decision 0007: not above what is synced, should more be on its way.
    return min(mailbox.record.modseq, session.owner.synced_modseq)


ITEMS: Final[dict[bytes, Item]] = {
    b"MESSAGES": _messages,  # RFC 9051 §6.3.11
    b"UIDNEXT": _uidnext,
    b"UIDVALIDITY": _uidvalidity,
    b"UNSEEN": _unseen,
    b"DELETED": _deleted,
    b"SIZE": _size,  # RFC 8438
    b"RECENT": _recent,  # RFC 3501 §6.3.10
    b"APPENDLIMIT": _append_limit,  # RFC 7889 §3
    b"HIGHESTMODSEQ": _highest_modseq,  # RFC 7162 §3.1.7
    b"DELETED-STORAGE": _deleted_storage,  # RFC 9208 §4.3
}


def parse_items(cursor: Cursor, session: Session) -> tuple[bytes, ...]:
    """``"(" status-att *(SP status-att) ")"``.    Errors: BadSyntax."""

    def item() -> bytes:
        name = cursor.name()
        # RFC 9051 appendix E: IMAP4rev2 knows no recent messages.
        if name not in ITEMS or (name == b"RECENT" and session.rev2):
            raise cursor.reject("unknown status item")
        return name

    return tuple(dict.fromkeys(cursor.list_of(item)))


async def prepare(session: Session, items: tuple[bytes, ...]) -> None:
    """To be awaited before the lines of these items."""
    if b"HIGHESTMODSEQ" in items:
        # RFC 7162 §3.1: a CONDSTORE enabling command.
        await session.enable_condstore()
    # Nobody is told what a crash could take back.
    await session.owner.settle()


async def status_line(session: Session, mailbox: Mailbox, items: tuple[bytes, ...]) -> bytes:
    """``* STATUS name (MESSAGES 3 ...)``."""
    values = [b"%b %d" % (name, await ITEMS[name](session, mailbox)) for name in items]
    return b"* STATUS %b (%b)\r\n" % (session.encode_name(mailbox.name), b" ".join(values))
