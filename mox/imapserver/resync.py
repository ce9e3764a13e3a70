"""QRESYNC: what changed while a client was away.    RFC 7162 §3.2.5."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from mox._speedups import intersect_ranges, subtract_ranges
from mox.base.limits import IMAP_RESYNC_PAIRS
from mox.imap.cursor import Cursor
from mox.imap.seqset import SeqSet
from mox.imapserver.errors import Bad, No
from mox.imapserver.news import write_flags_of, write_vanished
from mox.imapserver.session import Session
from mox.store import history
from mox.store.view import View

Ranges = list[tuple[int, int]]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the client says it knows."""

    uidvalidity: int
    modseq: int
    uids: SeqSet | None = None
    match_seqs: SeqSet | None = None  # seq-match-data
    match_uids: SeqSet | None = None


def parse_known(cursor: Cursor) -> Known:
    """``"(" uidvalidity SP modseq [SP known-uids] [SP seq-match-data] ")"``.

    Source  RFC 7162 §7 select-param.    Errors: BadSyntax.
    """
    cursor.open()
    uidvalidity = cursor.nz_number()
    cursor.space()
    modseq = cursor.mod_sequence_value()
    uids = match_seqs = match_uids = None
    more = cursor.try_space()
    if more and not cursor.at_open():
        uids = cursor.sequence_set(star=False, saved=False)
        more = cursor.try_space()
    if more:
        cursor.open()
        match_seqs = cursor.sequence_set(star=False, saved=False)
        cursor.space()
        match_uids = cursor.sequence_set(star=False, saved=False)
        cursor.close()
    cursor.close()
    if match_seqs is not None and match_uids is not None:
        seqs, wanted = _size(match_seqs), _size(match_uids)
        if seqs != wanted:
            raise Bad("sets of the match data differ in length")
    return Known(
        uidvalidity=uidvalidity,
        modseq=modseq,
        uids=uids,
        match_seqs=match_seqs,
        match_uids=match_uids,
    )


def check(known: Known) -> None:
    """RFC 7162 §3.2.5.2: both sets of the match data ascend.    Errors: No."""
    for numbers in (known.match_seqs, known.match_uids):
        if numbers is not None and not _ascends(numbers):
            raise No("match data must ascend")


async def write_resync(session: Session, view: View, known: Known) -> None:
    """VANISHED (EARLIER), then the messages that changed.    Locks: the mailbox is pinned."""
    mailbox = view.mailbox
    if known.uidvalidity != mailbox.record.uidvalidity:
        # RFC 7162 §3.2.5: nothing the client knows is about this mailbox.
        return
    since = known.modseq
    uids: Ranges = known.uids.resolve(0) if known.uids is not None else [(1, 0xFFFFFFFF)]
    if known.match_seqs is not None and known.match_uids is not None:
        matched, expunged_at = await _compare(session, view, known)
        if expunged_at:
            # The client says it was told up to a modseq at which this UID was gone already, so
            # what it knows does not hold together.
            session.write(b"* OK [ALERT] your copy of this mailbox is out of step\r\n")
            since, uids = expunged_at - 1, [(1, 0xFFFFFFFF)]
        elif matched:
            # RFC 7162 §3.2.5.2: up to the last match the client knows of every expunge.
            await _write(session, view, since, uids, above=matched)
            return
    await _write(session, view, since, uids, above=0)


async def _write(session: Session, view: View, since: int, uids: Ranges, *, above: int) -> None:
    account = session.owner
    asked = subtract_ranges(uids, [(1, above)]) if above else uids
    gone = await history.vanished_since(account, view.mailbox, since, view.told, asked)
    # RFC 7162 §3.2.5, §3.2.6: VANISHED comes before the FETCH lines.
    write_vanished(session, gone, earlier=True)
    await session.drain()
    slots = view.columns.changed_visible(view.limit, view.told, since)
    if slots and uids != [(1, 0xFFFFFFFF)]:
        slots = view.slots_by_uid(intersect_ranges(view.uid_ranges(slots), uids))
    await write_flags_of(session, slots)


async def _compare(session: Session, view: View, known: Known) -> tuple[int, int]:
    """Walk the pairs of sequence number and UID.

    Output  the UID of the last pair that still holds, 0 where none does; and the modseq of the
            expunge of the first UID that does not, where the client ought to know of it, else 0.
    """
    assert known.match_seqs is not None
    assert known.match_uids is not None
    matched = 0
    for pair in _pairs(known.match_seqs, known.match_uids):
        seq, uid = pair
        slots = view.slots_by_seq([(seq, seq)])
        if not slots or view.columns.uid(slots[0]) != uid:
            if view.slots_by_uid([(uid, uid)]):
                return matched, 0
            upto = min(known.modseq, view.told)
            return matched, await history.expunged_by(session.owner, view.mailbox, uid, upto)
        matched = uid
    return matched, 0


def _size(numbers: SeqSet) -> int:
    return sum(abs(last - first) + 1 for first, last in numbers.ranges)


def _pairs(seqs: SeqSet, uids: SeqSet) -> Iterator[tuple[int, int]]:
    """Pairs in order, as many as are looked at."""
    pairs = zip(_numbers(seqs), _numbers(uids), strict=True)
    return islice(pairs, IMAP_RESYNC_PAIRS)


def _numbers(numbers: SeqSet) -> Iterator[int]:
    for first, last in numbers.ranges:
        yield from range(first, last + 1)


def _ascends(numbers: SeqSet) -> bool:
    before = 0
    for first, last in numbers.ranges:
        if first <= before or last < first:
            return False
        before = last
    return True
