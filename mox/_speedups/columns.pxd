# C view of the columns, for the compiled modules that read them (search, fetchlines).

from cpython.array cimport array
from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t


cdef enum:
    COLUMNS = 12  # arrays of a Block
    ROW_SIZE = 72  # bytes of a row before the overflow keywords
    RELEASE_FROM = 32768  # slots; a shorter loop ends before handing the GIL over would pay

# Pointers to the arrays, in the order of the first member on.    Valid between begin() and end().
cdef struct Block:
    uint32_t* uid
    uint32_t* size
    uint32_t* flags
    int16_t* zone  # minutes east of UTC
    int64_t* received  # ms since 1970
    int64_t* saved  # ms since 1970; 0: not known
    uint64_t* modseq
    uint64_t* createseq
    uint64_t* thread
    uint64_t* file
    uint64_t* keywords  # the first 64 keywords of the mailbox
    uint64_t* gone  # modseq of the expunge; 0: live


# told of by the view, and not told that it is gone.    gone - 1 wraps to the greatest number for a
# live one, so that one comparison does for both.
cdef inline bint is_shown(uint64_t gone, uint64_t told) noexcept nogil:
    return gone - 1 >= told


cdef void pack_row(uint8_t* p, const Block* b, Py_ssize_t s) noexcept nogil
cdef object high_keywords(object keywords)


cdef class Columns:
    cdef void* column[COLUMNS]
    cdef Block block
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef dict overflow  # slot -> keyword bits from the 65th on, shifted down by 64
    cdef uint32_t* lost  # slots that are gone
    cdef Py_ssize_t lost_count
    cdef Py_ssize_t lost_capacity
    cdef bint lost_sorted
    cdef Py_ssize_t live_count
    cdef Py_ssize_t unseen_count
    cdef Py_ssize_t deleted_count
    cdef int64_t live_size
    cdef int64_t deleted_size
    cdef Py_ssize_t busy  # loops that run without the GIL
    cdef void* retired  # arrays replaced meanwhile, freed when busy is 0 again

    cdef Block begin(self) noexcept
    cdef void end(self) noexcept
    cdef int check_slot(self, Py_ssize_t slot) except -1
    cdef int check_limit(self, Py_ssize_t limit) except -1
    cdef int resize(self, Py_ssize_t capacity) except -1
    cdef int make_room(self, Py_ssize_t more) except -1
    cdef void point(self) noexcept
    cdef void tally(self, Py_ssize_t slot, int sign) noexcept
    cdef int set_high(self, Py_ssize_t slot, object high) except -1
    cdef int make_room_for_lost(self, Py_ssize_t more) except -1
    cdef int lose(self, Py_ssize_t slot, uint64_t modseq) except -1
    cdef uint32_t* sorted_lost(self) noexcept
    cdef Py_ssize_t hidden_below(self, Py_ssize_t slot, uint64_t told) noexcept
    cdef array collect(self, int kind, Py_ssize_t limit, uint64_t x, uint64_t y, uint64_t z)
    cdef bytes pack(self, Py_ssize_t slot)
