# Strings of IMAP responses: quoted where they can be, else literals.    RFC 9051 §4.3, §9.
#
# Job     quote_strings: texts -> strings with a space between, as ENVELOPE and BODYSTRUCTURE hold.
# Input   a tuple of bytes and None.
# Output  bytes.
# Cost    one look at each byte, one copy.
# Twin    reference/strings.py        Benchmark  benchmarks/micro/bench_strings.py

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

QUOTED_MAX = 4096  # bytes; a longer string is a literal, which costs the client no unescaping

cdef enum:
    C_QUOTED_MAX = 4096
    # what a byte makes of a string
    C_NUL = 1
    C_LINE_END = 2
    C_ESCAPED = 4
    C_EIGHT_BIT = 8
    QUOTE = 34
    BACKSLASH = 92


cdef int look_at(const unsigned char *text, Py_ssize_t size, Py_ssize_t *escapes) noexcept nogil:
    # What kinds of bytes there are, and how many are to be escaped.
    cdef Py_ssize_t i
    cdef int seen = 0
    cdef unsigned char c
    escapes[0] = 0
    for i in range(size):
        c = text[i]
        if c == QUOTE or c == BACKSLASH:
            escapes[0] += 1
        elif c == 13 or c == 10:
            seen |= C_LINE_END
        elif c == 0:
            seen |= C_NUL
        elif c >= 128:
            seen |= C_EIGHT_BIT
    return seen


cdef bint is_utf8(bytes text):
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


cdef bytes quote(bytes text, bint utf8):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text), escapes, i
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(text)
    cdef int seen = look_at(data, size, &escapes)
    cdef bytes made
    cdef unsigned char *out
    if seen & C_NUL:
        return quote(text.replace(b"\0", b""), utf8)
    if size > C_QUOTED_MAX or seen & C_LINE_END or (
        seen & C_EIGHT_BIT and not (utf8 and is_utf8(text))
    ):
        return b"{%d}\r\n" % size + text
    made = PyBytes_FromStringAndSize(NULL, size + escapes + 2)
    out = <unsigned char *>PyBytes_AS_STRING(made)
    out[0] = QUOTE
    out += 1
    if not escapes:
        memcpy(out, data, size)
        out += size
    else:
        for i in range(size):
            if data[i] == QUOTE or data[i] == BACKSLASH:
                out[0] = BACKSLASH
                out += 1
            out[0] = data[i]
            out += 1
    out[0] = QUOTE
    return made


def quote_strings(tuple texts, bint utf8):
    """Each text as a string, None as NIL, with a space between.

    A text is quoted where it is short and without line ends, and is ASCII or, with utf8, UTF-8; else
    it is a literal.  NUL stands in no string and is left out.
    """
    cdef list out = []
    for text in texts:
        out.append(b"NIL" if text is None else quote(<bytes?>text, utf8))
    return b" ".join(out)
