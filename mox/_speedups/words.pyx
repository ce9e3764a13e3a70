# Text → words and runs of two and three words, as the junk filter counts them.
#
# Job     cut text into words, drop what says nothing, add the rest to a set.
# Input   str of any kind; see the twin for the rules.
# Output  bytes in UTF-8, lower case, added to the given set.
# Cost    one pass; one bytes object for each word and run that is not in the text before.  A long text
#         is cut without the GIL.
# Twin    reference/words.py          Benchmark  benchmarks/micro/bench_words.py

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from mox._speedups.ascii cimport is_digit, to_lower

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030E0000
    #define hash_bytes Py_HashBuffer
    #else
    #define hash_bytes _Py_HashBytes
    #endif
    """
    # Keyed by a secret of the process: nobody makes a text whose words all meet in the table.
    Py_hash_t hash_bytes(const void* data, Py_ssize_t size) noexcept nogil

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
    LONG = 8192        # characters; of so many the GIL is given away: half a megabyte takes 20 ms
    FIRST_SLOTS = 256  # of the table

cdef struct Piece:
    unsigned char* text
    Py_ssize_t size

cdef struct Item:
    Py_hash_t hash
    Py_ssize_t at    # in the store
    Py_ssize_t size

cdef struct Table:
    # What was found in this text, each word and run once.
    Item* items
    Py_ssize_t count
    Py_ssize_t told        # so many of them are in the set
    Py_ssize_t room        # so many more it may take for certain
    uint32_t* slots        # number of an item, 0 for none; at most half of them are used
    Py_ssize_t mask        # slots less one
    unsigned char* store
    Py_ssize_t used
    Py_ssize_t capacity    # of the store

cdef struct Words:
    Piece word             # being read
    Piece last             # the one before, empty if there was none
    Piece before_last
    unsigned char* joined  # where prefix and runs are put together
    Py_ssize_t prefix
    Py_ssize_t longest     # bytes of a word or run with its prefix
    Py_ssize_t most        # of the set
    Table table
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


cdef int tell(Words* w, set found) except -1:
    # Put what is new into the set.
    cdef Table* t = &w.table
    cdef Item* item
    while t.told < t.count:
        item = t.items + t.told
        found.add(PyBytes_FromStringAndSize(<char*>t.store + item.at, item.size))
        t.told += 1
    t.room = max(0, w.most - len(found))
    return 0


cdef int grow(Table* t) noexcept nogil:
    # Four times the slots; items have room for half of them.
    cdef Py_ssize_t size = 4 * (t.mask + 1) if t.mask else FIRST_SLOTS, i, slot
    cdef uint32_t* slots = <uint32_t*>calloc(size, sizeof(uint32_t))
    cdef Item* items = <Item*>realloc(t.items, size // 2 * sizeof(Item))
    if items != NULL:
        t.items = items
    if slots == NULL or items == NULL:
        free(slots)
        return -1
    for i in range(t.count):
        slot = items[i].hash & (size - 1)
        while slots[slot]:
            slot = slot + 1 & size - 1
        slots[slot] = <uint32_t>(i + 1)
    free(t.slots)
    t.slots = slots
    t.mask = size - 1
    return 0


cdef int keep(Table* t, const unsigned char* text, Py_ssize_t size, Py_hash_t hashed, Py_ssize_t slot) noexcept nogil:
    # A new item, for this free slot.
    cdef unsigned char* store
    cdef Py_ssize_t capacity
    if t.used + size > t.capacity:
        capacity = 2 * t.capacity + size
        store = <unsigned char*>realloc(t.store, capacity)
        if store == NULL:
            return -1
        t.store = store
        t.capacity = capacity
    memcpy(t.store + t.used, text, size)
    t.items[t.count].hash = hashed
    t.items[t.count].at = t.used
    t.items[t.count].size = size
    t.used += size
    t.count += 1
    t.slots[slot] = <uint32_t>t.count
    if 2 * t.count > t.mask:
        return grow(t)
    return 0


cdef int insert(Words* w, Py_ssize_t size, set found) except -1 nogil:
    # What was joined, unless it is known.
    cdef Table* t = &w.table
    cdef Py_hash_t hashed = hash_bytes(w.joined, size)
    cdef Py_ssize_t slot = hashed & t.mask
    cdef Item* item
    while t.slots[slot]:
        item = t.items + t.slots[slot] - 1
        if item.hash == hashed and item.size == size and not memcmp(t.store + item.at, w.joined, size):
            return 0
        slot = slot + 1 & t.mask
    if t.count - t.told >= t.room:
        with gil:  # it may have had some of them, so that there is more room than was certain
            tell(w, found)
        if not t.room:
            return 0
    if keep(t, w.joined, size, hashed, slot) < 0:
        with gil:
            raise MemoryError
    return 0


cdef int add(Words* w, bint two, bint three, set found) except -1 nogil:
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
    return insert(w, size, found)


cdef int end_word(Words* w, set found) except -1 nogil:
    cdef Piece free_piece
    if keep_word(w):
        if w.grams & C_THREE and w.last.size and w.before_last.size:
            add(w, True, True, found)
        if w.grams & C_TWO and w.last.size:
            add(w, True, False, found)
        if w.grams & C_ONE:
            add(w, False, False, found)
        free_piece = w.before_last
        w.before_last = w.last
        w.last = w.word
        w.word = free_piece
    w.word.size = 0
    w.overlong = False
    return 0


cdef int walk(Words* w, int kind, void* data, Py_ssize_t size, set found) except -1 nogil:
    cdef Py_ssize_t i
    cdef Py_UCS4 c
    for i in range(size):
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
            if not w.table.room:
                return 0
    return end_word(w, found)


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
    cdef int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
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
    memset(&w.table, 0, sizeof(Table))
    try:
        if grow(&w.table) < 0:
            raise MemoryError
        tell(&w, found)
        if size > LONG:
            with nogil:
                walk(&w, kind, data, size, found)
        else:
            walk(&w, kind, data, size, found)
        tell(&w, found)
    finally:
        free(memory)
        free(w.table.items)
        free(w.table.slots)
        free(w.table.store)
