"""Many messages of a mailbox change at once: flags set, expunged, copied to another mailbox.

Job     what a command does to 100,000 messages on the event loop, in milliseconds.
Input   Columns and slots of them; ascending where something changes.
Output  slots, or keys and rows of the index one after another in one bytes object.
Errors  IndexError: no such slot.  ValueError: slots are not live and ascending, or keywords or UIDs
        are impossible.  OverflowError: a number that its column cannot hold.
        Whatever the error, nothing was changed.
Cost    one pass over the slots; Python objects only for keywords beyond the 64th.
Twin    reference/bulk.py    Bench  benchmarks/micro/bench_bulk.py
"""

from cpython.array cimport array, clone, resize as resize_array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mox._speedups.columns cimport ROW_SIZE, Columns, high_keywords, pack_row

cdef extern from *:
    int lowest_bit "__builtin_ctzll"(unsigned long long) noexcept nogil

cdef enum:
    KEYWORDS = 8256  # the most a row can have
    WORDS = KEYWORDS // 64

cdef array NUMBERS = array("I")
cdef array IDS = array("Q")
cdef object LOW = 0xFFFFFFFFFFFFFFFF


cdef int check(Columns columns, const unsigned int[::1] slots) except -1:
    cdef Py_ssize_t i
    for i in range(slots.shape[0]):
        columns.check_slot(slots[i])
    return 0


# Big-endian, so that the order of keys is that of numbers.
cdef inline void store_be(uint8_t* p, uint64_t value, int width) noexcept nogil:
    cdef int i
    for i in range(width):
        p[i] = <uint8_t>(value >> (8 * (width - 1 - i)))


# ---------------------------------------------------------------------- looking


def live_slots(Columns columns not None, const unsigned int[::1] slots not None):
    """Those that are not gone."""
    cdef array found = clone(NUMBERS, slots.shape[0], False)
    cdef Py_ssize_t i, n = 0
    check(columns, slots)
    for i in range(slots.shape[0]):
        found.data.as_uints[n] = slots[i]
        n += columns.block.gone[slots[i]] == 0
    resize_array(found, n)
    return found


def files_of(Columns columns not None, const unsigned int[::1] slots not None):
    """File ids, in the order given."""
    cdef array found = clone(IDS, slots.shape[0], False)
    cdef Py_ssize_t i
    check(columns, slots)
    for i in range(slots.shape[0]):
        found.data.as_ulonglongs[i] = columns.block.file[slots[i]]
    return found


def size_of(Columns columns not None, const unsigned int[::1] slots not None):
    """Bytes of all of them."""
    cdef Py_ssize_t i
    cdef int64_t total = 0
    check(columns, slots)
    for i in range(slots.shape[0]):
        total += columns.block.size[slots[i]]
    return total


def keywords_of(Columns columns not None, const unsigned int[::1] slots not None):
    """All keyword bits that occur."""
    cdef uint64_t low = 0
    cdef Py_ssize_t i
    check(columns, slots)
    for i in range(slots.shape[0]):
        low |= columns.block.keywords[slots[i]]
    high = 0
    if columns.overflow:
        for i in range(slots.shape[0]):
            high |= columns.overflow.get(slots[i], 0)
    return (high << 64) | low


def first_gone(Columns columns not None, const unsigned int[::1] slots not None):
    """The lowest modseq of the expunges of gone slots; 0 where none is gone."""
    cdef uint64_t gone, lowest = 0
    cdef Py_ssize_t i
    check(columns, slots)
    for i in range(slots.shape[0]):
        gone = columns.block.gone[slots[i]]
        if gone - 1 < lowest - 1:  # 0 counts as the highest
            lowest = gone
    return lowest


def split_modseq(Columns columns not None, const unsigned int[::1] slots not None, uint64_t modseq):
    """Slots whose modseq is at most this one, and the others."""
    cdef array older = clone(NUMBERS, slots.shape[0], False)
    cdef array newer = clone(NUMBERS, slots.shape[0], False)
    cdef Py_ssize_t i, n = 0, m = 0
    check(columns, slots)
    for i in range(slots.shape[0]):
        if columns.block.modseq[slots[i]] > modseq:
            newer.data.as_uints[m] = slots[i]
            m += 1
        else:
            older.data.as_uints[n] = slots[i]
            n += 1
    resize_array(older, n)
    resize_array(newer, m)
    return older, newer


def without_modseqs(
    Columns columns not None,
    const unsigned int[::1] slots not None,
    const unsigned long long[::1] modseqs not None,
):
    """Slots whose modseq is none of these, which ascend."""
    cdef array found = clone(NUMBERS, slots.shape[0], False)
    cdef Py_ssize_t i, low, high, middle, n = 0
    cdef uint64_t modseq
    check(columns, slots)
    for i in range(slots.shape[0]):
        modseq = columns.block.modseq[slots[i]]
        low, high = 0, modseqs.shape[0]
        while low < high:
            middle = low + (high - low) // 2
            if modseqs[middle] < modseq:
                low = middle + 1
            else:
                high = middle
        found.data.as_uints[n] = slots[i]
        n += low == modseqs.shape[0] or modseqs[low] != modseq
    resize_array(found, n)
    return found


# ---------------------------------------------------------------------- sets of slots


def slots_in_both(const unsigned int[::1] one not None, const unsigned int[::1] other not None):
    """What is in both, both ascending."""
    cdef array found = clone(NUMBERS, min(one.shape[0], other.shape[0]), False)
    cdef Py_ssize_t i = 0, j = 0, n = 0
    while i < one.shape[0] and j < other.shape[0]:
        if one[i] < other[j]:
            i += 1
        elif one[i] > other[j]:
            j += 1
        else:
            found.data.as_uints[n] = one[i]
            n += 1
            i += 1
            j += 1
    resize_array(found, n)
    return found


def slots_in_either(const unsigned int[::1] one not None, const unsigned int[::1] other not None):
    """All of both, both ascending; each once."""
    cdef array found = clone(NUMBERS, one.shape[0] + other.shape[0], False)
    cdef Py_ssize_t i = 0, j = 0, n = 0
    while i < one.shape[0] or j < other.shape[0]:
        if j == other.shape[0] or (i < one.shape[0] and one[i] < other[j]):
            found.data.as_uints[n] = one[i]
            i += 1
        else:
            found.data.as_uints[n] = other[j]
            i += i < one.shape[0] and one[i] == other[j]
            j += 1
        n += 1
    resize_array(found, n)
    return found


def slots_without(const unsigned int[::1] one not None, const unsigned int[::1] other not None):
    """Those of the first that are not in the other, both ascending."""
    cdef array found = clone(NUMBERS, one.shape[0], False)
    cdef Py_ssize_t i, j = 0, n = 0
    for i in range(one.shape[0]):
        while j < other.shape[0] and other[j] < one[i]:
            j += 1
        found.data.as_uints[n] = one[i]
        n += j == other.shape[0] or other[j] != one[i]
    resize_array(found, n)
    return found


# ---------------------------------------------------------------------- rows and keys


def pack_rows(Columns columns not None, const unsigned int[::1] slots not None):
    """Row bytes of slots one after another; a list of them where one has more than 64 keywords."""
    cdef bytes packed
    cdef Py_ssize_t i
    cdef uint8_t* p
    check(columns, slots)
    if columns.overflow:
        for i in range(slots.shape[0]):
            if columns.overflow.get(slots[i]) is not None:
                return columns.rows(slots)
    packed = PyBytes_FromStringAndSize(NULL, slots.shape[0] * ROW_SIZE)
    p = <uint8_t*>PyBytes_AS_STRING(packed)
    for i in range(slots.shape[0]):
        pack_row(p, &columns.block, slots[i])
        p += ROW_SIZE
    return packed


def pack_keys(bytes head not None, const unsigned int[::1] numbers not None):
    """For each number a key: the head, the number in 4 bytes, big-endian."""
    cdef Py_ssize_t i, size = PyBytes_GET_SIZE(head)
    cdef bytes packed = PyBytes_FromStringAndSize(NULL, numbers.shape[0] * (size + 4))
    cdef uint8_t* p = <uint8_t*>PyBytes_AS_STRING(packed)
    for i in range(numbers.shape[0]):
        memcpy(p, PyBytes_AS_STRING(head), size)
        store_be(p + size, numbers[i], 4)
        p += size + 4
    return packed


def pack_references(
    bytes head not None,
    const unsigned long long[::1] files not None,
    bytes middle not None,
    const unsigned int[::1] uids not None,
):
    """For each file and UID a key: the head, the file in 8 bytes, the middle, the UID in 4 bytes."""
    cdef Py_ssize_t i, size = PyBytes_GET_SIZE(head), more = PyBytes_GET_SIZE(middle)
    cdef bytes packed
    cdef uint8_t* p
    if files.shape[0] != uids.shape[0]:
        raise ValueError("as many files as UIDs are needed")
    packed = PyBytes_FromStringAndSize(NULL, files.shape[0] * (size + more + 12))
    p = <uint8_t*>PyBytes_AS_STRING(packed)
    for i in range(files.shape[0]):
        memcpy(p, PyBytes_AS_STRING(head), size)
        store_be(p + size, files[i], 8)
        memcpy(p + size + 8, PyBytes_AS_STRING(middle), more)
        store_be(p + size + 8 + more, uids[i], 4)
        p += size + more + 12
    return packed


# ---------------------------------------------------------------------- copies


# Keyword bits of one mailbox as those of another: bit i becomes bit there[i].
cdef uint64_t translate_low(uint64_t low, const unsigned int[::1] there) noexcept nogil:
    cdef uint64_t result = 0
    while low:
        result |= <uint64_t>1 << there[lowest_bit(low)]
        low &= low - 1
    return result


cdef object translate(object bits, const unsigned int[::1] there):
    cdef uint64_t result[WORDS]
    cdef bytes from_bytes = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(from_bytes)
    cdef Py_ssize_t i
    cdef uint64_t rest
    cdef uint32_t bit
    memset(result, 0, sizeof(result))
    for i in range(PyBytes_GET_SIZE(from_bytes)):
        rest = p[i]
        while rest:
            bit = there[8 * i + lowest_bit(rest)]
            result[bit // 64] |= <uint64_t>1 << bit % 64
            rest &= rest - 1
    translated = 0
    for i in range(WORDS - 1, -1, -1):
        if translated or result[i]:
            translated = (translated << 64) | result[i]
    return translated


def append_copies(
    Columns target not None,
    Columns source not None,
    const unsigned int[::1] slots not None,
    uint32_t first_uid,
    int64_t saved,
    uint64_t modseq,
    uint32_t keep,
    uint32_t add,
    const unsigned int[::1] there not None,
):
    """Append copies of messages: UIDs ascend from the first one, the copies are not gone.

    Input   saved: ms since 1970; modseq: of the copies, as createseq too; their flags become
            ``old & keep | add``; there: which keyword bit each one has in the target, by its bit in
            the source.  The target may be the source.
    Output  their slots.
    Errors  ValueError: UIDs that are taken, keywords that are not in ``there``.
    """
    cdef Py_ssize_t i, n = slots.shape[0]
    cdef Py_ssize_t old, new, at = target.count
    cdef uint64_t low, known = 0, translated = 0
    cdef uint64_t narrow = 0  # keywords that are among the first 64 in both
    cdef bint overflow = bool(source.overflow)
    cdef dict high = {}
    cdef array added = clone(NUMBERS, n, False)
    check(source, slots)
    for i in range(there.shape[0]):
        if there[i] >= KEYWORDS:
            raise ValueError("no mailbox has so many keywords")
        if i < 64 and there[i] < 64:
            narrow |= <uint64_t>1 << i
    if keywords_of(source, slots).bit_length() > there.shape[0]:
        raise ValueError("a keyword is not known there")
    if first_uid <= (target.block.uid[at - 1] if at else 0):
        raise ValueError("a new UID must be above the last one")
    if n and n - 1 > <Py_ssize_t>(UINT32_MAX - first_uid):
        raise OverflowError("no UIDs left")
    target.make_room(n)
    for i in range(n):
        old, new = slots[i], at + i
        low = source.block.keywords[old]
        if low & ~narrow or (overflow and source.overflow.get(old) is not None):
            bits = translate(source.keywords(old), there)
            known, translated = 0, 0
            low = bits & LOW
            if bits >> 64:
                high[new] = bits >> 64
        else:
            if low != known:  # neighbours are mostly alike
                known, translated = low, translate_low(low, there)
            low = translated
        target.block.uid[new] = first_uid + <uint32_t>i
        target.block.size[new] = source.block.size[old]
        target.block.flags[new] = source.block.flags[old] & keep | add
        target.block.zone[new] = source.block.zone[old]
        target.block.received[new] = source.block.received[old]
        target.block.saved[new] = saved
        target.block.modseq[new] = modseq
        target.block.createseq[new] = modseq
        target.block.thread[new] = source.block.thread[old]
        target.block.file[new] = source.block.file[old]
        target.block.keywords[new] = low
        target.block.gone[new] = 0
    for i in range(n):
        target.tally(at + i, 1)
        added.data.as_uints[i] = <uint32_t>(at + i)
    target.overflow.update(high)
    target.count = at + n
    return added


# ---------------------------------------------------------------------- changes


def expunge_slots(Columns columns not None, const unsigned int[::1] slots not None, uint64_t modseq):
    """Mark live messages as gone since a modseq."""
    cdef Py_ssize_t i
    cdef int64_t last = -1
    check(columns, slots)
    if modseq == 0:
        raise ValueError("an expunge has a modseq above 0")
    for i in range(slots.shape[0]):
        if columns.block.gone[slots[i]] or slots[i] <= last:
            raise ValueError("slots must be ascending and live")
        last = slots[i]
    columns.make_room_for_lost(slots.shape[0])
    for i in range(slots.shape[0]):
        columns.lose(slots[i], modseq)


# Do keywords beyond the 64th come into play?
cdef int is_wide(Columns columns, object add_words) except -1:
    return bool(high_keywords(add_words)) or bool(columns.overflow)


def flag_changes(
    Columns columns not None,
    const unsigned int[::1] slots not None,
    keep,
    add,
    keep_words,
    add_words,
):
    """Slots whose flags or keywords differ from ``old & keep | add``."""
    cdef array found = clone(NUMBERS, slots.shape[0], False)
    cdef uint32_t flags, kept = keep & UINT32_MAX, added = add
    cdef uint64_t words, kept_words = keep_words & LOW, added_words = add_words & LOW
    cdef bint wide = is_wide(columns, add_words), changes
    cdef Py_ssize_t i, n = 0
    check(columns, slots)
    for i in range(slots.shape[0]):
        flags = columns.block.flags[slots[i]]
        changes = flags & kept | added != flags
        if wide:
            old = columns.keywords(slots[i])
            changes = changes or old & keep_words | add_words != old
        else:
            words = columns.block.keywords[slots[i]]
            changes = changes or words & kept_words | added_words != words
        found.data.as_uints[n] = slots[i]
        n += changes
    resize_array(found, n)
    return found


def set_flags_of(
    Columns columns not None,
    const unsigned int[::1] slots not None,
    keep,
    add,
    keep_words,
    add_words,
    uint64_t modseq,
):
    """Flags and keywords become ``old & keep | add``, at a modseq."""
    cdef uint32_t slot, kept = keep & UINT32_MAX, added = add
    cdef uint64_t kept_words = keep_words & LOW, added_words = add_words & LOW
    cdef bint wide = is_wide(columns, add_words), live
    cdef Py_ssize_t i
    check(columns, slots)
    if wide:
        for i in range(slots.shape[0]):
            slot = slots[i]
            new_words = columns.keywords(slot) & keep_words | add_words
            columns.set_flags(slot, columns.block.flags[slot] & kept | added, new_words, modseq)
        return
    for i in range(slots.shape[0]):
        slot = slots[i]
        live = columns.block.gone[slot] == 0
        if live:
            columns.tally(slot, -1)
        columns.block.flags[slot] = columns.block.flags[slot] & kept | added
        columns.block.keywords[slot] = columns.block.keywords[slot] & kept_words | added_words
        columns.block.modseq[slot] = modseq
        if live:
            columns.tally(slot, 1)
