# Counts of words → those that say most about a message, and how much.
#
# Job     score each word by the messages it was in, choose the strongest of either kind.
# Input   list of bytes, list of counts: pairs of int, or None; see the twin for the rules.
# Output  two lists of (word, score, ham, spam), strongest first.
# Cost    one pass without Python arithmetic; two heaps of at most ``most`` entries.
# Twin    reference/scores.py         Benchmark  benchmarks/micro/bench_scores.py

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLong
from cpython.object cimport PyObject
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

cdef extern from "Python.h":
    bint PyLong_CheckExact(object o) noexcept
    bint PyBytes_CheckExact(object o) noexcept

cdef struct Rules:
    double ham  # messages trained
    double spam
    double least  # score
    double most
    double ignored  # distance from 0.5
    long long rare  # messages

cdef struct Entry:
    double key  # the lower the stronger
    PyObject* word  # the list of words holds it
    Py_ssize_t at

cdef struct Heap:
    Entry* entries  # the weakest is first, each is weaker than both behind it
    Py_ssize_t size
    Py_ssize_t most


cdef double score_of(long long ham, long long spam, const Rules* rules) noexcept nogil:
    # 0 .. 1, and -1 where it says too little.
    cdef double in_ham = 0.0, in_spam = 0.0, score, distance
    cdef long long seen
    if rules.spam:
        in_spam = <double>spam / rules.spam
    if rules.ham:
        in_ham = <double>ham / rules.ham
    if in_spam == 0.0 and in_ham == 0.0:
        return -1.0
    score = in_spam / (in_spam + in_ham)
    if score < rules.least:
        score = rules.least
    if score > rules.most:
        score = rules.most
    seen = ham + spam
    if seen <= rules.rare:
        score += <double>(1 + rules.rare - seen) * (0.5 - score) / 10.0
    distance = 0.5 - score
    if distance < 0.0:
        distance = -distance
    if score == 0.5 or distance < rules.ignored:
        return -1.0
    return score


cdef bint is_weaker(const Entry* a, const Entry* b) noexcept:
    # Of one score the longer word is stronger, then the lesser one, then the one named first.
    cdef Py_ssize_t a_size, b_size
    cdef int order
    if a.key != b.key:
        return a.key > b.key
    a_size = PyBytes_GET_SIZE(<object>a.word)
    b_size = PyBytes_GET_SIZE(<object>b.word)
    if a_size != b_size:
        return a_size < b_size
    order = memcmp(
        PyBytes_AS_STRING(<object>a.word), PyBytes_AS_STRING(<object>b.word), a_size
    )
    return order > 0 if order else a.at > b.at


cdef void sink(Heap* heap, Entry entry) noexcept:
    # Put an entry in the place of the first one, and down to where it belongs.
    cdef Py_ssize_t at = 0, child
    while True:
        child = 2 * at + 1
        if child >= heap.size:
            break
        if child + 1 < heap.size and is_weaker(&heap.entries[child + 1], &heap.entries[child]):
            child += 1
        if not is_weaker(&heap.entries[child], &entry):
            break
        heap.entries[at] = heap.entries[child]
        at = child
    heap.entries[at] = entry


cdef void offer(Heap* heap, Entry entry) noexcept:
    # Take an entry if there is room, or a weaker one to give up for it.
    cdef Py_ssize_t at, parent
    if heap.size == heap.most:
        if heap.size and is_weaker(&heap.entries[0], &entry):
            sink(heap, entry)
        return
    at = heap.size
    heap.size += 1
    while at:
        parent = (at - 1) // 2
        if not is_weaker(&entry, &heap.entries[parent]):
            break
        heap.entries[at] = heap.entries[parent]
        at = parent
    heap.entries[at] = entry


cdef list emptied(Heap* heap, list words, list counts, double sign):
    cdef list found = []
    cdef Entry entry
    while heap.size:
        entry = heap.entries[0]
        heap.size -= 1
        if heap.size:
            sink(heap, heap.entries[heap.size])
        count = counts[entry.at]
        found.append((words[entry.at], sign * entry.key, count[0], count[1]))
    found.reverse()
    return found


cdef long long number(object value) except? -1:
    if not PyLong_CheckExact(value):
        raise TypeError("a count is no int")
    return PyLong_AsLongLong(value)


def strongest(
    list words not None, counts not None, Py_ssize_t ham, Py_ssize_t spam,
    Py_ssize_t most, double max_power, double ignored, Py_ssize_t rare
):
    """The words that say most, and how much.

    Input   counts: of each word (ham, spam), or None for one that is not known.  ham, spam: messages
            trained.  most: words of either kind.  max_power, ignored, rare: as ``Parameters``.
    Output  the words for ham, the words for spam: (word, score, ham, spam), strongest first.
    """
    cdef Rules rules
    cdef Heap heaps[2]
    cdef Entry entry
    cdef Py_ssize_t size = PyList_GET_SIZE(words), at
    cdef double score
    cdef list counted = counts if isinstance(counts, list) else list(counts)
    cdef object count
    if PyList_GET_SIZE(counted) != size:
        raise ValueError("as many counts as words")
    if most < 0:
        raise ValueError("most below 0")
    rules.ham, rules.spam = <double>ham, <double>spam
    rules.least, rules.most = max_power, 1 - max_power
    rules.ignored, rules.rare = ignored, rare
    most = min(most, size)
    heaps[0].size = heaps[1].size = 0
    heaps[0].most = heaps[1].most = most
    heaps[0].entries = <Entry*>malloc(2 * (most + 1) * sizeof(Entry))
    if heaps[0].entries == NULL:
        raise MemoryError
    heaps[1].entries = heaps[0].entries + most + 1
    try:
        for at in range(size):
            count = <object>PyList_GET_ITEM(counted, at)
            if count is None:
                continue
            if not isinstance(count, tuple) or len(<tuple>count) != 2:
                raise TypeError("a count is no pair")
            score = score_of(number((<tuple>count)[0]), number((<tuple>count)[1]), &rules)
            if score < 0:
                continue
            entry.word = <PyObject*>PyList_GET_ITEM(words, at)
            if not PyBytes_CheckExact(<object>entry.word):
                raise TypeError("a word is no bytes")
            entry.at = at
            if score > 0.5:
                entry.key = -score
                offer(&heaps[1], entry)
            else:
                entry.key = score
                offer(&heaps[0], entry)
        return (
            emptied(&heaps[0], words, counted, 1.0), emptied(&heaps[1], words, counted, -1.0)
        )
    finally:
        free(heaps[0].entries)
