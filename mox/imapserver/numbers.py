"""From the number sets of a command to messages of the selected mailbox."""

from array import array
from typing import TYPE_CHECKING

from mox._speedups import slots_in_either
from mox.imap.seqset import SeqSet
from mox.imapserver.errors import Bad

if TYPE_CHECKING:
    from mox.imapserver.session import Session


def find_slots(session: "Session", numbers: SeqSet, *, uid: bool) -> "array[int]":
    """Slots of a set, ascending, each once; unknown UIDs are left out.

    Errors  Bad for a sequence number beyond EXISTS.    RFC 9051 §6.4.9, §9 seq-number.
    """
    view = session.selected
    if uid:
        return view.slots_by_uid(numbers.resolve(view.highest_uid(), session.search_result))
    exists = view.exists
    if numbers.largest_named > exists or (numbers.has_star and not exists):
        raise Bad("no message has this number")
    slots = view.slots_by_seq(numbers.resolve(exists))
    if numbers.saved:
        # RFC 5182 §2.1: "$" names messages, whichever numbers the rest of the set has.
        slots = slots_in_either(slots, view.slots_by_uid(session.search_result))
    return slots


def search_slots(session: "Session", numbers: SeqSet, *, uid: bool) -> "array[int]":
    """The same for a search key: numbers beyond EXISTS match nothing."""
    view = session.selected
    if uid:
        return find_slots(session, numbers, uid=True)
    slots = view.slots_by_seq(numbers.resolve(view.exists))
    return (
        slots_in_either(slots, view.slots_by_uid(session.search_result)) if numbers.saved else slots
    )
