"""FLAGS and PERMANENTFLAGS of the selected mailbox."""

from typing import TYPE_CHECKING

from mox.base.limits import KEYWORDS_PER_MAILBOX
from mox.imap import flags

if TYPE_CHECKING:
    from mox.imapserver.session import Session


def write_flags(session: "Session") -> None:
    """FLAGS and PERMANENTFLAGS of the selected mailbox.    RFC 9051 §7.3.5, §7.1."""
    names = _write_names(session)
    session.write(_permanent(session, names))


def announce_keywords(session: "Session") -> None:
    """FLAGS and PERMANENTFLAGS, when the mailbox got keywords since they were told.

    Call it before the first FETCH that may show them.    RFC 9051 §7.3.5.
    """
    count = len(session.selected.mailbox.record.keywords)
    if count == session.keywords_told:
        return
    names = _write_names(session)
    if not session.selected.read_only:
        session.write(_permanent(session, names))


def _write_names(session: "Session") -> list[bytes]:
    keywords = session.selected.mailbox.record.keywords
    session.keywords_told = len(keywords)
    names = [flags.SYSTEM_NAMES, *(name.encode("ascii") for name in sorted(keywords))]
    session.write(b"* FLAGS (%b)\r\n" % b" ".join(names))
    return names


def _permanent(session: "Session", names: list[bytes]) -> bytes:
    view = session.selected
    if view.read_only:
        # RFC 9051 §6.3.3: nothing can be changed.
        return b"* OK [PERMANENTFLAGS ()] read-only\r\n"
    # RFC 9051 §7.1: what is not listed cannot be set to stay; \* says that new keywords can be made.
    if len(view.mailbox.record.keywords) >= KEYWORDS_PER_MAILBOX:
        return b"* OK [PERMANENTFLAGS (%b)] no more keywords\r\n" % b" ".join(names)
    return b"* OK [PERMANENTFLAGS (%b \\*)] these stay\r\n" % b" ".join(names)
