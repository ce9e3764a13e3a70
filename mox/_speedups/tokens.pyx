"""IMAP command line → tokens, in one pass.

Job     cut a line into words, strings, literals, parentheses and spaces; see the twin for the grammar.
Input   bytes of one line without its end.
Output  kinds (bytes), start and end positions (array of u32), open lists.
Cost    one pass, two allocations whatever the number of tokens; long lines without the GIL.
Twin    reference/tokens.py        Benchmark   benchmarks/micro/bench_tokens.py
"""

from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import array

from mox._speedups.ascii cimport is_digit
from mox._speedups.errors import TokenError

cdef enum Fault:
    FINE, BREAK, ESCAPE, ENDLESS, LITERAL, SPACES, DEEP, UNOPENED, MANY

cdef dict REASONS = {
    BREAK: "line break or NUL",
    ESCAPE: "bad escape in quoted string",
    ENDLESS: "quoted string without end",
    LITERAL: "bad literal",
    SPACES: "more than one space",
    DEEP: "lists nested too deep",
    UNOPENED: "closing parenthesis without an opening one",
    MANY: "too many words",
}

cdef array.array EMPTY = array.array("I")

# Below this many bytes giving up the GIL costs more than the scan.
cdef Py_ssize_t LONG_LINE = 8192

cdef struct Scan:
    const unsigned char* line
    Py_ssize_t size
    Py_ssize_t at          # also where the fault is
    unsigned int base
    Py_ssize_t depth
    Py_ssize_t max_depth
    Py_ssize_t count
    Py_ssize_t room        # tokens
    unsigned char* kinds
    unsigned int* spans


cdef inline bint forbidden(unsigned char c) noexcept nogil:
    return c == 0 or c == 13 or c == 10


cdef Fault quoted(Scan* s, unsigned char* kind) noexcept nogil:
    cdef Py_ssize_t start = s.at
    cdef unsigned char c
    kind[0] = 34
    s.at += 1
    while s.at < s.size:
        c = s.line[s.at]
        if c == 34:
            s.at += 1
            return FINE
        if forbidden(c):
            return BREAK
        if c == 92:
            if s.at + 1 >= s.size or (s.line[s.at + 1] != 34 and s.line[s.at + 1] != 92):
                return ESCAPE
            kind[0] = 92
            s.at += 1
        s.at += 1
    s.at = start
    return ENDLESS


cdef Fault literal(Scan* s, Py_ssize_t brace) noexcept nogil:
    cdef Py_ssize_t at = brace + 1
    while at < s.size and is_digit(s.line[at]):
        at += 1
    if at > brace + 1:
        if at < s.size and s.line[at] == 43:
            at += 1
        if at + 1 == s.size and s.line[at] == 125:
            s.at = at + 1
            return FINE
    s.at = brace
    return LITERAL


cdef Fault word(Scan* s) noexcept nogil:
    cdef unsigned char c
    while s.at < s.size:
        c = s.line[s.at]
        if c == 32 or c == 40 or c == 41 or c == 34 or c == 123:
            return FINE
        if forbidden(c):
            return BREAK
        s.at += 1
    return FINE


cdef Fault one(Scan* s, unsigned char* kind) noexcept nogil:
    cdef unsigned char c = s.line[s.at]
    kind[0] = c
    if c == 32:
        s.at += 1
        return SPACES if s.at < s.size and s.line[s.at] == 32 else FINE
    if c == 40 or c == 41:
        s.at += 1
        return FINE
    if c == 34:
        return quoted(s, kind)
    if c == 123:
        return literal(s, s.at)
    if c == 126 and s.at + 1 < s.size and s.line[s.at + 1] == 123:
        return literal(s, s.at + 1)
    kind[0] = 119
    return word(s)


cdef Fault scan(Scan* s) noexcept nogil:
    cdef Py_ssize_t start
    cdef unsigned char kind
    cdef Fault fault
    while s.at < s.size:
        start = s.at
        fault = one(s, &kind)
        if fault != FINE:
            return fault
        if kind == 40:
            s.depth += 1
            if s.depth > s.max_depth:
                s.at = start
                return DEEP
        elif kind == 41:
            s.depth -= 1
            if s.depth < 0:
                s.at = start
                return UNOPENED
        if s.count >= s.room:
            s.at = start
            return MANY
        s.kinds[s.count] = kind
        s.spans[2 * s.count] = s.base + <unsigned int>start
        s.spans[2 * s.count + 1] = s.base + <unsigned int>s.at
        s.count += 1
    return FINE


def tokenize(bytes line not None, unsigned int base, Py_ssize_t depth, Py_ssize_t max_depth,
             Py_ssize_t max_tokens):
    """Cut one line, given without its line end.    Errors: TokenError."""
    cdef Scan s
    cdef Fault fault
    cdef array.array spans
    s.line = <const unsigned char*>PyBytes_AS_STRING(line)
    s.size = len(line)
    s.at = 0
    s.base = base
    s.depth = depth
    s.max_depth = max_depth
    s.count = 0
    s.room = max(0, min(s.size, max_tokens))    # a token has at least one byte
    s.spans = <unsigned int*>malloc(s.room * 9 + 1)
    if s.spans == NULL:
        raise MemoryError
    s.kinds = <unsigned char*>(s.spans + 2 * s.room)
    try:
        if s.size > LONG_LINE:
            with nogil:
                fault = scan(&s)
        else:
            fault = scan(&s)
        if fault != FINE:
            raise TokenError(s.at, REASONS[fault])
        spans = array.clone(EMPTY, 2 * s.count, zero=False)
        memcpy(spans.data.as_voidptr, s.spans, 8 * s.count)
        return PyBytes_FromStringAndSize(<char*>s.kinds, s.count), spans, s.depth
    finally:
        free(s.spans)
