"""SEARCH and UID SEARCH.    RFC 9051 §6.4.4, §7.3.4; RFC 4731, RFC 5182, RFC 7162 §3.1.5."""

from array import array
from functools import partial

import msgspec

from mox._speedups import ranges_of
from mox.base.errors import Malformed
from mox.base.limits import IMAP_SEARCH_NUMBERS_PER_LINE
from mox.imap import codes, searchkey
from mox.imap.cursor import Cursor
from mox.imap.errors import BadCharset
from mox.imap.searchkey import Program, Returns
from mox.imap.seqset import format_ranges
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import Bad
from mox.imapserver.searching import Searching
from mox.imapserver.searchplan import plan_search
from mox.imapserver.session import Session
from mox.store.errors import MailboxMissing

LINES_PER_DRAIN = 100


class _Arguments(msgspec.Struct, frozen=True, kw_only=True):
    returns: Returns
    program: Program


def _parse(cursor: Cursor, session: Session) -> _Arguments:
    returns, program = searchkey.returns(cursor), searchkey.program(cursor)
    if program.charset is not None and b"UTF8=ACCEPT" in session.enabled:
        # RFC 6855 §3: everything is UTF-8 then, whatever a label says.
        raise Bad("no CHARSET after ENABLE UTF8=ACCEPT")
    return _Arguments(returns=returns, program=program)


async def _search(session: Session, arguments: _Arguments, *, uid: bool) -> Done:
    returns = arguments.returns
    try:
        found = await _run(session, arguments)
    except Malformed:
        raise
    except Exception:
        if returns.save:
            # RFC 5182 §2.1: a SAVE that ends in NO empties the variable, one in BAD leaves it.
            session.search_result = []
        raise
    view = session.selected
    if returns.save:
        session.search_result = view.uid_ranges(found)
    if returns.given or session.rev2:
        _write_esearch(session, arguments, found, uid=uid)
    else:
        await _write_search(session, arguments.program, found, uid=uid)
    # RFC 7162 §3.2.10.2: a UID SEARCH with sequence numbers holds expunges as a SEARCH does.
    free = uid and not arguments.program.sequence_numbers
    if view.split_gone(found)[1]:
        return Done(codes.EXPUNGEISSUED, "some of these messages were expunged", free)
    return Done(frees_expunges=free)


async def _run(session: Session, arguments: _Arguments) -> "array[int]":
    """What was found; only the ends of it where nothing else is asked for."""
    view, returns, program = session.selected, arguments.returns, arguments.program
    if view.mailbox.deleted:
        raise MailboxMissing
    if not program.supported:
        raise BadCharset
    if program.modseq:
        await session.enable_condstore()
    if program.modseq or len(session.owner.feeds) > 1:
        # Nothing is found by what a crash could still take back.
        await session.owner.settle()
    try:
        searching = Searching(session, plan_search(session, program.key))
    except ValueError as error:
        raise Bad(str(error), cause=error) from error
    if (returns.min or returns.max) and not (returns.all or returns.count):
        # RFC 5182 §2.1: SAVE keeps only them, too.
        ends = {await searching.first()} if returns.min else set()
        ends |= {await searching.last()} if returns.max else set()
        return array("I", sorted(slot for slot in ends if slot is not None))
    return await searching.all()


def _numbers(session: Session, slots: "array[int]", *, uid: bool) -> "array[int]":
    view = session.selected
    return view.columns.uids(slots) if uid else view.seqs(slots)


async def _write_search(
    session: Session, program: Program, found: "array[int]", *, uid: bool
) -> None:
    """The response of RFC 3501 §7.2.5, in lines of bounded length."""
    numbers = _numbers(session, found, uid=uid)
    end = b"\r\n"
    if program.modseq and found:
        # RFC 7162 §3.1.5: the highest modseq of all that was found.
        end = b" (MODSEQ %d)\r\n" % session.selected.columns.max_modseq(found)
    if not numbers:
        session.write(b"* SEARCH\r\n")
    for line, at in enumerate(range(0, len(numbers), IMAP_SEARCH_NUMBERS_PER_LINE)):
        some = numbers[at : at + IMAP_SEARCH_NUMBERS_PER_LINE]
        session.write(b"* SEARCH " + " ".join(map(str, some)).encode("ascii") + end)
        if line % LINES_PER_DRAIN == LINES_PER_DRAIN - 1:
            await session.drain()


def _write_esearch(
    session: Session, arguments: _Arguments, found: "array[int]", *, uid: bool
) -> None:
    """ESEARCH.    RFC 9051 §7.3.4, RFC 4731 §3.1, RFC 7162 §3.1.10."""
    returns = arguments.returns
    # RFC 9051 §6.4.4: without RETURN, IMAP4rev2 answers as for ALL.
    show_all = returns.all or not returns.given
    if not (show_all or returns.min or returns.max or returns.count):
        # RFC 5182 §2.1: SAVE alone gives no data.
        return
    line = b'* ESEARCH (TAG "%b")' % session.tag
    if uid:
        line += b" UID"
    numbers = _numbers(session, found, uid=uid)
    # RFC 4731 §3.1: nothing but COUNT where nothing was found.
    if numbers and returns.min:
        line += b" MIN %d" % numbers[0]
    if numbers and returns.max:
        line += b" MAX %d" % numbers[-1]
    if returns.count:
        line += b" COUNT %d" % len(numbers)
    if numbers and show_all:
        line += b" ALL " + format_ranges(ranges_of(numbers))
    if numbers and arguments.program.modseq:
        line += b" MODSEQ %d" % session.selected.columns.max_modseq(found)
    session.write(line + b"\r\n")


COMMANDS: tuple[AnyCommand, ...] = (
    Command(
        name=b"SEARCH",
        states=State.SELECTED,
        parse=_parse,
        run=partial(_search, uid=False),
        holds_expunges=True,
    ),
    Command(
        name=b"UID SEARCH",
        states=State.SELECTED,
        parse=_parse,
        run=partial(_search, uid=True),
        holds_expunges=True,
    ),
)
