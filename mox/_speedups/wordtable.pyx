# A table of words and what is known of each, in little memory.
#
# Job     WordTable: words → objects, to be asked for thousands at once.
# Input   list of bytes of at most LONGEST bytes, list of hashable objects.  The hash is the one Python keeps
#         with each bytes object; its key is secret, so nobody can write words that all meet.
# Output  list of objects, the same one for all that are equal.
# Cost    30 bytes and the word, for each; equal objects are kept once.  Places are fetched ahead.
# Twin    reference/wordtable.py         Benchmark  benchmarks/micro/bench_wordtable.py

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy

cdef extern from "Python.h":
    bint PyBytes_CheckExact(object o) noexcept

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define mox_fetch(place) __builtin_prefetch(place)
    #else
    #define mox_fetch(place) ((void)(place))
    #endif
    """
    void mox_fetch(const void* place) noexcept nogil

LONGEST = 32768

cdef enum:
    C_LONGEST = 32768
    AT_ONCE = 32  # words whose places are fetched together
    FIRST_PLACES = 16
    FIRST_TEXT = 256
    VALUE_BYTES = 200  # of an object, about
    EMPTY_BYTES = 400  # of a table without anything, about
    NONE = 0xFFFFFFFF

cdef struct Place:
    uint32_t hash
    uint32_t text  # where the word is: its size in two bytes, and its bytes
    uint32_t value  # which one; NONE: nothing is here


cdef inline uint32_t hash_of(object word) except? 0:
    cdef uint64_t whole = <uint64_t>hash(word)
    return <uint32_t>(whole ^ whole >> 32)


@cython.final
cdef class WordTable:
    """See the module."""

    cdef Place* places
    cdef unsigned char* text
    cdef uint64_t text_size
    cdef uint64_t text_room
    cdef uint32_t mask
    cdef uint32_t used
    cdef list values
    cdef dict numbers  # value → its place in the list

    def __cinit__(self):
        self.values = []
        self.numbers = {}
        self.text_room = FIRST_TEXT
        self.mask = FIRST_PLACES - 1
        self.text = <unsigned char*>malloc(FIRST_TEXT)
        self.places = new_places(FIRST_PLACES)
        if self.text == NULL or self.places == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.places)
        free(self.text)

    @classmethod
    def __class_getitem__(cls, item):
        return cls

    def __len__(self):
        return self.used

    @property
    def memory(self):
        """Bytes that are needed, about."""
        cdef uint64_t places = <uint64_t>self.mask + 1
        return (
            EMPTY_BYTES + places * sizeof(Place) + self.text_size
            + len(self.values) * VALUE_BYTES
        )

    def get(self, list words not None):
        """What is known of each word, in their order; None for words that are not here."""
        cdef Py_ssize_t size = PyList_GET_SIZE(words), start, end, at
        cdef uint32_t hashes[AT_ONCE]
        cdef uint32_t place
        cdef list found = [None] * size
        start = 0
        while start < size:
            end = min(start + AT_ONCE, size)
            for at in range(start, end):
                check(<object>PyList_GET_ITEM(words, at))
                hashes[at - start] = hash_of(<object>PyList_GET_ITEM(words, at))
                mox_fetch(&self.places[hashes[at - start] & self.mask])
            for at in range(start, end):
                place = hashes[at - start] & self.mask
                if self.places[place].value != NONE:
                    mox_fetch(&self.text[self.places[place].text])
            for at in range(start, end):
                place = self.find(<object>PyList_GET_ITEM(words, at), hashes[at - start])
                if self.places[place].value != NONE:
                    found[at] = <object>PyList_GET_ITEM(self.values, self.places[place].value)
            start = end
        return found

    def put(self, list words not None, list values not None):
        """Know this of the words from now on, whatever was known of them."""
        self.set_all(words, values, True)

    def replace(self, list words not None, list values not None):
        """The same, of those words that are here."""
        self.set_all(words, values, False)

    cdef int set_all(self, list words, list values, bint adds) except -1:
        cdef Py_ssize_t size = PyList_GET_SIZE(words), at
        cdef object word
        cdef uint32_t place, hash, number
        if PyList_GET_SIZE(values) != size:
            raise ValueError("as many values as words")
        for at in range(size):
            word = <object>PyList_GET_ITEM(words, at)
            check(word)
            hash = hash_of(word)
            if not adds and self.places[self.find(word, hash)].value == NONE:
                continue
            number = self.number(<object>PyList_GET_ITEM(values, at))
            place = self.find(word, hash)
            if self.places[place].value != NONE:
                self.places[place].value = number
            else:
                self.add(word, hash, number)
        return 0

    cdef uint32_t number(self, object value) except? 0:
        number = self.numbers.get(value)
        if number is None:
            number = len(self.values)
            self.values.append(value)
            self.numbers[value] = number
        return number

    cdef uint32_t find(self, object word, uint32_t hash) noexcept:
        # Where the word is, or the free place where it would be.
        cdef Py_ssize_t size = PyBytes_GET_SIZE(word)
        cdef uint32_t at = hash & self.mask
        cdef Place* place
        cdef const unsigned char* text
        cdef uint16_t found
        while True:
            place = &self.places[at]
            if place.value == NONE:
                return at
            if place.hash == hash:
                text = self.text + place.text
                memcpy(&found, text, 2)
                if found == size and memcmp(text + 2, PyBytes_AS_STRING(word), size) == 0:
                    return at
            at = (at + 1) & self.mask

    cdef int add(self, object word, uint32_t hash, uint32_t value) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(word)
        cdef uint16_t small = <uint16_t>size
        cdef uint64_t room = self.text_room
        cdef unsigned char* text
        cdef Place* place
        if self.text_size + size + 2 >= NONE:
            raise OverflowError("a table of words is too large")
        if (<uint64_t>self.used + 1) * 3 > (<uint64_t>self.mask + 1) * 2:
            self.grow()
        while room < self.text_size + size + 2:
            room += room // 2
        if room != self.text_room:
            text = <unsigned char*>realloc(self.text, room)
            if text == NULL:
                raise MemoryError
            self.text, self.text_room = text, room
        place = &self.places[self.find(word, hash)]
        place.hash, place.text, place.value = hash, <uint32_t>self.text_size, value
        memcpy(self.text + self.text_size, &small, 2)
        memcpy(self.text + self.text_size + 2, PyBytes_AS_STRING(word), size)
        self.text_size += size + 2
        self.used += 1
        return 0

    cdef int grow(self) except -1:
        cdef uint64_t old = <uint64_t>self.mask + 1, at
        cdef uint32_t to
        cdef Place* places
        if old * 2 > NONE:
            raise OverflowError("a table of words is too large")
        places = new_places(old * 2)
        if places == NULL:
            raise MemoryError
        self.mask = <uint32_t>(old * 2 - 1)
        for at in range(old):
            if self.places[at].value == NONE:
                continue
            to = self.places[at].hash & self.mask
            while places[to].value != NONE:
                to = (to + 1) & self.mask
            places[to] = self.places[at]
        free(self.places)
        self.places = places
        return 0


cdef int check(object word) except -1:
    if not PyBytes_CheckExact(word):
        raise TypeError("a word is no bytes")
    if PyBytes_GET_SIZE(word) > C_LONGEST:
        raise ValueError("a word is too long")
    return 0


cdef Place* new_places(uint64_t count) noexcept:
    cdef Place* places = <Place*>malloc(count * sizeof(Place))
    cdef uint64_t at
    if places != NULL:
        for at in range(count):
            places[at].value = NONE
    return places
