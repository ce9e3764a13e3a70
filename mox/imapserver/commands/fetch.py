"""FETCH and UID FETCH.    RFC 9051 §6.4.5, §6.4.9; RFC 7162 §3.1.4, §3.2.6; RFC 3516."""

from array import array
from functools import partial

import msgspec

from mox._speedups import FETCH_MODSEQ, slots_in_both
from mox.imap import codes
from mox.imap.cursor import Cursor
from mox.imap.fetchitem import AnyItem, FetchModifiers, items, modifiers
from mox.imap.seqset import SeqSet
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import Bad, No
from mox.imapserver.fetching import Fetching
from mox.imapserver.fetchplan import Plan, plan
from mox.imapserver.news import write_vanished
from mox.imapserver.numbers import find_slots
from mox.imapserver.promises import keep_promise
from mox.imapserver.session import Session
from mox.store import history
from mox.store.errors import MailboxMissing


class _Arguments(msgspec.Struct, frozen=True, kw_only=True):
    numbers: SeqSet
    items: tuple[AnyItem, ...]
    modifiers: FetchModifiers


def _parse(cursor: Cursor, session: Session, *, uid: bool) -> _Arguments:
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    asked = items(cursor)
    found = modifiers(cursor)
    if found.vanished and not (uid and session.qresync):
        # RFC 7162 §3.2.6: only of UID FETCH, and only once QRESYNC is enabled.
        raise Bad("VANISHED needs UID FETCH and QRESYNC")
    return _Arguments(numbers=numbers, items=asked, modifiers=found)


async def _fetch(session: Session, arguments: _Arguments, *, uid: bool) -> Done:
    view = session.selected
    if view.mailbox.deleted:
        raise MailboxMissing
    slots = find_slots(session, arguments.numbers, uid=uid)
    what = await _plan(session, arguments, uid=uid)
    since = arguments.modifiers.changed_since
    if since is not None:
        if arguments.modifiers.vanished:
            await _write_vanished(session, arguments.numbers, since)
        slots = _changed(session, slots, since)
    fetching = Fetching(session, what)
    await fetching.run(slots)
    await keep_promise(session, fetching.ticket)
    problem = fetching.problem
    if problem is not None:
        raise No(problem.public, problem.code, cause=problem)
    if view.split_gone(slots)[1]:
        # RFC 5530 §3: they were given all the same.
        return Done(codes.EXPUNGEISSUED, "some of these messages were expunged")
    return Done()


async def _plan(session: Session, arguments: _Arguments, *, uid: bool) -> Plan:
    what = plan(arguments.items)
    since = arguments.modifiers.changed_since
    if what.mask & FETCH_MODSEQ or since is not None:
        # RFC 7162 §3.1: both tell that the client knows of modseqs.
        await session.enable_condstore()
    if since is not None or (uid and session.qresync):
        # RFC 7162 §3.1.4.1: CHANGEDSINCE asks for MODSEQ; §3.2.6 for UID FETCH with QRESYNC.
        what = msgspec.structs.replace(what, mask=what.mask | FETCH_MODSEQ)
    return what


async def _write_vanished(session: Session, numbers: SeqSet, since: int) -> None:
    """RFC 7162 §3.2.6: what vanished of the set, before the FETCH lines."""
    view = session.selected
    # "*" is the highest UID there is; behind it others may have vanished, which are asked for too.
    asked = numbers.resolve(
        max(view.highest_uid(), view.mailbox.record.uidnext - 1), session.search_result
    )
    gone = await history.vanished_since(session.owner, view.mailbox, since, view.told, asked)
    write_vanished(session, gone, earlier=True)
    await session.drain()


def _changed(session: Session, slots: "array[int]", since: int) -> "array[int]":
    view = session.selected
    return slots_in_both(view.columns.changed_visible(view.limit, view.told, since), slots)


COMMANDS: tuple[AnyCommand, ...] = (
    Command(
        name=b"FETCH",
        states=State.SELECTED,
        parse=partial(_parse, uid=False),
        run=partial(_fetch, uid=False),
        holds_expunges=True,
    ),
    Command(
        name=b"UID FETCH",
        states=State.SELECTED,
        parse=partial(_parse, uid=True),
        run=partial(_fetch, uid=True),
    ),
)
