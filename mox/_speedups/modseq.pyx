"""Sets of numbers as ranges: what changed and what vanished since a modseq, put together.

Job     union, intersection, difference, counting and a compact byte form of number sets.  The log
        rows of a mailbox are such bytes; VANISHED and known-UID sets are such lists.
Input   lists of (first, last), ascending, disjoint, not adjacent; numbers 0 to 2^63-1.
Source  RFC 7162 §3.2.5, §3.2.10 (known UIDs, VANISHED); §7 (63-bit modseqs).
Errors  ValueError: out of order, out of range, damaged bytes.
Cost    one pass over the ranges, not over the numbers; merge_ranges sorts when it has to.
Twin    reference/modseq.py    Bench  benchmarks/micro/bench_modseq.py
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc

cdef enum:
    RANGES_MAX = 1 << 24  # ranges of one encoded value; far above what a change set can name
    VARINT_MAX = 9  # bytes; 63 bits in groups of seven


cdef struct Pair:
    int64_t first
    int64_t last


# Ranges in C, freed with the object.
@cython.final
cdef class _Pairs:
    cdef Pair* at
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity

    def __dealloc__(self):
        free(self.at)

    cdef int add(self, int64_t first, int64_t last) except -1:
        cdef Py_ssize_t capacity
        cdef Pair* larger
        if self.count == self.capacity:
            capacity = max(16, self.capacity + self.capacity // 2)
            larger = <Pair*>realloc(self.at, capacity * sizeof(Pair))
            if larger == NULL:
                raise MemoryError
            self.at = larger
            self.capacity = capacity
        self.at[self.count] = Pair(first, last)
        self.count += 1
        return 0

    cdef list as_list(self):
        cdef Py_ssize_t i
        return [(self.at[i].first, self.at[i].last) for i in range(self.count)]


# Append the ranges of a list.    Ordered: ascending and disjoint, else each by itself.
cdef int read(_Pairs pairs, list ranges, bint ordered) except -1:
    cdef int64_t first, last
    cdef int64_t end = -1
    for item in ranges:
        one, other = item
        try:
            first = one
            last = other
        except OverflowError:
            raise ValueError("a range must be ascending and below 2^63") from None
        if first < 0 or last < first:
            raise ValueError("a range must be ascending and below 2^63")
        if ordered and first <= end:
            raise ValueError("ranges must be ascending, disjoint and below 2^63")
        end = last
        pairs.add(first, last)
    return 0


cdef _Pairs read_set(list ranges):
    cdef _Pairs pairs = _Pairs()
    read(pairs, ranges, True)
    return pairs


cdef int compare_pairs(const void* left, const void* right) noexcept nogil:
    cdef int64_t a = (<const Pair*>left).first
    cdef int64_t b = (<const Pair*>right).first
    return (a > b) - (a < b)


def ranges_of(numbers):
    """Ascending numbers, each once, as ranges.    Errors: ValueError when they do not ascend."""
    cdef _Pairs pairs = _Pairs()
    cdef int64_t number
    cdef int64_t end = -1
    for item in numbers:
        try:
            number = item
        except OverflowError:
            raise ValueError("numbers must be ascending and below 2^63") from None
        if number <= end:
            raise ValueError("numbers must be ascending and below 2^63")
        if pairs.count and number == end + 1:
            pairs.at[pairs.count - 1].last = number
        else:
            pairs.add(number, number)
        end = number
    return pairs.as_list()


def count_ranges(list ranges not None):
    """How many numbers."""
    cdef _Pairs pairs = read_set(ranges)
    cdef uint64_t total = 0
    cdef Py_ssize_t i
    for i in range(pairs.count):
        total += <uint64_t>(pairs.at[i].last - pairs.at[i].first) + 1
    return total


def merge_ranges(list sets not None):
    """Union of any sets, of ranges in any order.    Cost: n log n."""
    cdef _Pairs pairs = _Pairs()
    cdef _Pairs merged = _Pairs()
    cdef Py_ssize_t i
    cdef bint sorted_already = True
    cdef Pair* top
    for ranges in sets:
        read(pairs, <list?>ranges, False)
    for i in range(1, pairs.count):
        if pairs.at[i].first < pairs.at[i - 1].first:
            sorted_already = False
            break
    if not sorted_already:
        qsort(pairs.at, pairs.count, sizeof(Pair), compare_pairs)
    for i in range(pairs.count):
        top = &merged.at[merged.count - 1] if merged.count else NULL
        if top != NULL and pairs.at[i].first - 1 <= top.last:
            top.last = max(top.last, pairs.at[i].last)
        else:
            merged.add(pairs.at[i].first, pairs.at[i].last)
    return merged.as_list()


def intersect_ranges(list left not None, list right not None):
    """Numbers in both."""
    cdef _Pairs a = read_set(left)
    cdef _Pairs b = read_set(right)
    cdef _Pairs out = _Pairs()
    cdef Py_ssize_t i = 0, j = 0
    cdef int64_t first, last
    while i < a.count and j < b.count:
        first = max(a.at[i].first, b.at[j].first)
        last = min(a.at[i].last, b.at[j].last)
        if first <= last:
            out.add(first, last)
        if a.at[i].last < b.at[j].last:
            i += 1
        else:
            j += 1
    return out.as_list()


def subtract_ranges(list left not None, list right not None):
    """Numbers of the first that are not in the second."""
    cdef _Pairs a = read_set(left)
    cdef _Pairs b = read_set(right)
    cdef _Pairs out = _Pairs()
    cdef Py_ssize_t i, j = 0
    cdef int64_t start, last
    cdef bint covered
    for i in range(a.count):
        start = a.at[i].first
        last = a.at[i].last
        covered = False
        while j < b.count and b.at[j].last < start:
            j += 1
        while j < b.count and b.at[j].first <= last:
            if b.at[j].first > start:
                out.add(start, b.at[j].first - 1)
            # It may reach into the next range of the left side: then it stays the current one.
            if b.at[j].last >= last:
                covered = True
                break
            start = b.at[j].last + 1
            j += 1
        if not covered:
            out.add(start, last)
    return out.as_list()


cdef inline Py_ssize_t put_varint(uint8_t* p, uint64_t number) noexcept nogil:
    cdef Py_ssize_t n = 0
    while number > 0x7F:
        p[n] = <uint8_t>(number | 0x80)
        number >>= 7
        n += 1
    p[n] = <uint8_t>number
    return n + 1


def encode_ranges(list ranges not None):
    """Compact bytes: per range two varints, distance from the end of the last one and length - 1.

    A varint is groups of seven bits, lowest first, the high bit set in all bytes but the last.
    """
    cdef _Pairs pairs = read_set(ranges)
    cdef Py_ssize_t i, n = 0
    cdef int64_t previous = 0
    cdef uint8_t* p
    if pairs.count > RANGES_MAX:
        raise ValueError("too many ranges")
    p = <uint8_t*>malloc(max(1, pairs.count) * 2 * VARINT_MAX)
    if p == NULL:
        raise MemoryError
    try:
        for i in range(pairs.count):
            n += put_varint(p + n, <uint64_t>(pairs.at[i].first - previous))
            n += put_varint(p + n, <uint64_t>(pairs.at[i].last - pairs.at[i].first))
            previous = pairs.at[i].last
        return PyBytes_FromStringAndSize(<char*>p, n)
    finally:
        free(p)


# One varint from *at on, at most 63 bits; -1 when it is too long, -2 when the bytes end in it.
cdef int64_t get_varint(const uint8_t* p, Py_ssize_t size, Py_ssize_t* at) noexcept nogil:
    cdef uint64_t number = 0
    cdef int n
    cdef uint8_t byte
    for n in range(VARINT_MAX):
        if at[0] == size:
            return -2
        byte = p[at[0]]
        at[0] += 1
        number |= <uint64_t>(byte & 0x7F) << (7 * n)
        if byte < 0x80:
            return <int64_t>number
    return -1 if at[0] < size else -2


cdef int64_t next_varint(const uint8_t* p, Py_ssize_t size, Py_ssize_t* at) except -1:
    cdef int64_t number = get_varint(p, size, at)
    if number == -1:
        raise ValueError("a number is too long")
    if number == -2:
        raise ValueError("the bytes end inside a range")
    return number


def decode_ranges(bytes data not None):
    """Ranges of such bytes.    Errors: ValueError when they are damaged."""
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = len(data)
    cdef Py_ssize_t at = 0
    cdef int64_t distance, length
    cdef int64_t last = 0
    cdef list out = []
    while at < size:
        distance = next_varint(p, size, &at)
        length = next_varint(p, size, &at)
        if len(out) == RANGES_MAX:
            raise ValueError("too many ranges")
        if out and not distance:
            raise ValueError("ranges overlap")
        if distance > INT64_MAX - last or length > INT64_MAX - last - distance:
            raise ValueError("a number is too large")
        out.append((last + distance, last + distance + length))
        last += distance + length
    return out
