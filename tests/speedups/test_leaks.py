"""Memory held by the compiled modules is given back: many rounds in a fresh process."""

import subprocess
import sys

ROUNDS = """
import gc, resource
from array import array
import mox._speedups as door

ROWS = None

def once():
    global ROWS
    columns = door.Columns()
    for uid in range(1, 2001):
        columns.append(uid, uid, uid % 8, 0, uid, 0, uid, uid, 1, 1, 1 << uid % 70)
    every = array("I", range(2000))
    if ROWS is None:
        ROWS = columns.rows(every)
    names = [b"k%d" % bit for bit in range(70)]
    program = door.compile_program(
        [("uid", [(1, 900)]), ("slots", every), ("and",), ("maybe", 1), ("or",)]
    )
    wide = array("I", range(70))
    door.append_copies(door.Columns(), columns, every, 1, 0, 1, 0, 0, wide)
    door.set_flags_of(columns, door.flag_changes(columns, every, -1, 1, -1, 1 << 69), -1, 1, -1, 1 << 69, 1)
    door.pack_keys(b"12345", columns.uids(every))
    door.pack_references(b"12345", door.files_of(columns, every), b"1", columns.uids(every))
    door.without_modseqs(columns, door.split_modseq(columns, every, 9)[0], array("Q", [1]))
    door.pack_rows(columns, every)
    door.keywords_of(columns, every)
    door.expunge_slots(columns, door.live_slots(columns, every[::2]), 3000)
    door.run_program(columns, program, 2000, 0, 0, 2000)
    door.evaluate_with(columns, program, 5, 2000, 0, {1: True})
    door.format_fetch(columns, every, every, 127, names, 0, 1 << 20)
    door.format_items(columns, 3, 3, 127, names)
    for bad in ([("and",)], [("uid", [(1, 2)]), ("slots", [1])]):
        try:
            door.compile_program(bad)
        except ValueError:
            pass
    ranges = columns.uid_ranges(columns.visible_slots(2000, 3000))
    door.decode_ranges(door.encode_ranges(door.merge_ranges([ranges, ranges])))
    door.subtract_ranges(ranges, [(5, 900)])
    words = [b"word%d" % number for number in range(5000)]
    table = door.WordTable()
    table.put(words, [(number, 1) for number in range(5000)])
    table.get(words)
    try:
        table.put(words + ["text"], [(number, 2) for number in range(5001)])
    except TypeError:
        pass
    door.strongest(words, table.get(words), 5000, 5000, 100, 0.01, 0.1, 2)
    columns.compact(3000)
    door.Columns().load(ROWS)

def peak():
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for _ in range(15):
    once()
before = peak()
for _ in range(85):
    once()
print(peak() - before)
"""


def test_memory_is_given_back() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=True
    )
    # Columns of 2,000 slots are 156 KB: one array of each round kept would be over a megabyte.
    assert int(answer.stdout) < 1024, "KiB kept"
