"""The columns of an open mailbox: one C array per fact, one slot per message, ascending UID.

Job     load rows, append, change, expunge; slot ↔ UID ↔ sequence number; scans over one column.
Laws    Slots are append-only: an expunge marks a slot as gone and moves nothing, compact() frees.
        A client's view is two numbers: `limit`, the slots it was told of, and `told`, the modseq up
        to which it was told of expunges.  A slot is visible iff slot < limit and it is live or
        gone later than `told`.  A sequence number is the rank among the visible, from 1.
        Any thread may call; calls take turns by the GIL.  Long scans run without it, on arrays that
        stay in place until they end.
Errors  IndexError: no such slot.  ValueError: damaged row, wrong order, impossible view.
        OverflowError: a number that its column cannot hold.
Cost    78 bytes a message.  One pass over one or two arrays for a scan; O(gone slots) for a rank.
Twin    none: a data structure; tests/speedups/test_columns.py compares with a list of records.
Bench   benchmarks/micro/bench_columns.py
"""

cimport cython
from cpython.array cimport array, clone, resize as resize_array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport UINT32_MAX, int16_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memcpy, memmove

cdef enum:
    ROW_VERSION = 1
    ROW_OVERFLOW = 1024  # bytes; 8,192 keywords, far above the 1,000 of a mailbox
    LINK = 16  # bytes before every array, for the list of retired ones
    SEEN = 1 << 0  # mox.base.flags
    DELETED = 1 << 3
    SCAN_VISIBLE = 0
    SCAN_CHANGED = 1
    SCAN_CHANGED_VISIBLE = 2
    SCAN_FLAGS = 3
    SCAN_KEYWORD = 4

cdef Py_ssize_t[COLUMNS] WIDTH = [4, 4, 4, 2, 8, 8, 8, 8, 8, 8, 8, 8]
cdef Py_ssize_t SLOTS_MAX = UINT32_MAX  # UIDs are u32 and each is used once
cdef array NUMBERS = array("I")


cdef array new_numbers(Py_ssize_t count):
    return clone(NUMBERS, count, False)


# Arrays carry LINK bytes in front: retiring one needs no memory, so it cannot fail.
cdef void* resize_column(void* column, Py_ssize_t size) noexcept nogil:
    cdef char* base = <char*>realloc(NULL if column == NULL else <char*>column - LINK, size + LINK)
    return NULL if base == NULL else base + LINK


cdef void free_column(void* column) noexcept nogil:
    if column != NULL:
        free(<char*>column - LINK)


cdef inline void** link_of(void* column) noexcept nogil:
    return <void**>(<char*>column - LINK)


# Rows are little-endian whatever the machine is; the compiler makes one load or store of each.
cdef inline uint64_t load_le(const uint8_t* p, int width) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(width):
        value |= <uint64_t>p[i] << (8 * i)
    return value


cdef inline void store_le(uint8_t* p, uint64_t value, int width) noexcept nogil:
    cdef int i
    for i in range(width):
        p[i] = <uint8_t>(value >> (8 * i))


cdef void unpack_row(const uint8_t* p, Block* b, Py_ssize_t s) noexcept nogil:
    b.zone[s] = <int16_t>load_le(p + 2, 2)
    b.uid[s] = <uint32_t>load_le(p + 4, 4)
    b.size[s] = <uint32_t>load_le(p + 8, 4)
    b.flags[s] = <uint32_t>load_le(p + 12, 4)
    b.received[s] = <int64_t>load_le(p + 16, 8)
    b.saved[s] = <int64_t>load_le(p + 24, 8)
    b.modseq[s] = load_le(p + 32, 8)
    b.createseq[s] = load_le(p + 40, 8)
    b.thread[s] = load_le(p + 48, 8)
    b.file[s] = load_le(p + 56, 8)
    b.keywords[s] = load_le(p + 64, 8)
    b.gone[s] = 0


cdef void pack_row(uint8_t* p, const Block* b, Py_ssize_t s) noexcept nogil:
    p[0] = ROW_VERSION
    p[1] = 0
    store_le(p + 2, <uint64_t>b.zone[s], 2)
    store_le(p + 4, b.uid[s], 4)
    store_le(p + 8, b.size[s], 4)
    store_le(p + 12, b.flags[s], 4)
    store_le(p + 16, <uint64_t>b.received[s], 8)
    store_le(p + 24, <uint64_t>b.saved[s], 8)
    store_le(p + 32, b.modseq[s], 8)
    store_le(p + 40, b.createseq[s], 8)
    store_le(p + 48, b.thread[s], 8)
    store_le(p + 56, b.file[s], 8)
    store_le(p + 64, b.keywords[s], 8)


cdef int compare_slots(const void* left, const void* right) noexcept nogil:
    cdef uint32_t a = (<const uint32_t*>left)[0]
    cdef uint32_t b = (<const uint32_t*>right)[0]
    return (a > b) - (a < b)


# First index in [low, high) whose UID is not below `uid`, else high.
cdef Py_ssize_t lower_bound(const uint32_t* uids, Py_ssize_t low, Py_ssize_t high, uint64_t uid) noexcept nogil:
    cdef Py_ssize_t middle
    while low < high:
        middle = low + (high - low) // 2
        if uids[middle] < uid:
            low = middle + 1
        else:
            high = middle
    return low


# One range of a number set; `floor` is the end of the one before.
cdef int read_range(object item, uint64_t floor, uint64_t* low, uint64_t* high) except -1:
    first, last = item
    low[0] = first
    high[0] = last
    if low[0] <= floor or high[0] < low[0]:
        raise ValueError("ranges must be ascending, disjoint and start at 1 or above")
    return 0


# Keyword bits from the 65th on, shifted down.
cdef object high_keywords(object keywords):
    high = keywords >> 64
    if high < 0 or high.bit_length() > 8 * ROW_OVERFLOW:
        raise ValueError("keywords are bits of at most 8,256 keywords")
    return high


# A dict by slot, without the removed slots, the others moved down.
cdef dict move_keys(dict overflow, const uint32_t* removed, Py_ssize_t n):
    cdef dict moved = {}
    cdef Py_ssize_t slot, below
    for slot, high in overflow.items():
        below = lower_bound(removed, 0, n, slot)
        if below == n or removed[below] != slot:
            moved[slot - below] = high
    return moved


# The scans store before they know: `out` has room for `limit` numbers, no branch is mispredicted.
cdef Py_ssize_t scan(Block b, int kind, Py_ssize_t limit, uint64_t x, uint64_t y, uint64_t z, uint32_t* out) noexcept nogil:
    cdef Py_ssize_t s
    cdef Py_ssize_t n = 0
    if kind == SCAN_VISIBLE:
        for s in range(limit):
            out[n] = <uint32_t>s
            n += is_shown(b.gone[s], x)
    elif kind == SCAN_CHANGED:
        for s in range(limit):
            out[n] = <uint32_t>s
            n += (b.modseq[s] > x) & (b.modseq[s] <= y) & (b.gone[s] == 0)
    elif kind == SCAN_CHANGED_VISIBLE:
        for s in range(limit):
            out[n] = <uint32_t>s
            n += (b.modseq[s] > y) & is_shown(b.gone[s], x)
    elif kind == SCAN_FLAGS:
        for s in range(limit):
            out[n] = <uint32_t>s
            n += ((b.flags[s] & y) == z) & is_shown(b.gone[s], x)
    elif kind == SCAN_KEYWORD:
        for s in range(limit):
            out[n] = <uint32_t>s
            n += <Py_ssize_t>((b.keywords[s] >> y) & 1) & is_shown(b.gone[s], x)
    return n


@cython.final
cdef class Columns:
    """The messages of one mailbox, as columns."""

    def __cinit__(self):
        self.overflow = {}
        self.lost_sorted = True

    def __dealloc__(self):
        cdef int i
        for i in range(COLUMNS):
            free_column(self.column[i])
        free(self.lost)
        self.busy = 1
        self.end()

    # ------------------------------------------------------------------ memory

    # The arrays stay where they are until the matching end(), whatever other threads do.
    cdef Block begin(self) noexcept:
        self.busy += 1
        return self.block

    cdef void end(self) noexcept:
        cdef void* following
        self.busy -= 1
        if self.busy == 0:
            while self.retired != NULL:
                following = link_of(self.retired)[0]
                free_column(self.retired)
                self.retired = following

    cdef void point(self) noexcept:
        self.block.uid = <uint32_t*>self.column[0]
        self.block.size = <uint32_t*>self.column[1]
        self.block.flags = <uint32_t*>self.column[2]
        self.block.zone = <int16_t*>self.column[3]
        self.block.received = <int64_t*>self.column[4]
        self.block.saved = <int64_t*>self.column[5]
        self.block.modseq = <uint64_t*>self.column[6]
        self.block.createseq = <uint64_t*>self.column[7]
        self.block.thread = <uint64_t*>self.column[8]
        self.block.file = <uint64_t*>self.column[9]
        self.block.keywords = <uint64_t*>self.column[10]
        self.block.gone = <uint64_t*>self.column[11]

    # Room for `capacity` slots, at least `count`.    While a loop reads the old arrays, they are
    # copied and kept for it; else they are resized in place.
    cdef int resize(self, Py_ssize_t capacity) except -1:
        cdef void* fresh[COLUMNS]
        cdef int i
        cdef bint failed = False
        cdef bint copying = self.busy > 0
        for i in range(COLUMNS):
            fresh[i] = resize_column(NULL if copying else self.column[i], capacity * WIDTH[i])
            if fresh[i] == NULL:
                failed = True
            elif not copying:
                self.column[i] = fresh[i]
        if copying and failed:
            for i in range(COLUMNS):
                free_column(fresh[i])
        elif copying:
            for i in range(COLUMNS):
                if self.column[i] != NULL:
                    memcpy(fresh[i], self.column[i], self.count * WIDTH[i])
                    link_of(self.column[i])[0] = self.retired
                    self.retired = self.column[i]
                self.column[i] = fresh[i]
        self.point()
        if failed and not copying:
            # Some arrays have the new size, some the old one.
            self.capacity = min(self.capacity, capacity)
        if failed:
            raise MemoryError
        self.capacity = capacity
        return 0

    cdef int make_room(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t wanted = self.count + more
        if wanted > SLOTS_MAX:
            raise ValueError("a mailbox has at most 4294967295 messages")
        if wanted > self.capacity:
            self.resize(max(wanted, self.capacity + self.capacity // 2, 16))
        return 0

    def reserve(self, Py_ssize_t count):
        """Make room for so many slots in all, so that loading them copies nothing."""
        if count > SLOTS_MAX:
            raise ValueError("a mailbox has at most 4294967295 messages")
        if count > self.capacity:
            self.resize(count)

    cdef int check_slot(self, Py_ssize_t slot) except -1:
        if not 0 <= slot < self.count:
            raise IndexError("no such slot")
        return 0

    cdef int check_limit(self, Py_ssize_t limit) except -1:
        if not 0 <= limit <= self.count:
            raise ValueError("a view cannot have more slots than there are")
        return 0

    # ------------------------------------------------------------------ counts

    cdef void tally(self, Py_ssize_t slot, int sign) noexcept:
        cdef uint32_t flags = self.block.flags[slot]
        cdef int64_t size = self.block.size[slot]
        self.live_count += sign
        self.live_size += sign * size
        if not flags & SEEN:
            self.unseen_count += sign
        if flags & DELETED:
            self.deleted_count += sign
            self.deleted_size += sign * size

    def counts(self):
        """Of the live messages: how many, unseen, deleted; bytes of all, bytes of the deleted."""
        return (self.live_count, self.unseen_count, self.deleted_count, self.live_size, self.deleted_size)

    def __len__(self):
        return self.count

    @property
    def gone_count(self):
        """Slots that are gone and not yet compacted."""
        return self.lost_count

    @property
    def memory(self):
        """Bytes held, about."""
        return self.capacity * 78 + self.lost_capacity * 4 + len(self.overflow) * 160

    # ------------------------------------------------------------------ rows in and out

    def load(self, list rows not None):
        """Append row bytes in ascending UID; all of them or, on an error, none.

        Errors  ValueError: version, length or order is wrong.
        """
        cdef Py_ssize_t n = PyList_GET_SIZE(rows)
        cdef Py_ssize_t i, size
        cdef uint32_t last
        cdef const uint8_t* p
        cdef bytes row
        cdef dict high = {}
        self.make_room(n)
        last = self.block.uid[self.count - 1] if self.count else 0
        for i in range(n):
            row = <bytes?><object>PyList_GET_ITEM(rows, i)
            size = PyBytes_GET_SIZE(row)
            p = <const uint8_t*>PyBytes_AS_STRING(row)
            if size < ROW_SIZE or size > ROW_SIZE + ROW_OVERFLOW or p[0] != ROW_VERSION:
                raise ValueError("not a message row of version 1")
            unpack_row(p, &self.block, self.count + i)
            if self.block.uid[self.count + i] <= last:
                raise ValueError("rows must have ascending UIDs")
            last = self.block.uid[self.count + i]
            if size > ROW_SIZE:
                high[self.count + i] = int.from_bytes(row[ROW_SIZE:], "little")
        for i in range(n):
            self.tally(self.count + i, 1)
        for slot, bits in high.items():
            self.set_high(slot, bits)
        self.count += n

    def append(
        self,
        uint32_t uid,
        uint32_t size,
        uint32_t flags,
        int16_t zone,
        int64_t received,
        int64_t saved,
        uint64_t modseq,
        uint64_t createseq,
        uint64_t thread,
        uint64_t file,
        keywords,
    ):
        """Add a message and return its slot.

        Input   zone: minutes east of UTC; received, saved: ms since 1970 (saved 0: not known).
        Errors  ValueError: the UID is not above the last one, or the keywords are impossible.
        """
        cdef Py_ssize_t slot = self.count
        high = high_keywords(keywords)
        cdef uint64_t low = keywords & 0xFFFFFFFFFFFFFFFF
        self.make_room(1)
        if uid <= (self.block.uid[slot - 1] if slot else 0):
            raise ValueError("a new UID must be above the last one")
        self.block.uid[slot] = uid
        self.block.size[slot] = size
        self.block.flags[slot] = flags
        self.block.zone[slot] = zone
        self.block.received[slot] = received
        self.block.saved[slot] = saved
        self.block.modseq[slot] = modseq
        self.block.createseq[slot] = createseq
        self.block.thread[slot] = thread
        self.block.file[slot] = file
        self.block.keywords[slot] = low
        self.block.gone[slot] = 0
        self.set_high(slot, high)
        self.tally(slot, 1)
        self.count = slot + 1
        return slot

    cdef bytes pack(self, Py_ssize_t slot):
        cdef bytes row = PyBytes_FromStringAndSize(NULL, ROW_SIZE)
        pack_row(<uint8_t*>PyBytes_AS_STRING(row), &self.block, slot)
        high = self.overflow.get(slot)
        if high is None:
            return row
        return row + high.to_bytes((high.bit_length() + 7) // 8, "little")

    def row(self, Py_ssize_t slot):
        """The row bytes of a slot, as load() takes them."""
        self.check_slot(slot)
        return self.pack(slot)

    def rows(self, const unsigned int[::1] slots not None):
        """The row bytes of some slots."""
        cdef Py_ssize_t i
        cdef list out = []
        for i in range(slots.shape[0]):
            self.check_slot(slots[i])
            out.append(self.pack(slots[i]))
        return out

    # ------------------------------------------------------------------ changes

    cdef int set_high(self, Py_ssize_t slot, object high) except -1:
        if high:
            self.overflow[slot] = high
        else:
            self.overflow.pop(slot, None)
        return 0

    def set_flags(self, Py_ssize_t slot, uint32_t flags, keywords, uint64_t modseq):
        """Replace flags and keywords of a slot."""
        self.check_slot(slot)
        high = high_keywords(keywords)
        cdef uint64_t low = keywords & 0xFFFFFFFFFFFFFFFF
        cdef bint live = self.block.gone[slot] == 0
        if live:
            self.tally(slot, -1)
        self.block.flags[slot] = flags
        self.block.keywords[slot] = low
        self.block.modseq[slot] = modseq
        self.set_high(slot, high)
        if live:
            self.tally(slot, 1)

    cdef int make_room_for_lost(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t capacity
        cdef uint32_t* larger
        if self.lost_count + more > self.lost_capacity:
            capacity = max(16, self.lost_count + more, self.lost_capacity + self.lost_capacity // 2)
            larger = <uint32_t*>realloc(self.lost, capacity * sizeof(uint32_t))
            if larger == NULL:
                raise MemoryError
            self.lost = larger
            self.lost_capacity = capacity
        return 0

    cdef int lose(self, Py_ssize_t slot, uint64_t modseq) except -1:
        self.make_room_for_lost(1)
        # Sorted when next needed: a large expunge in any order stays linear.
        if self.lost_count and self.lost[self.lost_count - 1] > slot:
            self.lost_sorted = False
        self.lost[self.lost_count] = <uint32_t>slot
        self.lost_count += 1
        self.tally(slot, -1)
        self.block.gone[slot] = modseq
        return 0

    def set_gone(self, Py_ssize_t slot, uint64_t modseq):
        """Mark a slot as expunged at a modseq; a second time with the same one changes nothing.

        Errors  ValueError: modseq 0, or the slot is gone since another modseq.
        """
        self.check_slot(slot)
        if modseq == 0:
            raise ValueError("an expunge has a modseq above 0")
        if self.block.gone[slot] == 0:
            self.lose(slot, modseq)
        elif self.block.gone[slot] != modseq:
            raise ValueError("the slot is gone already")

    def compact(self, uint64_t told):
        """Remove all slots gone at or before `told`, and return their old numbers, ascending.

        Slots above a removed one move down: the caller adjusts the limits of its views, and keeps
        no slot numbers over this call.
        """
        cdef uint32_t* lost = self.sorted_lost()
        cdef Py_ssize_t i, start, end
        cdef Py_ssize_t n = 0, kept = 0
        cdef int c
        cdef char* p
        cdef array removed = new_numbers(self.lost_count)
        cdef uint32_t* out = removed.data.as_uints
        for i in range(self.lost_count):
            if not is_shown(self.block.gone[lost[i]], told):
                out[n] = lost[i]
                n += 1
        resize_array(removed, n)
        if n == 0:
            return removed
        out = removed.data.as_uints
        cdef dict moved = move_keys(self.overflow, out, n)
        if self.busy:
            self.resize(self.capacity)  # the loops that run keep the old arrays
        # The runs of slots that stay move down by what was removed below them.
        for c in range(COLUMNS):
            p = <char*>self.column[c]
            for i in range(n):
                start = out[i] + 1
                end = out[i + 1] if i + 1 < n else self.count
                memmove(p + (start - i - 1) * WIDTH[c], p + start * WIDTH[c], (end - start) * WIDTH[c])
        self.overflow = moved
        n = 0
        for i in range(self.lost_count):
            if n < len(removed) and lost[i] == out[n]:
                n += 1
            else:
                lost[kept] = lost[i] - <uint32_t>n
                kept += 1
        self.lost_count = kept
        self.count -= n
        if self.capacity > 1024 and self.count + self.count // 2 < self.capacity:
            self.resize(max(self.count, 16))
        return removed

    # ------------------------------------------------------------------ one message

    def uid(self, Py_ssize_t slot):
        """UID of a slot."""
        self.check_slot(slot)
        return self.block.uid[slot]

    def size(self, Py_ssize_t slot):
        """RFC822.SIZE in bytes."""
        self.check_slot(slot)
        return self.block.size[slot]

    def flags(self, Py_ssize_t slot):
        """System flags as bits of mox.base.flags."""
        self.check_slot(slot)
        return self.block.flags[slot]

    def zone(self, Py_ssize_t slot):
        """Zone of the received time, minutes east of UTC."""
        self.check_slot(slot)
        return self.block.zone[slot]

    def received(self, Py_ssize_t slot):
        """Received time (INTERNALDATE), ms since 1970."""
        self.check_slot(slot)
        return self.block.received[slot]

    def saved(self, Py_ssize_t slot):
        """When the message came into this mailbox, ms since 1970; 0: not known."""
        self.check_slot(slot)
        return self.block.saved[slot]

    def modseq(self, Py_ssize_t slot):
        """Modseq of the newest change of flags or keywords."""
        self.check_slot(slot)
        return self.block.modseq[slot]

    def createseq(self, Py_ssize_t slot):
        """Modseq of the creation."""
        self.check_slot(slot)
        return self.block.createseq[slot]

    def thread(self, Py_ssize_t slot):
        """Thread id."""
        self.check_slot(slot)
        return self.block.thread[slot]

    def file(self, Py_ssize_t slot):
        """File id of the body."""
        self.check_slot(slot)
        return self.block.file[slot]

    def gone(self, Py_ssize_t slot):
        """Modseq of the expunge, 0 for a live message."""
        self.check_slot(slot)
        return self.block.gone[slot]

    def keywords(self, Py_ssize_t slot):
        """Keywords as bits, by their number in the mailbox's keyword table."""
        self.check_slot(slot)
        high = self.overflow.get(slot)
        if high is None:
            return self.block.keywords[slot]
        return (high << 64) | self.block.keywords[slot]

    # ------------------------------------------------------------------ slot, UID, sequence number

    def find(self, uint32_t uid):
        """The slot of a UID, gone ones included; -1 when there is none."""
        cdef Py_ssize_t slot = lower_bound(self.block.uid, 0, self.count, uid)
        return slot if slot < self.count and self.block.uid[slot] == uid else -1

    cdef uint32_t* sorted_lost(self) noexcept:
        if not self.lost_sorted:
            qsort(self.lost, self.lost_count, sizeof(uint32_t), compare_slots)
            self.lost_sorted = True
        return self.lost

    # Slots below `slot` that a view no longer sees.
    cdef Py_ssize_t hidden_below(self, Py_ssize_t slot, uint64_t told) noexcept:
        cdef const uint32_t* lost = self.sorted_lost()
        cdef Py_ssize_t i, hidden = 0
        for i in range(self.lost_count):
            if lost[i] >= slot:
                break
            hidden += not is_shown(self.block.gone[lost[i]], told)
        return hidden

    def visible(self, Py_ssize_t limit, uint64_t told):
        """How many messages a view has (EXISTS)."""
        self.check_limit(limit)
        return limit - self.hidden_below(limit, told)

    def seq(self, Py_ssize_t slot, Py_ssize_t limit, uint64_t told):
        """Sequence number of a slot in a view, 0 when it is not visible."""
        self.check_slot(slot)
        self.check_limit(limit)
        if slot >= limit or not is_shown(self.block.gone[slot], told):
            return 0
        return slot + 1 - self.hidden_below(slot, told)

    def slot_of_seq(self, uint32_t seq, Py_ssize_t limit, uint64_t told):
        """Slot of a sequence number in a view, -1 when the view has fewer messages."""
        cdef const uint32_t* lost = self.sorted_lost()
        cdef Py_ssize_t i
        cdef Py_ssize_t slot = <Py_ssize_t>seq - 1
        self.check_limit(limit)
        for i in range(self.lost_count):
            if lost[i] > slot:
                break
            slot += not is_shown(self.block.gone[lost[i]], told)
        return slot if slot < limit else -1

    def slots_by_seq(self, list ranges not None, Py_ssize_t limit, uint64_t told):
        """Slots of ranges of sequence numbers, ascending; numbers beyond the view are ignored."""
        self.check_limit(limit)
        cdef const uint32_t* lost = self.sorted_lost()
        cdef uint64_t exists = limit - self.hidden_below(limit, told)
        cdef uint64_t low = 0, high = 0
        cdef Py_ssize_t i = 0, n = 0, hidden = 0
        cdef Py_ssize_t slot, stop
        cdef array found = new_numbers(exists)
        cdef uint32_t* out = found.data.as_uints
        for item in ranges:
            read_range(item, high, &low, &high)
            if low > exists:
                break
            slot = <Py_ssize_t>low - 1 + hidden
            stop = n + <Py_ssize_t>(min(high, exists) - low + 1)
            while n < stop:
                # `slot` is right unless a hidden one is at or before it.
                while i < self.lost_count and lost[i] <= slot:
                    if not is_shown(self.block.gone[lost[i]], told):
                        hidden += 1
                        slot += 1
                    i += 1
                out[n] = <uint32_t>slot
                n += 1
                slot += 1
        resize_array(found, n)
        return found

    def slots_by_uid(self, list ranges not None, Py_ssize_t limit, uint64_t told):
        """Visible slots of ranges of UIDs, ascending.    Cost: the hits, and log n per range."""
        self.check_limit(limit)
        cdef uint64_t low = 0, high = 0
        cdef Py_ssize_t n = 0, start = 0
        cdef Py_ssize_t slot, stop
        cdef array found = new_numbers(limit)
        cdef uint32_t* out = found.data.as_uints
        for item in ranges:
            read_range(item, high, &low, &high)
            start = lower_bound(self.block.uid, start, limit, low)
            stop = lower_bound(self.block.uid, start, limit, high + 1) if high < UINT32_MAX else limit
            for slot in range(start, stop):
                out[n] = <uint32_t>slot
                n += is_shown(self.block.gone[slot], told)
            start = stop
        resize_array(found, n)
        return found

    def seqs(self, const unsigned int[::1] slots not None, Py_ssize_t limit, uint64_t told):
        """Sequence numbers of ascending slots in a view, 0 for one that is not visible."""
        cdef const uint32_t* lost = self.sorted_lost()
        cdef Py_ssize_t i, slot
        cdef Py_ssize_t last = -1, k = 0, hidden = 0
        cdef array found = new_numbers(slots.shape[0])
        cdef uint32_t* out = found.data.as_uints
        self.check_limit(limit)
        for i in range(slots.shape[0]):
            slot = slots[i]
            self.check_slot(slot)
            if slot <= last:
                raise ValueError("slots must be ascending")
            last = slot
            while k < self.lost_count and lost[k] < slot:
                hidden += not is_shown(self.block.gone[lost[k]], told)
                k += 1
            if slot < limit and is_shown(self.block.gone[slot], told):
                out[i] = <uint32_t>(slot + 1 - hidden)
            else:
                out[i] = 0
        return found

    def uids(self, const unsigned int[::1] slots not None):
        """UIDs of slots, in the order given."""
        cdef Py_ssize_t i
        cdef array found = new_numbers(slots.shape[0])
        for i in range(slots.shape[0]):
            self.check_slot(slots[i])
            found.data.as_uints[i] = self.block.uid[slots[i]]
        return found

    def uid_ranges(self, const unsigned int[::1] slots not None):
        """UIDs of ascending slots as ranges."""
        cdef list out = []
        cdef Py_ssize_t i
        cdef uint32_t uid, low = 0, high = 0
        for i in range(slots.shape[0]):
            self.check_slot(slots[i])
            uid = self.block.uid[slots[i]]
            if uid <= high:
                raise ValueError("slots must be ascending")
            if i and uid == high + 1:
                high = uid
                continue
            if i:
                out.append((low, high))
            low = high = uid
        if high:
            out.append((low, high))
        return out

    # ------------------------------------------------------------------ scans

    cdef array collect(self, int kind, Py_ssize_t limit, uint64_t x, uint64_t y, uint64_t z):
        self.check_limit(limit)
        cdef array found = new_numbers(limit)
        cdef uint32_t* out = found.data.as_uints
        cdef Py_ssize_t n
        cdef Block block = self.begin()
        if limit >= RELEASE_FROM:
            with nogil:
                n = scan(block, kind, limit, x, y, z, out)
        else:
            n = scan(block, kind, limit, x, y, z, out)
        self.end()
        resize_array(found, n)
        return found

    def visible_slots(self, Py_ssize_t limit, uint64_t told):
        """All slots of a view."""
        return self.collect(SCAN_VISIBLE, limit, told, 0, 0)

    def changed(self, Py_ssize_t limit, uint64_t since, uint64_t upto):
        """Live slots below `limit` with since < modseq <= upto."""
        return self.collect(SCAN_CHANGED, limit, since, upto, 0)

    def changed_visible(self, Py_ssize_t limit, uint64_t told, uint64_t since):
        """Visible slots with modseq > since (CHANGEDSINCE, RFC 7162 §3.1.4.1)."""
        return self.collect(SCAN_CHANGED_VISIBLE, limit, told, since, 0)

    def with_flags(self, Py_ssize_t limit, uint64_t told, uint32_t mask, uint32_t value):
        """Visible slots with flags & mask == value."""
        return self.collect(SCAN_FLAGS, limit, told, mask, value)

    def first_with_flags(self, Py_ssize_t limit, uint64_t told, uint32_t mask, uint32_t value):
        """The first visible slot with flags & mask == value, or -1."""
        cdef Py_ssize_t slot
        self.check_limit(limit)
        for slot in range(limit):
            if self.block.flags[slot] & mask == value and is_shown(self.block.gone[slot], told):
                return slot
        return -1

    def slots_with_keyword(self, uint32_t bit, Py_ssize_t limit, uint64_t told):
        """Visible slots with a keyword."""
        cdef Py_ssize_t slot
        if bit < 64:
            return self.collect(SCAN_KEYWORD, limit, told, bit, 0)
        self.check_limit(limit)
        cdef list found = []
        for slot, high in self.overflow.items():
            if slot < limit and is_shown(self.block.gone[slot], told) and (high >> (bit - 64)) & 1:
                found.append(slot)
        found.sort()
        return array("I", found)

    def gone_between(self, Py_ssize_t limit, uint64_t told, uint64_t upto):
        """Slots below `limit` with told < gone <= upto: what a view is to be told of, ascending."""
        self.check_limit(limit)
        cdef const uint32_t* lost = self.sorted_lost()
        cdef Py_ssize_t i, n = 0
        cdef array found = new_numbers(self.lost_count)
        for i in range(self.lost_count):
            if lost[i] < limit and told < self.block.gone[lost[i]] <= upto:
                found.data.as_uints[n] = lost[i]
                n += 1
        resize_array(found, n)
        return found

    def created_upto(self, Py_ssize_t limit, uint64_t upto):
        """The limit of a view that learns of creations up to a modseq."""
        cdef Py_ssize_t slot
        self.check_limit(limit)
        for slot in range(limit, self.count):
            if self.block.createseq[slot] > upto:
                return slot
        return self.count

    def max_modseq(self, const unsigned int[::1] slots not None):
        """The greatest modseq of some slots, 0 for none."""
        cdef Py_ssize_t i
        cdef uint64_t greatest = 0
        for i in range(slots.shape[0]):
            self.check_slot(slots[i])
            greatest = max(greatest, self.block.modseq[slots[i]])
        return greatest
