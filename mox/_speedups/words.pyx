# Text → words and runs of two and three words, as the junk filter counts them.
#
# Job     cut text into words, drop what says nothing, add the rest to a set.
# Input   str of any kind; see the twin for the rules.
# Output  bytes in UTF-8, lower case, added to the given set.
# Cost    one pass; one bytes object for each word and run, whether it is new or not.
# Twin    reference/words.py          Benchmark  benchmarks/micro/bench_words.py

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from mox._speedups.ascii cimport is_digit, to_lower

cdef extern from "Python.h":
    int PyUnicode_KIND(str text) noexcept
    void* PyUnicode_DATA(str text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(str text) noexcept
    Py_UCS4 PyUnicode_READ(int kind, void* data, Py_ssize_t at) noexcept nogil
    int Py_UNICODE_ISALPHA(Py_UCS4 c) noexcept nogil
    int Py_UNICODE_ISDECIMAL(Py_UCS4 c) noexcept nogil
    Py_UCS4 Py_UNICODE_TOLOWER(Py_UCS4 c) noexcept nogil

ONE = 1
TWO = 2
THREE = 4

cdef enum:
    C_ONE = 1
    C_TWO = 2
    C_THREE = 4
    SHORT = 2          # bytes; words of so many say nothing
    SHORT_PREFIXED = 3  # bytes; the same behind a prefix
    RANDOM_RUN = 6     # consonants and digits in a row
    DIGIT_RUN = 4
    HEX_DIGIT_RUN = 3  # where all are hexadecimal digits
    APOSTROPHE = 39
    RELEASE_MASK = 16383  # characters less one; after so many others may run

cdef struct Piece:
    unsigned char* text
    Py_ssize_t size

cdef struct Words:
    Piece word             # being read
    Piece last             # the one before, empty if there was none
    Piece before_last
    unsigned char* joined  # where prefix and runs are put together
    Py_ssize_t prefix
    Py_ssize_t longest     # bytes of a word or run with its prefix
    Py_ssize_t most        # of the set
    int grams
    bint overlong          # the word being read is


cdef inline bint is_letter(Py_UCS4 c) noexcept nogil:
    if c < 128:
        return c >= 65 and (c <= 90 or 97 <= c <= 122)
    return Py_UNICODE_ISALPHA(c) != 0


cdef inline bint is_number(Py_UCS4 c) noexcept nogil:
    if c < 128:
        return is_digit(<unsigned char>c)
    return Py_UNICODE_ISDECIMAL(c) != 0


cdef inline void put(Words* w, Py_UCS4 char) noexcept nogil:
    # Append one character in UTF-8; surrogates are no letters and never come here.
    # The memory of a piece has room for one more character than the longest.
    cdef unsigned char* out = w.word.text + w.word.size
    cdef unsigned int c
    if w.overlong:
        return
    if char < 128:
        c = to_lower(<unsigned char>char)
    else:
        c = <unsigned int>Py_UNICODE_TOLOWER(char)
    if c < 0x80:
        out[0] = c
        w.word.size += 1
    elif c < 0x800:
        out[0] = 0xC0 | c >> 6
        out[1] = 0x80 | c & 0x3F
        w.word.size += 2
    elif c < 0x10000:
        out[0] = 0xE0 | c >> 12
        out[1] = 0x80 | c >> 6 & 0x3F
        out[2] = 0x80 | c & 0x3F
        w.word.size += 3
    else:
        out[0] = 0xF0 | c >> 18
        out[1] = 0x80 | c >> 12 & 0x3F
        out[2] = 0x80 | c >> 6 & 0x3F
        out[3] = 0x80 | c & 0x3F
        w.word.size += 4
    w.overlong = w.word.size > w.longest


cdef inline bint is_random_char(unsigned char c) noexcept nogil:
    # Consonants and 2 .. 9, of lower-case text.
    if c == 97 or c == 101 or c == 105 or c == 111 or c == 117:
        return False
    return 97 <= c <= 122 or 50 <= c <= 57


cdef bint looks_random(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i, run = 0
    cdef bint found = False
    for i in range(size):
        if text[i] >= 128:
            return False
        if is_random_char(text[i]):
            run += 1
            if run >= RANDOM_RUN:
                found = True
        else:
            run = 0
    return found


cdef bint looks_numeric(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i = 0, run = 0, longest = 0
    cdef bint is_hex = True
    if size >= 2 and text[0] == 48 and text[1] == 120:
        i = 2
    while i < size:
        if is_digit(text[i]):
            run += 1
            longest = max(longest, run)
        else:
            run = 0
            if not 97 <= text[i] <= 102:
                is_hex = False
        i += 1
    return longest >= DIGIT_RUN or (is_hex and longest >= HEX_DIGIT_RUN)


cdef bint all_digits(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        if not is_digit(text[i]):
            return False
    return True


cdef bint keep_word(Words* w) noexcept nogil:
    # Strip apostrophes; False where nothing worth counting is left.
    cdef Py_ssize_t start = 0, end = w.word.size, i
    if w.overlong:
        return False
    while start < end and w.word.text[start] == APOSTROPHE:
        start += 1
    while end > start and w.word.text[end - 1] == APOSTROPHE:
        end -= 1
    if end - start <= SHORT:
        return False
    if start:
        for i in range(start, end):
            w.word.text[i - start] = w.word.text[i]
    w.word.size = end - start
    return not (
        all_digits(w.word.text, w.word.size)
        or looks_random(w.word.text, w.word.size)
        or looks_numeric(w.word.text, w.word.size)
    )


cdef inline void join(Words* w, Py_ssize_t* size, const Piece* piece) noexcept nogil:
    if size[0] > w.prefix:
        w.joined[size[0]] = 32
        size[0] += 1
    memcpy(w.joined + size[0], piece.text, piece.size)
    size[0] += piece.size


cdef int add(Words* w, set found, bint two, bint three) except -1:
    # Add the word, behind one or both of those before it.
    cdef Py_ssize_t size = w.word.size
    if two:
        size += w.last.size + 1
    if three:
        size += w.before_last.size + 1
    if w.prefix + size > w.longest or (w.prefix and size <= SHORT_PREFIXED):
        return 0
    size = w.prefix
    if three:
        join(w, &size, &w.before_last)
    if two:
        join(w, &size, &w.last)
    join(w, &size, &w.word)
    if len(found) < w.most:
        found.add(PyBytes_FromStringAndSize(<char*>w.joined, size))
    return 0


cdef int end_word(Words* w, set found) except -1:
    cdef Piece free_piece
    if keep_word(w):
        if w.grams & C_THREE and w.last.size and w.before_last.size:
            add(w, found, True, True)
        if w.grams & C_TWO and w.last.size:
            add(w, found, True, False)
        if w.grams & C_ONE:
            add(w, found, False, False)
        free_piece = w.before_last
        w.before_last = w.last
        w.last = w.word
        w.word = free_piece
    w.word.size = 0
    w.overlong = False
    return 0


cdef int walk(Words* w, str text, set found) except -1:
    cdef int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text), i
    cdef Py_UCS4 c
    for i in range(size):
        if i & RELEASE_MASK == RELEASE_MASK:
            with nogil:  # whoever waits for it may go on: half a megabyte takes 20 ms
                pass
        c = PyUnicode_READ(kind, data, i)
        if is_letter(c) or is_number(c):
            put(w, c)
        elif c == APOSTROPHE and (
            w.word.size == 0
            or i + 1 == size
            or not is_letter(PyUnicode_READ(kind, data, i + 1))
        ):
            put(w, c)
        elif w.word.size:
            end_word(w, found)
            if len(found) >= w.most:
                return 0
    end_word(w, found)
    return 0


def add_words(
    str text not None, bytes prefix not None, int grams, Py_ssize_t longest, Py_ssize_t most,
    set found not None
):
    """Add the words of a text, and runs of two and three of them, to a set.

    Input   grams: the sum of ONE, TWO, THREE that are wanted.  longest: bytes of a word or run with
            its prefix, longer ones are left out.  most: a set of so many takes no more.
    """
    cdef Words w
    cdef unsigned char* memory
    if not 0 <= longest <= 1 << 20:
        raise ValueError("longest outside of 0 .. 1 MiB")
    w.prefix = PyBytes_GET_SIZE(prefix)
    if w.prefix > longest:
        raise ValueError("prefix longer than the longest word")
    memory = <unsigned char*>malloc(4 * (longest + 4))
    if memory == NULL:
        raise MemoryError
    w.word.text = memory
    w.last.text = memory + longest + 4
    w.before_last.text = memory + 2 * (longest + 4)
    w.joined = memory + 3 * (longest + 4)
    w.word.size = w.last.size = w.before_last.size = 0
    w.longest = longest
    w.most = most
    w.grams = grams
    w.overlong = False
    memcpy(w.joined, PyBytes_AS_STRING(prefix), w.prefix)
    try:
        walk(&w, text, found)
    finally:
        free(memory)
