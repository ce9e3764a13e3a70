"""Search over the columns of a mailbox, a block of messages at a time.

Job     a checked postfix program (mox._speedups.program) → NO, YES, MAYBE or HIDDEN per slot.
How     Each instruction runs over a block of slots, reading one or two arrays and writing bytes to
        a stack of blocks.  Within, truth is no 0, maybe 1, yes 2, so that AND is the lesser, OR the
        greater and NOT 2 - x: loops without branches.
Laws    A program never changes.  Long spans run without the GIL.
Errors  ValueError: an ill-formed program, a span outside the view.
Cost    about a nanosecond or less per instruction and message; a set costs log n per block too.
Twin    reference/search.py    Bench  benchmarks/micro/bench_search.py
"""

cimport cython
from cpython.array cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport UINT32_MAX, int16_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from mox._speedups.columns cimport RELEASE_FROM, Block, Columns, is_shown

from mox._speedups.program import check_program

cdef enum:
    BLOCK = 1024  # slots; a block of every array used stays in the first-level cache
    NO = 0
    MAYBE = 1
    YES = 2

cdef enum:
    OP_ALL
    OP_NONE
    OP_FLAGS
    OP_KEYWORD
    OP_LARGER
    OP_SMALLER
    OP_RECEIVED_BEFORE
    OP_RECEIVED_FROM
    OP_SAVED_BEFORE
    OP_SAVED_FROM
    OP_MODSEQ_FROM
    OP_UID
    OP_SEQ
    OP_SLOTS
    OP_MAYBE
    OP_AND
    OP_OR
    OP_NOT

cdef dict OPS = {
    "all": OP_ALL,
    "none": OP_NONE,
    "flags": OP_FLAGS,
    "keyword": OP_KEYWORD,
    "larger": OP_LARGER,
    "smaller": OP_SMALLER,
    "received_before": OP_RECEIVED_BEFORE,
    "received_from": OP_RECEIVED_FROM,
    "saved_before": OP_SAVED_BEFORE,
    "saved_from": OP_SAVED_FROM,
    "modseq_from": OP_MODSEQ_FROM,
    "uid": OP_UID,
    "seq": OP_SEQ,
    "slots": OP_SLOTS,
    "maybe": OP_MAYBE,
    "and": OP_AND,
    "or": OP_OR,
    "not": OP_NOT,
}


cdef struct Op:
    int kind
    uint64_t a
    uint64_t b
    int64_t ms
    int64_t zone  # ms for each minute of the zone: 60,000 or 0
    uint32_t* pool  # slots, or low and high ends by turns
    Py_ssize_t length


# The values of one block, and what does not change from block to block.
cdef struct Run:
    Block block
    uint64_t told
    const uint8_t* leaves  # per instruction, what is known of it; NULL: nothing
    uint8_t* stack  # blocks


# First index of a pool, from 0 in steps of `step`, whose number is not below `number`.
cdef Py_ssize_t lower_bound(const uint32_t* pool, Py_ssize_t length, Py_ssize_t step, uint32_t number) noexcept nogil:
    cdef Py_ssize_t low = 0, high = length // step, middle
    while low < high:
        middle = low + (high - low) // 2
        if pool[middle * step + step - 1] < number:
            low = middle + 1
        else:
            high = middle
    return low * step


cdef void match_uids(const Op* op, const uint32_t* uid, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t i
    cdef Py_ssize_t k = lower_bound(op.pool, op.length, 2, uid[0])
    for i in range(n):
        while k < op.length and op.pool[k + 1] < uid[i]:
            k += 2
        out[i] = YES if k < op.length and op.pool[k] <= uid[i] else NO


# `seq` is the sequence number of the first slot that is shown.
cdef void match_seqs(const Op* op, const uint64_t* gone, uint64_t told, uint32_t seq, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t i
    cdef Py_ssize_t k = lower_bound(op.pool, op.length, 2, seq)
    for i in range(n):
        if not is_shown(gone[i], told):
            out[i] = NO
            continue
        while k < op.length and op.pool[k + 1] < seq:
            k += 2
        out[i] = YES if k < op.length and op.pool[k] <= seq else NO
        seq += 1


cdef void match_slots(const Op* op, Py_ssize_t first, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t k = lower_bound(op.pool, op.length, 1, <uint32_t>first)
    memset(out, NO, n)
    while k < op.length and op.pool[k] < first + n:
        out[op.pool[k] - first] = YES
        k += 1


cdef void match_flags(const Op* op, const uint32_t* flags, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef uint32_t mask = <uint32_t>op.a
    cdef uint32_t value = <uint32_t>op.b
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = <uint8_t>((flags[i] & mask) == value) << 1


cdef void match_sizes(const Op* op, const uint32_t* size, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef uint64_t bound = op.a
    cdef Py_ssize_t i
    if op.kind == OP_LARGER:
        for i in range(n):
            out[i] = <uint8_t>(size[i] > bound) << 1
    else:
        for i in range(n):
            out[i] = <uint8_t>(size[i] < bound) << 1


cdef void match_words(const Op* op, const Block* b, Py_ssize_t first, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef const uint64_t* column
    cdef Py_ssize_t i
    if op.kind == OP_KEYWORD:
        column = b.keywords + first
        for i in range(n):
            out[i] = <uint8_t>(column[i] >> op.a & 1) << 1
    else:
        column = b.modseq + first
        for i in range(n):
            out[i] = <uint8_t>(column[i] >= op.a) << 1


cdef void match_times(const Op* op, const Block* b, Py_ssize_t first, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef const int64_t* received = b.received + first
    cdef const int64_t* saved = b.saved + first
    cdef const int16_t* zone = b.zone + first
    cdef Py_ssize_t i
    cdef int64_t ms
    if op.kind == OP_RECEIVED_BEFORE:
        # The zone is taken from the bound, which lies well within 64 bits, so nothing can wrap.
        for i in range(n):
            out[i] = <uint8_t>(received[i] < op.ms - zone[i] * op.zone) << 1
    elif op.kind == OP_RECEIVED_FROM:
        for i in range(n):
            out[i] = <uint8_t>(received[i] >= op.ms - zone[i] * op.zone) << 1
    else:
        for i in range(n):
            # RFC 8514 §4.3: the internal date stands in for a save date that is not known.
            ms = saved[i] if saved[i] else received[i]
            out[i] = <uint8_t>((ms < op.ms) == (op.kind == OP_SAVED_BEFORE)) << 1


cdef void join(int kind, uint8_t* left, const uint8_t* right, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if kind == OP_AND:
        for i in range(n):
            left[i] = left[i] if left[i] < right[i] else right[i]
    else:
        for i in range(n):
            left[i] = left[i] if left[i] > right[i] else right[i]


# One leaf over a block.
cdef void match(const Op* op, const Run* run, Py_ssize_t first, Py_ssize_t n, uint32_t seq, uint8_t* out) noexcept nogil:
    cdef int kind = op.kind
    if kind == OP_ALL or kind == OP_NONE:
        memset(out, YES if kind == OP_ALL else NO, n)
    elif kind == OP_FLAGS:
        match_flags(op, run.block.flags + first, n, out)
    elif kind == OP_LARGER or kind == OP_SMALLER:
        match_sizes(op, run.block.size + first, n, out)
    elif kind == OP_KEYWORD or kind == OP_MODSEQ_FROM:
        match_words(op, &run.block, first, n, out)
    elif kind == OP_UID:
        match_uids(op, run.block.uid + first, n, out)
    elif kind == OP_SEQ:
        match_seqs(op, run.block.gone + first, run.told, seq, n, out)
    elif kind == OP_SLOTS:
        match_slots(op, first, n, out)
    else:
        match_times(op, &run.block, first, n, out)


# All instructions over one block; the result is the first block of the stack.
cdef void run_block(const Op* ops, Py_ssize_t length, const Run* run, Py_ssize_t first, Py_ssize_t n, uint32_t seq) noexcept nogil:
    cdef uint8_t* top = run.stack  # where the next value goes
    cdef Py_ssize_t i, k
    for k in range(length):
        if ops[k].kind == OP_AND or ops[k].kind == OP_OR:
            top -= BLOCK
            join(ops[k].kind, top - BLOCK, top, n)
        elif ops[k].kind == OP_NOT:
            for i in range(n):
                (top - BLOCK)[i] = 2 - (top - BLOCK)[i]
        else:
            if ops[k].kind == OP_MAYBE:
                memset(top, MAYBE if run.leaves == NULL else run.leaves[k], n)
            else:
                match(&ops[k], run, first, n, seq, top)
            top += BLOCK


# The outer values: no 0, yes 1, maybe 2, hidden 3.    Returns how many slots are shown.
cdef Py_ssize_t deliver(const uint8_t* values, const uint64_t* gone, uint64_t told, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t i, shown = 0
    cdef uint8_t value
    for i in range(n):
        value = values[i]
        value = (value >> 1) | ((value & 1) << 1)
        out[i] = value if is_shown(gone[i], told) else 3
        shown += out[i] != 3
    return shown


cdef void run_span(const Op* ops, Py_ssize_t length, const Run* run, Py_ssize_t start, Py_ssize_t stop, uint32_t seq, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t n
    while start < stop:
        n = min(BLOCK, stop - start)
        run_block(ops, length, run, start, n, seq)
        seq += <uint32_t>deliver(run.stack, run.block.gone + start, run.told, n, out)
        start += n
        out += n


@cython.final
cdef class Program:
    """A checked search program."""

    cdef Op* ops
    cdef Py_ssize_t length
    cdef Py_ssize_t depth
    cdef readonly tuple leaves  # numbers of the leaves that need content, ascending, each once

    def __cinit__(self, list postfix not None):
        cdef Py_ssize_t k
        self.depth = check_program(postfix)
        self.ops = <Op*>calloc(len(postfix), sizeof(Op))
        if self.ops == NULL:
            raise MemoryError
        self.length = len(postfix)
        for k in range(self.length):
            self.fill(&self.ops[k], tuple(postfix[k]))
        self.leaves = tuple(sorted({part[1] for part in postfix if part[0] == "maybe"}))

    def __dealloc__(self):
        cdef Py_ssize_t k
        if self.ops != NULL:
            for k in range(self.length):
                free(self.ops[k].pool)
            free(self.ops)

    def __len__(self):
        return self.length

    cdef int fill(self, Op* op, tuple part) except -1:
        op.kind = OPS[part[0]]
        if op.kind in (OP_RECEIVED_BEFORE, OP_RECEIVED_FROM):
            op.ms = part[1]
            op.zone = 60000 if part[2] else 0
        elif op.kind in (OP_SAVED_BEFORE, OP_SAVED_FROM):
            op.ms = part[1]
        elif op.kind in (OP_UID, OP_SEQ):
            self.fill_ranges(op, part[1])
        elif op.kind == OP_SLOTS:
            self.fill_slots(op, part[1])
        elif len(part) > 1:
            op.a = part[1]
            op.b = part[2] if len(part) > 2 else 0
        return 0

    cdef int fill_ranges(self, Op* op, list ranges) except -1:
        cdef uint64_t low, high
        op.pool = <uint32_t*>malloc(max(1, len(ranges)) * 2 * sizeof(uint32_t))
        if op.pool == NULL:
            raise MemoryError
        for first, last in ranges:
            low = first
            high = last
            if low > UINT32_MAX or op.length >= 2 * len(ranges):
                break  # no message has such a number
            op.pool[op.length] = <uint32_t>low
            op.pool[op.length + 1] = <uint32_t>min(high, <uint64_t>UINT32_MAX)
            op.length += 2
        return 0

    cdef int fill_slots(self, Op* op, array slots) except -1:
        cdef Py_ssize_t k
        cdef Py_ssize_t count = len(slots)
        op.pool = <uint32_t*>malloc(max(1, count) * sizeof(uint32_t))
        if op.pool == NULL:
            raise MemoryError
        for k in range(count):
            op.pool[k] = slots.data.as_uints[k]
        op.length = count
        return 0


def compile_program(list postfix not None):
    """Check a program and bring it into the form that runs.

    Input   instructions as in mox._speedups.program.
    Errors  ValueError: ill-formed, longer than 100,000 instructions or deeper than 1,000.
    """
    return Program(postfix)


cdef int run_on(Columns columns, Program program, uint64_t told, Py_ssize_t start, Py_ssize_t stop, const uint8_t* leaves, uint8_t* out) except -1:
    cdef Run run
    cdef uint32_t seq = <uint32_t>(start + 1 - columns.hidden_below(start, told))
    run.told = told
    run.leaves = leaves
    run.stack = <uint8_t*>malloc(program.depth * BLOCK)
    if run.stack == NULL:
        raise MemoryError
    run.block = columns.begin()
    if (stop - start) * program.length >= RELEASE_FROM:
        with nogil:
            run_span(program.ops, program.length, &run, start, stop, seq, out)
    else:
        run_span(program.ops, program.length, &run, start, stop, seq, out)
    columns.end()
    free(run.stack)
    return 0


def run_program(
    Columns columns not None,
    Program program not None,
    Py_ssize_t limit,
    uint64_t told,
    Py_ssize_t start,
    Py_ssize_t stop,
):
    """One byte for each slot in [start, stop): NO, YES, MAYBE or HIDDEN.

    Errors  ValueError: a view or a span that the columns do not have.
    """
    cdef bytes out
    columns.check_limit(limit)
    if not 0 <= start <= stop <= limit:
        raise ValueError("a span must lie within the view")
    out = PyBytes_FromStringAndSize(NULL, stop - start)
    run_on(columns, program, told, start, stop, NULL, <uint8_t*>PyBytes_AS_STRING(out))
    return out


def evaluate_with(
    Columns columns not None,
    Program program not None,
    Py_ssize_t slot,
    Py_ssize_t limit,
    uint64_t told,
    leaf_results,
):
    """One message, with what is known of its leaves by now: NO, YES, MAYBE or HIDDEN.

    A leaf that is not in `leaf_results` stays MAYBE, so that a caller can stop reading as soon as
    the answer is certain.
    """
    cdef uint8_t value = 3
    cdef uint8_t* leaves
    cdef Py_ssize_t k
    columns.check_slot(slot)
    columns.check_limit(limit)
    if slot >= limit:
        return 3
    leaves = <uint8_t*>malloc(program.length)
    if leaves == NULL:
        raise MemoryError
    try:
        for k in range(program.length):
            leaves[k] = MAYBE
            if program.ops[k].kind == OP_MAYBE:
                known = leaf_results.get(program.ops[k].a)
                if known is not None:
                    leaves[k] = YES if known else NO
        run_on(columns, program, told, slot, slot + 1, leaves, &value)
    finally:
        free(leaves)
    return value
