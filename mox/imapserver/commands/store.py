"""STORE and UID STORE.    RFC 9051 §6.4.6; RFC 7162 §3.1.3."""

from array import array
from functools import partial

import msgspec

from mox._speedups import (
    FETCH_MODSEQ,
    FETCH_UID,
    slots_in_both,
    slots_in_either,
    slots_without,
)
from mox.imap import codes
from mox.imap.cursor import Cursor
from mox.imap.flags import FlagSet
from mox.imap.seqset import SeqSet
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.fetching import Fetching
from mox.imapserver.fetchplan import Plan
from mox.imapserver.flaglines import announce_keywords
from mox.imapserver.news import write_flags_of
from mox.imapserver.numbers import find_slots
from mox.imapserver.promises import keep_promise
from mox.imapserver.session import Session
from mox.store.errors import MailboxMissing, ReadOnly
from mox.store.flags import FlagsChanged, How, change_flags
from mox.store.view import View, ranges_of_numbers

_HOWS = {
    b"FLAGS": How.REPLACE,
    b"+FLAGS": How.ADD,
    b"-FLAGS": How.REMOVE,
}


class _Arguments(msgspec.Struct, frozen=True, kw_only=True):
    numbers: SeqSet
    how: How
    silent: bool
    flags: FlagSet
    unchanged_since: int | None = None


def _parse(cursor: Cursor, session: Session) -> _Arguments:
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    unchanged_since: int | None = None
    if cursor.at_open():
        # RFC 4466 §2.5 store-modifiers; RFC 7162 §3.1.3: 0 is allowed here.
        cursor.open()
        if not cursor.try_name(b"UNCHANGEDSINCE"):
            raise cursor.fail("UNCHANGEDSINCE")
        cursor.space()
        unchanged_since = cursor.mod_sequence_valzer()
        cursor.close()
        cursor.space()
    name = cursor.word("FLAGS").upper()
    plain = name.removesuffix(b".SILENT")
    if plain not in _HOWS:
        raise cursor.reject("expected FLAGS, +FLAGS or -FLAGS")
    cursor.space()
    return _Arguments(
        numbers=numbers,
        how=_HOWS[plain],
        silent=plain != name,
        flags=cursor.flags(),
        unchanged_since=unchanged_since,
    )


async def _store(session: Session, arguments: _Arguments, *, uid: bool) -> Done:
    view = session.selected
    if view.mailbox.deleted:
        raise MailboxMissing
    if view.read_only:
        raise ReadOnly
    arguments.flags.check_keywords()
    found = find_slots(session, arguments.numbers, uid=uid)
    if arguments.unchanged_since is not None:
        await session.enable_condstore()
    # Nothing can be stored in a message that is gone; the client is told of it later.
    slots, some_gone = view.split_gone(found)
    behind = _behind(view, slots)
    change = change_flags(
        session.owner,
        view.mailbox,
        slots,
        arguments.how,
        arguments.flags.bits,
        arguments.flags.keywords,
        unchanged_since=arguments.unchanged_since,
        origin=session.feed,
    )
    if change.modseq:
        view.own(change.modseq)
    await keep_promise(session, change.ticket)
    # RFC 9051 §7.3.5: whoever has a new keyword is told so.
    announce_keywords(session)
    await _tell(session, slots, behind, change, silent=arguments.silent)
    if change.failed:
        numbers = view.columns.uids(change.failed) if uid else view.seqs(change.failed)
        failed = ranges_of_numbers(numbers)
        return Done(codes.modified(failed), "conditional store did not change all")
    if some_gone:
        return Done(codes.EXPUNGEISSUED, "some of these messages were expunged")
    return Done()


def _behind(view: View, slots: "array[int]") -> "array[int]":
    """Those that others changed without this client having been told."""
    return slots_in_both(view.changed_by_others(), slots)


async def _tell(
    session: Session,
    slots: "array[int]",
    behind: "array[int]",
    change: FlagsChanged,
    *,
    silent: bool,
) -> None:
    """FETCH lines: flags where they are asked for or news, modseqs with CONDSTORE."""
    if not silent:
        await write_flags_of(session, slots)
        return
    # RFC 7162 §3.1.3: the flags of those that failed the test; RFC 9051 §6.4.6: .SILENT hides our
    # own change only, not one from elsewhere.
    shown = slots_in_either(change.failed, behind)
    await write_flags_of(session, shown)
    if session.condstore:
        rest = slots_without(slots, shown)
        await Fetching(session, Plan(mask=FETCH_UID | FETCH_MODSEQ)).run(rest)


COMMANDS: tuple[AnyCommand, ...] = (
    Command(
        name=b"STORE",
        states=State.SELECTED,
        parse=_parse,
        run=partial(_store, uid=False),
        holds_expunges=True,
    ),
    Command(
        name=b"UID STORE",
        states=State.SELECTED,
        parse=_parse,
        run=partial(_store, uid=True),
    ),
)
