# DKIM canonicalisation: what of a body and of a header field is hashed.    RFC 6376 §3.4.
#
# Job     BodyCanonicalizer: a body in pieces of any size -> its canonical form, handed to a callable
#         (a hash's update) in blocks.  relax_header: one field in its relaxed form.
# Input   anything with the buffer interface.
# Output  bytes of at most BLOCK to the callable; empty lines that may be the last are only counted.
# Cost    one pass; runs are copied; the loop runs without the GIL.
# Twin    reference/canonical.py        Benchmark  benchmarks/micro/bench_canonical.py

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcpy

from mox._speedups.ascii cimport to_lower

cdef enum:
    BLOCK = 16384
    TAB = 9
    LF = 10
    CR = 13
    SPACE = 32

cdef struct State:
    bint relaxed
    bint cr  # the last byte was CR; whether it ends a line is not known yet
    bint space  # relaxed: white space that counts only if something follows on its line
    bint content  # something was handed out
    uint64_t ends  # line ends that count only if something follows

cdef struct Step:
    Py_ssize_t pos  # of the input
    Py_ssize_t size  # of the output
    bint full


cdef bint put_pending(State *state, unsigned char *out, Py_ssize_t *filled) noexcept nogil:
    # Write what a following byte makes count.  False: the block is full, call again with the next one.
    cdef Py_ssize_t size = filled[0]
    while state.ends:
        if size + 2 > BLOCK:
            filled[0] = size
            return False
        out[size] = CR
        out[size + 1] = LF
        size += 2
        state.ends -= 1
    if size + 2 > BLOCK:  # room for the space and for the byte that called for it
        filled[0] = size
        return False
    if state.space:
        out[size] = SPACE
        size += 1
        state.space = False
    state.content = True
    filled[0] = size
    return True


cdef inline Py_ssize_t find_run(
    const unsigned char *data, Py_ssize_t pos, Py_ssize_t end, bint relaxed
) noexcept nogil:
    # The end of the bytes from pos that are copied as they are.
    cdef const unsigned char *found
    if not relaxed:
        found = <const unsigned char *>memchr(data + pos, CR, end - pos)
        return end if found == NULL else found - data
    while pos < end and data[pos] != CR and data[pos] != SPACE and data[pos] != TAB:
        pos += 1
    return pos


cdef void fill(
    State *state, const unsigned char *data, Py_ssize_t end, unsigned char *out, Step *step
) noexcept nogil:
    # Take input until it ends or the block is full.
    cdef Py_ssize_t pos = step.pos, size = 0, stop
    cdef unsigned char c
    step.full = True
    while pos < end:
        c = data[pos]
        if state.cr:
            if c == LF:
                state.cr = False
                state.space = False  # RFC 6376 §3.4.4 a: white space at the end of a line
                state.ends += 1
                pos += 1
                continue
            if not put_pending(state, out, &size):
                step.pos = pos
                step.size = size
                return
            out[size] = CR
            size += 1
            state.cr = False
        if c == CR:
            state.cr = True
            pos += 1
        elif state.relaxed and (c == SPACE or c == TAB):
            state.space = True
            pos += 1
        else:
            if not put_pending(state, out, &size):
                step.pos = pos
                step.size = size
                return
            stop = find_run(data, pos, min(end, pos + BLOCK - size), state.relaxed)
            memcpy(out + size, data + pos, stop - pos)
            size += stop - pos
            pos = stop
    step.pos = pos
    step.size = size
    step.full = False


@cython.final
cdef class BodyCanonicalizer:
    """The canonical form of one body.    RFC 6376 §3.4.3, §3.4.4.

    ``update`` is called with blocks of it.  A line ends with CRLF; a CR or LF alone is data.
    """

    cdef State state
    cdef object update
    cdef bint finished
    cdef unsigned char out[BLOCK]

    def __init__(self, relaxed, update):
        self.state.relaxed = bool(relaxed)
        self.state.cr = False
        self.state.space = False
        self.state.content = False
        self.state.ends = 0
        self.update = update
        self.finished = False

    def feed(self, data):
        """Take the next piece."""
        cdef Py_buffer view
        cdef Step step
        if self.finished:
            raise ValueError("the body has ended")
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            step.pos = 0
            step.full = True
            while step.full:
                with nogil:
                    fill(&self.state, <const unsigned char *>view.buf, view.len, self.out, &step)
                if step.size:
                    self.update(PyBytes_FromStringAndSize(<const char *>self.out, step.size))
        finally:
            PyBuffer_Release(&view)

    def finish(self):
        """The body has ended; nothing may follow."""
        cdef Py_ssize_t size = 0
        if self.finished:
            raise ValueError("the body has ended")
        self.finished = True
        if self.state.cr:
            while not put_pending(&self.state, self.out, &size):
                self.update(PyBytes_FromStringAndSize(<const char *>self.out, size))
                size = 0
            self.out[size] = CR
            self.update(PyBytes_FromStringAndSize(<const char *>self.out, size + 1))
        # RFC 6376 §3.4.3: an empty body is one CRLF; §3.4.4: it stays empty.
        if self.state.content or not self.state.relaxed:
            self.update(b"\r\n")


cdef Py_ssize_t relax(const unsigned char *data, Py_ssize_t end, unsigned char *out) noexcept nogil:
    # out has room for end + 2 bytes.
    cdef Py_ssize_t pos, size = 0
    cdef bint in_name = True, space = False, content = False
    cdef unsigned char c
    for pos in range(end):
        c = data[pos]
        if c == LF or (c == CR and pos + 1 < end and data[pos + 1] == LF):
            continue
        if c == SPACE or c == TAB:
            space = True
            continue
        if in_name and c == 58:
            in_name = space = content = False
            out[size] = c
            size += 1
            continue
        if space and content:
            out[size] = SPACE
            size += 1
        space = False
        content = True
        out[size] = to_lower(c) if in_name else c
        size += 1
    out[size] = CR
    out[size + 1] = LF
    return size + 2


def relax_header(field):
    """A header field in relaxed form, with its line end.    RFC 6376 §3.4.2."""
    cdef Py_buffer view
    cdef bytes room
    cdef Py_ssize_t size
    cdef unsigned char *out
    PyObject_GetBuffer(field, &view, PyBUF_SIMPLE)
    try:
        room = PyBytes_FromStringAndSize(NULL, view.len + 2)
        out = <unsigned char *>PyBytes_AS_STRING(room)
        if view.len > BLOCK:
            with nogil:
                size = relax(<const unsigned char *>view.buf, view.len, out)
        else:
            size = relax(<const unsigned char *>view.buf, view.len, out)
        return room[:size]
    finally:
        PyBuffer_Release(&view)
