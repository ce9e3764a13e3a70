"""Many messages of a mailbox change at once: the plain twin of bulk.pyx, one message after another."""

from array import array
from functools import reduce
from operator import or_
from typing import Final

from mox._speedups.columns import Columns

UID_MAX: Final = 0xFFFFFFFF
FLAG_BITS: Final = 0xFFFFFFFF
KEYWORDS: Final = 8256  # the most a row can have


def _check(columns: Columns, slots: "array[int]") -> None:
    for slot in slots:
        columns.uid(slot)  # IndexError


def live_slots(columns: Columns, slots: "array[int]") -> "array[int]":
    """Those that are not gone."""
    return array("I", (slot for slot in slots if not columns.gone(slot)))


def files_of(columns: Columns, slots: "array[int]") -> "array[int]":
    """File ids, in the order given."""
    return array("Q", (columns.file(slot) for slot in slots))


def size_of(columns: Columns, slots: "array[int]") -> int:
    """Bytes of all of them."""
    return sum(columns.size(slot) for slot in slots)


def split_modseq(
    columns: Columns, slots: "array[int]", modseq: int
) -> tuple["array[int]", "array[int]"]:
    """Slots whose modseq is at most this one, and the others."""
    older = array("I", (slot for slot in slots if columns.modseq(slot) <= modseq))
    newer = array("I", (slot for slot in slots if columns.modseq(slot) > modseq))
    return older, newer


def without_modseqs(columns: Columns, slots: "array[int]", modseqs: "array[int]") -> "array[int]":
    """Slots whose modseq is none of these, which ascend."""
    return array("I", (slot for slot in slots if columns.modseq(slot) not in modseqs))


def keywords_of(columns: Columns, slots: "array[int]") -> int:
    """All keyword bits that occur."""
    return reduce(or_, (columns.keywords(slot) for slot in slots), 0)


def first_gone(columns: Columns, slots: "array[int]") -> int:
    """The lowest modseq of the expunges of gone slots; 0 where none is gone."""
    return min((gone for gone in map(columns.gone, slots) if gone), default=0)


def slots_in_both(one: "array[int]", other: "array[int]") -> "array[int]":
    """What is in both, both ascending."""
    return array("I", sorted({*one} & {*other}))


def slots_in_either(one: "array[int]", other: "array[int]") -> "array[int]":
    """All of both, both ascending; each once."""
    return array("I", sorted({*one, *other}))


def slots_without(one: "array[int]", other: "array[int]") -> "array[int]":
    """Those of the first that are not in the other, both ascending."""
    return array("I", sorted({*one} - {*other}))


def pack_rows(columns: Columns, slots: "array[int]") -> bytes | list[bytes]:
    """Row bytes of slots one after another; a list of them where one has more than 64 keywords."""
    rows = columns.rows(slots)
    return rows if any(columns.keywords(slot) >> 64 for slot in slots) else b"".join(rows)


def pack_keys(head: bytes, numbers: "array[int]") -> bytes:
    """For each number a key: the head, the number in 4 bytes, big-endian."""
    return b"".join(head + number.to_bytes(4, "big") for number in numbers)


def pack_references(head: bytes, files: "array[int]", middle: bytes, uids: "array[int]") -> bytes:
    """For each file and UID a key: the head, the file in 8 bytes, the middle, the UID in 4 bytes."""
    return b"".join(
        head + file.to_bytes(8, "big") + middle + uid.to_bytes(4, "big")
        for file, uid in zip(files, uids, strict=True)
    )


def append_copies(
    target: Columns,
    source: Columns,
    slots: "array[int]",
    first_uid: int,
    saved: int,
    modseq: int,
    keep: int,
    add: int,
    there: "array[int]",
) -> "array[int]":
    """Append copies of messages: UIDs ascend from the first one, the copies are not gone.

    Input   saved: ms since 1970; modseq: of the copies, as createseq too; their flags become
            ``old & keep | add``; there: which keyword bit each one has in the target, by its bit in
            the source.  The target may be the source.
    Output  their slots.
    Errors  ValueError: UIDs that are taken, keywords that are not in ``there``.
    """
    _check(source, slots)
    if max(there, default=0) >= KEYWORDS:
        raise ValueError("no mailbox has so many keywords")
    if keywords_of(source, slots).bit_length() > len(there):
        raise ValueError("a keyword is not known there")
    if first_uid <= (target.uid(len(target) - 1) if len(target) else 0):
        raise ValueError("a new UID must be above the last one")
    if first_uid + len(slots) - 1 > UID_MAX:
        raise OverflowError("no UIDs left")
    added = array("I")
    for uid, slot in enumerate(slots, first_uid):
        bits = _bits_of(source.keywords(slot))
        new = target.append(
            uid,
            source.size(slot),
            source.flags(slot) & keep | add,
            source.zone(slot),
            source.received(slot),
            saved,
            modseq,
            modseq,
            source.thread(slot),
            source.file(slot),
            reduce(or_, (1 << there[bit] for bit in bits), 0),
        )
        added.append(new)
    return added


def _bits_of(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def expunge_slots(columns: Columns, slots: "array[int]", modseq: int) -> None:
    """Mark live messages as gone since a modseq."""
    _check(columns, slots)
    if modseq == 0:
        raise ValueError("an expunge has a modseq above 0")
    if list(slots) != sorted(set(slots)) or any(columns.gone(slot) for slot in slots):
        raise ValueError("slots must be ascending and live")
    for slot in slots:
        columns.set_gone(slot, modseq)


def _check_keywords(bits: int) -> None:
    if not 0 <= bits < 1 << KEYWORDS:
        raise ValueError("keywords are bits of at most 8,256 keywords")


def _changed(
    columns: Columns, slot: int, keep: int, add: int, keep_words: int, add_words: int
) -> tuple[int, int]:
    flags = columns.flags(slot) & keep & FLAG_BITS | add
    return flags, columns.keywords(slot) & keep_words | add_words


def flag_changes(
    columns: Columns, slots: "array[int]", keep: int, add: int, keep_words: int, add_words: int
) -> "array[int]":
    """Slots whose flags or keywords differ from ``old & keep | add``."""
    masks = keep, add, keep_words, add_words
    _check_keywords(add_words)
    return array(
        "I",
        (
            slot
            for slot in slots
            if _changed(columns, slot, *masks) != (columns.flags(slot), columns.keywords(slot))
        ),
    )


def set_flags_of(
    columns: Columns,
    slots: "array[int]",
    keep: int,
    add: int,
    keep_words: int,
    add_words: int,
    modseq: int,
) -> None:
    """Flags and keywords become ``old & keep | add``, at a modseq."""
    _check_keywords(add_words)
    _check(columns, slots)
    for slot in slots:
        flags, words = _changed(columns, slot, keep, add, keep_words, add_words)
        columns.set_flags(slot, flags, words, modseq)
