"""FETCH responses of what the columns know, as bytes for the wire.

Job     `* 7 FETCH (UID 9 FLAGS (\\Seen) MODSEQ (12) INTERNALDATE "…" RFC822.SIZE 1 SAVEDATE NIL)`,
        with the items of a mask, always in this order; in slices that fit an output buffer.
Input   slots of a Columns with their sequence numbers; keyword names by their bit.
Source  RFC 9051 §7.5.2, RFC 7162 §3.1.4.2 (MODSEQ), RFC 8514 §4.2 (SAVEDATE), RFC 9586 §3.3
        (UIDFETCH).
Errors  IndexError: no such slot.  ValueError: a keyword bit without a name, impossible arguments.
Cost    one pass; without the GIL where no message has a keyword above the 64th.
Twin    reference/fetchlines.py    Bench  benchmarks/micro/bench_fetchlines.py
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from mox._speedups.columns cimport RELEASE_FROM, Block, Columns

FETCH_UID = 1
FETCH_FLAGS = 2
FETCH_MODSEQ = 4
FETCH_INTERNALDATE = 8
FETCH_SIZE = 16
FETCH_SAVEDATE = 32
FETCH_RECENT = 64

cdef enum:
    UID = 1
    FLAGS = 2
    MODSEQ = 4
    INTERNALDATE = 8
    SIZE = 16
    SAVEDATE = 32
    RECENT = 64
    ITEMS_ALL = 127
    SYSTEM_FLAGS = 10
    WORD = 64  # keywords of the column; the rest is in the overflow
    LINE_MAX = 512  # bytes of a line without keywords: below 400 with every item at its longest
    FIRST_BUFFER = 65536
    ZONE_MAX = 5999  # minutes; the greatest zone that +hhmm can show

# In the order of their bits in mox.base.flags.
cdef const char* SYSTEM_NAME[SYSTEM_FLAGS]
SYSTEM_NAME[:] = [
    b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Draft",
    b"$Forwarded", b"$Junk", b"$NotJunk", b"$Phishing", b"$MDNSent",
]
cdef int SYSTEM_LENGTH[SYSTEM_FLAGS]
SYSTEM_LENGTH[:] = [5, 9, 8, 8, 6, 10, 5, 8, 9, 8]
cdef const char* MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
cdef const char* PAIRS = (
    b"00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    b"4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
    b"99"
)

# Local times that four digits of a year can show: 0001-01-01 to 9999-12-31, ms since 1970.
cdef int64_t LOCAL_FIRST = -62135596800000
cdef int64_t LOCAL_LAST = 253402300799999


# What is the same for every line of a response.
cdef struct Style:
    int items
    bint uidfetch
    uint32_t recent_from
    int names  # how many keywords have a name, at most WORD
    const char* name[WORD]
    Py_ssize_t length[WORD]


cdef inline char* put(char* p, const char* text, Py_ssize_t length) noexcept nogil:
    memcpy(p, text, length)
    return p + length


cdef inline char* put_number(char* p, uint64_t n) noexcept nogil:
    cdef char digits[20]
    cdef int i = 20
    while n >= 100:
        i -= 2
        memcpy(&digits[i], PAIRS + 2 * (n % 100), 2)
        n //= 100
    if n >= 10:
        i -= 2
        memcpy(&digits[i], PAIRS + 2 * n, 2)
    else:
        i -= 1
        digits[i] = <char>(48 + n)
    return put(p, &digits[i], 20 - i)


cdef inline char* put_pair(char* p, int n) noexcept nogil:
    return put(p, PAIRS + 2 * n, 2)


# RFC 9051 §9 date-time: the day padded with a space, the zone as +hhmm.
cdef char* put_date(char* p, int64_t ms, int zone) noexcept nogil:
    cdef int64_t seconds, days, era, day_of_era, year_of_era, day_of_year, shifted
    cdef int day, month, year, clock
    zone = min(max(zone, -ZONE_MAX), ZONE_MAX)
    # Bounded before it is added to, then counted from the first day so that nothing is negative.
    ms = min(max(ms, LOCAL_FIRST - ZONE_MAX * 60000), LOCAL_LAST + ZONE_MAX * 60000)
    ms = min(max(ms + zone * 60000, LOCAL_FIRST), LOCAL_LAST) - LOCAL_FIRST
    seconds = ms // 1000
    # Years that begin in March, in eras of 400 years: the leap day is the last of its year.
    days = seconds // 86400 + 306
    era = days // 146097
    day_of_era = days % 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = <int>(day_of_year - (153 * shifted + 2) // 5 + 1)
    month = <int>(shifted + 2 if shifted < 10 else shifted - 10)  # from 0
    year = <int>(year_of_era + era * 400 + (1 if month < 2 else 0))
    clock = <int>(seconds % 86400)
    p[0] = 34
    put_pair(p + 1, day)
    if day < 10:
        p[1] = 32
    p[3] = 45
    memcpy(p + 4, MONTHS + 3 * month, 3)
    p[7] = 45
    put_pair(p + 8, year // 100)
    put_pair(p + 10, year % 100)
    p[12] = 32
    put_pair(p + 13, clock // 3600)
    p[15] = 58
    put_pair(p + 16, clock // 60 % 60)
    p[18] = 58
    put_pair(p + 19, clock % 60)
    p[21] = 32
    p[22] = 45 if zone < 0 else 43
    zone = -zone if zone < 0 else zone
    put_pair(p + 23, zone // 60)
    put_pair(p + 25, zone % 60)
    p[27] = 34
    return p + 28


# The flags without their parentheses; NULL when a keyword has no name.
cdef char* put_flags(char* p, const Block* b, Py_ssize_t s, const Style* style, bytes_at extra) noexcept nogil:
    cdef char* start = p
    cdef uint32_t flags = b.flags[s]
    cdef uint64_t keywords = b.keywords[s]
    cdef int bit
    if style.items & RECENT and b.uid[s] >= style.recent_from:
        p = put(p, b"\\Recent ", 8)
    for bit in range(SYSTEM_FLAGS):
        if flags >> bit & 1:
            p = put(p, SYSTEM_NAME[bit], SYSTEM_LENGTH[bit])
            p[0] = 32
            p += 1
    bit = 0
    while keywords:
        if keywords & 1:
            if bit >= style.names:
                return NULL
            p = put(p, style.name[bit], style.length[bit])
            p[0] = 32
            p += 1
        keywords >>= 1
        bit += 1
    p = put(p, extra.text, extra.length)
    return p if p == start else p - 1


# A line without its end; NULL when a keyword has no name.
cdef char* put_line(char* p, const Block* b, Py_ssize_t s, uint32_t seq, const Style* style, bytes_at extra) noexcept nogil:
    cdef char* start
    p = put(p, b"* ", 2)
    if style.uidfetch:
        p = put(put_number(p, b.uid[s]), b" UIDFETCH (", 11)
    else:
        p = put(put_number(p, seq), b" FETCH (", 8)
    start = p
    if style.items & UID:
        p = put_number(put(p, b"UID ", 4), b.uid[s])
        p[0] = 32
        p += 1
    if style.items & FLAGS:
        p = put_flags(put(p, b"FLAGS (", 7), b, s, style, extra)
        if p == NULL:
            return NULL
        p = put(p, b") ", 2)
    if style.items & MODSEQ:
        p = put(put_number(put(p, b"MODSEQ (", 8), b.modseq[s]), b") ", 2)
    if style.items & INTERNALDATE:
        p = put_date(put(p, b"INTERNALDATE ", 13), b.received[s], b.zone[s])
        p[0] = 32
        p += 1
    if style.items & SIZE:
        p = put_number(put(p, b"RFC822.SIZE ", 12), b.size[s])
        p[0] = 32
        p += 1
    if style.items & SAVEDATE:
        p = put(p, b"SAVEDATE ", 9)
        # RFC 8514 §4.2: NIL where the time is not known.
        p = put_date(p, b.saved[s], 0) if b.saved[s] else put(p, b"NIL", 3)
        p[0] = 32
        p += 1
    return p if p == start else p - 1


# Text that belongs to one message: its keywords from the 65th on, each with a space after it.
cdef struct bytes_at:
    const char* text
    Py_ssize_t length


cdef struct Output:
    char* start
    Py_ssize_t length
    Py_ssize_t capacity


cdef int make_room(Output* out, Py_ssize_t more) noexcept nogil:
    cdef Py_ssize_t wanted = out.length + more
    cdef char* larger
    if wanted <= out.capacity:
        return 0
    wanted = max(wanted, FIRST_BUFFER, 2 * out.capacity)
    larger = <char*>realloc(out.start, wanted)
    if larger == NULL:
        return -1
    out.start = larger
    out.capacity = wanted
    return 0


cdef enum Trouble:
    NONE = 0
    NO_MEMORY = 1
    NO_SLOT = 2
    NO_NAME = 3


cdef int put_whole(Output* out, const Block* b, Py_ssize_t count, Py_ssize_t s, uint32_t seq, const Style* style, Py_ssize_t room, bytes_at extra, bint closed) noexcept nogil:
    cdef char* p
    if s >= count:
        return NO_SLOT
    if make_room(out, room + extra.length) < 0:
        return NO_MEMORY
    p = put_line(out.start + out.length, b, s, seq, style, extra)
    if p == NULL:
        return NO_NAME
    if closed:
        p = put(p, b")\r\n", 3)
    out.length = p - out.start
    return NONE


# Fill a style; the bytes a line may need.    `names` keeps the text of the pointers alive.
cdef Py_ssize_t prepare(Style* style, int items, tuple names, bint uidfetch, uint32_t recent_from) except -1:
    cdef int bit
    cdef bytes name
    cdef Py_ssize_t room = LINE_MAX
    if items & ~ITEMS_ALL:
        raise ValueError("unknown FETCH items")
    style.items = items
    style.uidfetch = uidfetch
    style.recent_from = recent_from
    style.names = 0
    if items & FLAGS:
        style.names = <int>min(WORD, len(names))
        for bit in range(style.names):
            name = <bytes?>names[bit]
            style.name[bit] = PyBytes_AS_STRING(name)
            style.length[bit] = PyBytes_GET_SIZE(name)
            room += style.length[bit] + 1
    return room


# The names of the keywords from the 65th on.
cdef bytes extra_names(object high, tuple names):
    cdef list found = []
    cdef Py_ssize_t bit = WORD
    while high:
        if high & 1:
            if bit >= len(names):
                raise ValueError("a keyword has no name")
            found.append(names[bit])
            found.append(b" ")
        high >>= 1
        bit += 1
    return b"".join(found)


cdef int complain(int trouble) except -1:
    if trouble == NO_MEMORY:
        raise MemoryError
    if trouble == NO_SLOT:
        raise IndexError("no such slot")
    if trouble == NO_NAME:
        raise ValueError("a keyword has no name")
    return 0


def format_fetch(
    Columns columns not None,
    const unsigned int[::1] slots not None,
    const unsigned int[::1] seqs not None,
    int items,
    list keyword_names not None,
    Py_ssize_t start=0,
    Py_ssize_t max_bytes=65536,
    *,
    bint uidfetch=False,
    uint32_t recent_from_uid=0,
):
    """Whole lines from index `start` on, until `max_bytes` are reached or passed.

    Input   seqs: one for each slot (not looked at with uidfetch); items: a sum of FETCH_*;
            recent_from_uid: with FETCH_RECENT, messages from this UID on carry \\Recent.
    Output  the lines, and the index to go on with: len(slots) when all is done.
    """
    cdef Style style
    cdef Output out = Output(NULL, 0, 0)
    cdef bytes_at extra = bytes_at(b"", 0)
    cdef tuple names = tuple(keyword_names)
    cdef Py_ssize_t i = start
    cdef Py_ssize_t stop = slots.shape[0]
    cdef Py_ssize_t count = columns.count
    cdef Py_ssize_t room = prepare(&style, items, names, uidfetch, recent_from_uid)
    cdef bint by_dict = items & FLAGS and len(columns.overflow) > 0
    cdef int trouble = NONE
    cdef bytes text
    cdef Block block
    if not 0 <= start <= stop or (not uidfetch and seqs.shape[0] != stop):
        raise ValueError("start or sequence numbers do not fit the slots")
    block = columns.begin()
    try:
        if by_dict or stop - start < RELEASE_FROM:
            while i < stop and (out.length < max_bytes or i == start) and not trouble:
                if by_dict:
                    high = columns.overflow.get(slots[i])
                    text = extra_names(high, names) if high else b""
                    extra = bytes_at(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
                trouble = put_whole(&out, &block, count, slots[i], 0 if uidfetch else seqs[i], &style, room, extra, True)
                i += 1
        else:
            with nogil:
                while i < stop and (out.length < max_bytes or i == start) and not trouble:
                    trouble = put_whole(&out, &block, count, slots[i], 0 if uidfetch else seqs[i], &style, room, extra, True)
                    i += 1
        complain(trouble)
        return (PyBytes_FromStringAndSize(out.start, out.length), i)
    finally:
        columns.end()
        free(out.start)


def format_items(
    Columns columns not None,
    Py_ssize_t slot,
    uint32_t seq,
    int items,
    list keyword_names not None,
    *,
    bint uidfetch=False,
    uint32_t recent_from_uid=0,
):
    """One line without its `)` and CRLF, so that more items can follow after a space.

    With items 0 it ends with the opening parenthesis.
    """
    cdef Style style
    cdef Output out = Output(NULL, 0, 0)
    cdef bytes_at extra = bytes_at(b"", 0)
    cdef tuple names = tuple(keyword_names)
    cdef Py_ssize_t room
    cdef bytes text
    columns.check_slot(slot)
    room = prepare(&style, items, names, uidfetch, recent_from_uid)
    if items & FLAGS and columns.overflow:
        high = columns.overflow.get(slot)
        text = extra_names(high, names) if high else b""
        extra = bytes_at(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    try:
        complain(put_whole(&out, &columns.block, columns.count, slot, seq, &style, room, extra, False))
        return PyBytes_FromStringAndSize(out.start, out.length)
    finally:
        free(out.start)
