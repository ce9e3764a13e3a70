# Header sections, MIME boundaries, line ends: where fields, bodies and boundary lines lie.
#
# Job     scan_header: a header section -> field spans, where the body begins.
#         header_values: the same -> values by name.
#         scan_body: from a body's start to the next boundary line, with line counts.
#         count_line_ends, text_before_dot: line ends of what arrives.
#         filter_fields: the lines of some header fields, as IMAP's HEADER.FIELDS wants them.
# Input   bytes, mmap or memoryview; offsets into it.
# Output  tuples of int; bytes; a dict of bytes.
# Cost    one pass, memchr speed; ranges beyond RELEASE_BYTES run without the GIL.
# Twin    reference/headers.py        Benchmark  benchmarks/micro/bench_headers.py

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memcpy

from mox._speedups.ascii cimport to_lower

# Faults of a header section, as bits.
NO_COLON = 1
LEADING_SPACE = 2
NO_NAME = 4
NO_EMPTY_LINE = 8
UNTERMINATED = 16
AT_BOUNDARY = 32
TOO_LARGE = 64

cdef enum:
    C_NO_COLON = 1
    C_LEADING_SPACE = 2
    C_NO_NAME = 4
    C_NO_EMPTY_LINE = 8
    C_UNTERMINATED = 16
    C_AT_BOUNDARY = 32
    C_TOO_LARGE = 64
    MAX_BOUNDARIES = 256
    RELEASE_BYTES = 65536

cdef struct Bound:
    const unsigned char *text
    Py_ssize_t size

cdef struct Header:  # the state of one walk over header lines
    Py_ssize_t pos
    Py_ssize_t lines
    int faults
    bint done

cdef struct Body:
    Py_ssize_t body_end
    Py_ssize_t line_start
    Py_ssize_t line_end
    Py_ssize_t lines
    Py_ssize_t bare
    Py_ssize_t longest
    int index
    bint closing


cdef int load_bounds(tuple boundaries, Bound *bounds) except -1:
    cdef Py_ssize_t i
    if len(boundaries) > MAX_BOUNDARIES:
        raise ValueError("too many boundaries")
    for i in range(len(boundaries)):
        text = <bytes?>boundaries[i]
        bounds[i].text = <const unsigned char *>PyBytes_AS_STRING(text)
        bounds[i].size = PyBytes_GET_SIZE(text)
    return <int>len(boundaries)


cdef int match_boundary(
    const unsigned char *line, Py_ssize_t size, const Bound *bounds, int count, bint *closing
) noexcept nogil:
    # The line, without its LF, begins with "--".  The innermost boundary wins.
    cdef int i
    cdef Py_ssize_t rest
    cdef unsigned char c
    for i in range(count - 1, -1, -1):
        rest = size - 2 - bounds[i].size
        if rest < 0 or memcmp(line + 2, bounds[i].text, bounds[i].size) != 0:
            continue
        closing[0] = False
        if rest == 0:
            return i
        c = line[size - rest]
        if c == 32 or c == 9 or c == 13:
            return i
        if rest >= 2 and c == 45 and line[size - rest + 1] == 45:
            closing[0] = True
            return i
    return -1


cdef inline Py_ssize_t find_line_end(
    const unsigned char *data, Py_ssize_t pos, Py_ssize_t end
) noexcept nogil:
    # Offset of the LF, or end.
    cdef const unsigned char *found = <const unsigned char *>memchr(data + pos, 10, end - pos)
    return end if found == NULL else found - data


cdef inline bint ends_header(
    const unsigned char *data, Py_ssize_t pos, Py_ssize_t lf, Py_ssize_t end, Header *state,
    const Bound *bounds, int count
) noexcept nogil:
    # An empty line, or a boundary that comes too early.
    cdef bint closing = False
    cdef unsigned char c = data[pos]
    if lf < end and (lf == pos or (lf == pos + 1 and c == 13)):
        state.pos = lf + 1
        state.lines += 1
        state.done = True
    elif count and c == 45 and lf - pos >= 2 and data[pos + 1] == 45 and match_boundary(
        data + pos, lf - pos, bounds, count, &closing
    ) >= 0:
        state.pos = pos
        state.faults |= C_AT_BOUNDARY
        state.done = True
    return state.done


cdef void skip_header(
    const unsigned char *data, Py_ssize_t end, Header *state, const Bound *bounds, int count
) noexcept nogil:
    cdef Py_ssize_t pos = state.pos, lf
    while pos < end:
        lf = find_line_end(data, pos, end)
        if ends_header(data, pos, lf, end, state, bounds, count):
            return
        if lf == end:
            pos = end
        else:
            pos = lf + 1
            state.lines += 1
    state.pos = pos


cdef bytes lower_name(const unsigned char *text, Py_ssize_t size):
    cdef bytes name = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char *out = <unsigned char *>PyBytes_AS_STRING(name)
    cdef Py_ssize_t i
    for i in range(size):
        out[i] = to_lower(text[i])
    return name


cdef list record_fields(
    const unsigned char *data, Py_ssize_t end, Py_ssize_t parse_end, Py_ssize_t max_fields,
    object wanted, Header *state, const Bound *bounds, int count
):
    cdef list fields = []
    cdef Py_ssize_t pos = state.pos, lf, content, start = 0, value = -1, kept = 0
    cdef const unsigned char *colon
    cdef bint field_open = False
    cdef object name = None
    while pos < end:
        if pos >= parse_end or kept >= max_fields:
            break
        lf = find_line_end(data, pos, end)
        if ends_header(data, pos, lf, end, state, bounds, count):
            break
        if data[pos] == 32 or data[pos] == 9:
            if not field_open:
                state.faults |= C_LEADING_SPACE
                field_open = True  # told once; lines that follow continue nothing either
        else:
            if value >= 0:
                fields.append((name, start, value, min(pos, parse_end)))
                value = -1
                kept += 1
                if kept >= max_fields:
                    break
            field_open = True
            colon = <const unsigned char *>memchr(data + pos, 58, lf - pos)
            if colon == NULL:
                state.faults |= C_NO_COLON
            elif colon == data + pos:
                state.faults |= C_NO_NAME
            elif colon - data < parse_end:
                content = colon - data
                name = lower_name(data + pos, content - pos)
                if wanted is None or name in wanted:
                    start = pos
                    value = content + 1
        if lf == end:
            pos = end
        else:
            pos = lf + 1
            state.lines += 1
    if value >= 0:
        fields.append((name, start, value, min(pos, parse_end)))
    if not state.done:
        state.pos = pos
        if pos < end:
            state.faults |= C_TOO_LARGE
    return fields


cdef list walk_header(
    const unsigned char *data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t parse_end,
    Py_ssize_t max_fields, object wanted, Header *state, const Bound *bounds, int count
):
    cdef list fields
    state.pos = start
    state.lines = 0
    state.faults = 0
    state.done = False
    fields = record_fields(data, end, parse_end, max_fields, wanted, state, bounds, count)
    if not state.done:
        if end - state.pos > RELEASE_BYTES:
            with nogil:
                skip_header(data, end, state, bounds, count)
        else:
            skip_header(data, end, state, bounds, count)
    if not state.done:
        state.faults |= C_NO_EMPTY_LINE
        if end > start and data[end - 1] != 10:
            state.faults |= C_UNTERMINATED
    return fields


def scan_header(
    data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t parse_end, Py_ssize_t max_fields,
    tuple boundaries, wanted
):
    """Walk a header section from start to its empty line, to a boundary line or to end.

    Returns (fields, body offset, LFs passed, faults).  A field is (lower-case name, start, start of
    value, end); its lines are start .. end.  Fields beyond parse_end, or after max_fields of them,
    are not listed, and one that reaches beyond is cut; with wanted (a set) only those names are.
    """
    cdef Py_buffer view
    cdef Bound bounds[MAX_BOUNDARIES]
    cdef int count = load_bounds(boundaries, bounds)
    cdef Header state
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("range outside of the data")
        fields = walk_header(
            <const unsigned char *>view.buf, start, end, parse_end, max_fields, wanted, &state,
            bounds, count,
        )
        return fields, state.pos, state.lines, state.faults
    finally:
        PyBuffer_Release(&view)


def header_values(
    data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t parse_end, Py_ssize_t max_fields,
    tuple boundaries, wanted
):
    """The same walk; the fields as lists of raw values, in order, by lower-case name."""
    cdef Py_buffer view
    cdef Bound bounds[MAX_BOUNDARIES]
    cdef int count = load_bounds(boundaries, bounds)
    cdef Header state
    cdef const char *text
    cdef Py_ssize_t value, after
    cdef dict values = {}
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("range outside of the data")
        text = <const char *>view.buf
        for name, _, value, after in walk_header(
            <const unsigned char *>text, start, end, parse_end, max_fields, wanted, &state, bounds,
            count,
        ):
            raw = PyBytes_FromStringAndSize(text + value, after - value)
            known = values.get(name)
            if known is None:
                values[name] = [raw]
            else:
                (<list>known).append(raw)
        return values, state.pos, state.lines, state.faults
    finally:
        PyBuffer_Release(&view)


cdef void find_boundary(
    const unsigned char *data, Py_ssize_t start, Py_ssize_t end, const Bound *bounds, int count,
    Body *out
) noexcept nogil:
    cdef Py_ssize_t pos = start, lf, lines = 0, bare = 0, longest = 0
    cdef bint closing = False
    out.index = -1
    out.closing = False
    out.line_start = end
    out.line_end = end
    while pos < end:
        lf = find_line_end(data, pos, end)
        if count and data[pos] == 45 and lf - pos >= 2 and data[pos + 1] == 45:
            out.index = match_boundary(data + pos, lf - pos, bounds, count, &closing)
            if out.index >= 0:
                out.closing = closing
                out.line_start = pos
                out.line_end = lf if lf == end else lf + 1
                break
        if lf == end:
            longest = max(longest, end - pos)
            break
        lines += 1
        if lf == pos or data[lf - 1] != 13:
            bare += 1
        lf += 1
        longest = max(longest, lf - pos)
        pos = lf
    out.body_end = out.line_start
    # RFC 2046 §5.1.1: the line end before a boundary belongs to the boundary.
    if out.index >= 0 and out.body_end > start and data[out.body_end - 1] == 10:
        out.body_end -= 1
        lines -= 1
        if out.body_end > start and data[out.body_end - 1] == 13:
            out.body_end -= 1
        else:
            bare -= 1
    out.lines = lines
    out.bare = bare
    out.longest = longest


def scan_body(data, Py_ssize_t start, Py_ssize_t end, tuple boundaries):
    """Find the next boundary line from start, which is the start of a line.

    Returns (end of the body before it, start of its line, end of its line, index of the boundary or
    -1, is it a closing one, LFs in the body, those without CR, longest line in bytes).
    """
    cdef Py_buffer view
    cdef Bound bounds[MAX_BOUNDARIES]
    cdef int count = load_bounds(boundaries, bounds)
    cdef Body out
    cdef const unsigned char *text
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("range outside of the data")
        text = <const unsigned char *>view.buf
        if end - start > RELEASE_BYTES:
            with nogil:
                find_boundary(text, start, end, bounds, count, &out)
        else:
            find_boundary(text, start, end, bounds, count, &out)
    finally:
        PyBuffer_Release(&view)
    return (
        out.body_end, out.line_start, out.line_end, out.index, out.closing, out.lines, out.bare,
        out.longest,
    )


cdef Py_ssize_t count_cr(
    const unsigned char *data, Py_ssize_t pos, Py_ssize_t end
) noexcept nogil:
    cdef Py_ssize_t count = 0
    cdef const unsigned char *found
    while pos < end:
        found = <const unsigned char *>memchr(data + pos, 13, end - pos)
        if found == NULL:
            break
        count += 1
        pos = found - data + 1
    return count


cdef Py_ssize_t count_lf(
    const unsigned char *data, Py_ssize_t pos, Py_ssize_t end, bint to_dot, Py_ssize_t *lf,
    Py_ssize_t *crlf
) noexcept nogil:
    # Where it stopped: at the end, or with to_dot at the first dot that begins a line.
    cdef Py_ssize_t start = pos, at
    lf[0] = 0
    crlf[0] = 0
    while pos < end:
        at = find_line_end(data, pos, end)
        if at == end:
            break
        lf[0] += 1
        if at > start and data[at - 1] == 13:
            crlf[0] += 1
        pos = at + 1
        if to_dot and pos < end and data[pos] == 46:
            return pos
    return end


def count_line_ends(data):
    """How many LF there are, and how many CRLF."""
    cdef Py_buffer view
    cdef Py_ssize_t lf, crlf
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        count_lf(<const unsigned char *>view.buf, 0, view.len, False, &lf, &crlf)
    finally:
        PyBuffer_Release(&view)
    return lf, crlf


def text_before_dot(data, Py_ssize_t start, Py_ssize_t end):
    """The text from start up to the first dot behind an LF, or to end.

    Returns (where it ends, does each CR in it have its LF: True).
    """
    cdef Py_buffer view
    cdef Py_ssize_t lf, crlf, stop, cr
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("range outside of the data")
        stop = count_lf(<const unsigned char *>view.buf, start, end, True, &lf, &crlf)
        cr = count_cr(<const unsigned char *>view.buf, start, stop)
    finally:
        PyBuffer_Release(&view)
    return stop, cr == crlf


cdef struct Names:  # open addressing; size is a power of two and more than twice the count
    Bound *slots
    Py_ssize_t mask


cdef inline uint64_t hash_name(const unsigned char *text, Py_ssize_t size) noexcept nogil:
    cdef uint64_t h = 14695981039346656037ULL
    cdef Py_ssize_t i
    for i in range(size):
        h = (h ^ to_lower(text[i])) * 1099511628211ULL
    return h ^ (h >> 32)


cdef bint same_name(
    const unsigned char *text, Py_ssize_t size, const Bound *name
) noexcept nogil:
    cdef Py_ssize_t i
    if size != name.size:
        return False
    for i in range(size):
        if to_lower(text[i]) != to_lower(name.text[i]):
            return False
    return True


cdef bint find_name(const Names *names, const unsigned char *text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t slot = hash_name(text, size) & names.mask
    while names.slots[slot].text != NULL:
        if same_name(text, size, &names.slots[slot]):
            return True
        slot = (slot + 1) & names.mask
    return False


cdef int load_names(list wanted, Names *names) except -1:
    cdef Py_ssize_t size = 8, slot
    cdef Bound name
    while size < 2 * len(wanted) + 1:
        size *= 2
    names.mask = size - 1
    names.slots = <Bound *>calloc(size, sizeof(Bound))
    if names.slots == NULL:
        raise MemoryError
    for item in wanted:
        text = <bytes?>item
        name.text = <const unsigned char *>PyBytes_AS_STRING(text)
        name.size = PyBytes_GET_SIZE(text)
        if find_name(names, name.text, name.size):
            continue
        slot = hash_name(name.text, name.size) & names.mask
        while names.slots[slot].text != NULL:
            slot = (slot + 1) & names.mask
        names.slots[slot] = name
    return 0


cdef Py_ssize_t copy_fields(
    const unsigned char *data, Py_ssize_t pos, Py_ssize_t end, const Names *names, bint exclude,
    unsigned char *out
) noexcept nogil:
    cdef Py_ssize_t lf, next_line, size = 0
    cdef const unsigned char *colon
    cdef bint taken = exclude
    while pos < end:
        lf = find_line_end(data, pos, end)
        next_line = lf if lf == end else lf + 1
        if lf < end and (lf == pos or (lf == pos + 1 and data[pos] == 13)):
            memcpy(out + size, data + pos, next_line - pos)
            return size + next_line - pos
        if data[pos] != 32 and data[pos] != 9:
            colon = <const unsigned char *>memchr(data + pos, 58, lf - pos)
            taken = exclude
            if colon != NULL and find_name(names, data + pos, colon - (data + pos)):
                taken = not exclude
        if taken:
            memcpy(out + size, data + pos, next_line - pos)
            size += next_line - pos
        pos = next_line
    return size


def filter_fields(data, Py_ssize_t start, Py_ssize_t end, list names, bint exclude):
    """The lines of the header fields with these names, or of all others, and the empty line.

    Names match in any case.  Lines that are no field count as one with another name; those that
    continue a field go with it.
    """
    cdef Py_buffer view
    cdef Names table
    cdef unsigned char *out = NULL
    cdef const unsigned char *text
    cdef Py_ssize_t size
    table.slots = NULL
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("range outside of the data")
        load_names(names, &table)
        out = <unsigned char *>malloc(end - start + 1)
        if out == NULL:
            raise MemoryError
        text = <const unsigned char *>view.buf
        if end - start > RELEASE_BYTES:
            with nogil:
                size = copy_fields(text, start, end, &table, exclude, out)
        else:
            size = copy_fields(text, start, end, &table, exclude, out)
        return PyBytes_FromStringAndSize(<const char *>out, size)
    finally:
        free(out)
        free(table.slots)
        PyBuffer_Release(&view)
