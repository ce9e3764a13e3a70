"""The columns of a mailbox of 100,000 messages; Columns has no twin, so there is nothing beside it."""

import struct
from array import array

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import Columns

COUNT = 100_000
EVERYTHING = [(1, 2**32 - 1)]
ROW = struct.Struct("<BBhIIIqqQQQQQ")


def rows() -> list[bytes]:
    return [
        ROW.pack(1, 0, 60, uid, uid, uid % 32, uid * 1000, 0, uid, uid, 1, uid, uid % 4)
        for uid in range(1, COUNT + 1)
    ]


@pytest.fixture
def columns() -> Columns:
    loaded = Columns()
    loaded.load(rows())
    return loaded


@pytest.fixture
def thinned(columns: Columns) -> Columns:
    """A tenth is gone, which the view of modseq COUNT was told of."""
    for slot in range(0, COUNT, 10):
        columns.set_gone(slot, COUNT)
    return columns


def test_load(benchmark: BenchmarkFixture) -> None:
    stored = rows()

    def run() -> Columns:
        loaded = Columns()
        loaded.load(stored)
        return loaded

    assert len(benchmark(run)) == COUNT


def test_append(benchmark: BenchmarkFixture) -> None:
    def run() -> Columns:
        columns = Columns()
        for uid in range(1, 1001):
            columns.append(uid, 1, 0, 0, 0, 0, uid, uid, 1, 1, 0)
        return columns

    assert len(benchmark(run)) == 1000


def test_changed_100_of_100k(benchmark: BenchmarkFixture, columns: Columns) -> None:
    assert len(benchmark(columns.changed, COUNT, COUNT - 100, COUNT)) == 100


def test_with_flags(benchmark: BenchmarkFixture, columns: Columns) -> None:
    assert len(benchmark(columns.with_flags, COUNT, 0, 1, 0)) == COUNT // 2


def test_slots_by_uid_all(benchmark: BenchmarkFixture, thinned: Columns) -> None:
    assert len(benchmark(thinned.slots_by_uid, EVERYTHING, COUNT, COUNT)) == COUNT * 9 // 10


def test_slots_by_uid_one(benchmark: BenchmarkFixture, thinned: Columns) -> None:
    assert len(benchmark(thinned.slots_by_uid, [(77_777, 77_777)], COUNT, COUNT)) == 1


def test_slots_by_seq_all(benchmark: BenchmarkFixture, thinned: Columns) -> None:
    assert len(benchmark(thinned.slots_by_seq, EVERYTHING, COUNT, COUNT)) == COUNT * 9 // 10


def test_seqs_all(benchmark: BenchmarkFixture, thinned: Columns) -> None:
    slots = thinned.visible_slots(COUNT, COUNT)
    assert benchmark(thinned.seqs, slots, COUNT, COUNT)[-1] == COUNT * 9 // 10


def test_seq_of_one_among_10k_gone(benchmark: BenchmarkFixture, thinned: Columns) -> None:
    assert benchmark(thinned.seq, COUNT - 1, COUNT, COUNT) == COUNT * 9 // 10


def test_uid_ranges_of_scattered(benchmark: BenchmarkFixture, columns: Columns) -> None:
    assert len(benchmark(columns.uid_ranges, array("I", range(0, COUNT, 10)))) == COUNT // 10


def test_compact_a_tenth(benchmark: BenchmarkFixture) -> None:
    stored = rows()

    def setup() -> tuple[tuple[Columns], dict[str, object]]:
        columns = Columns()
        columns.load(stored)
        for slot in range(0, COUNT, 10):
            columns.set_gone(slot, COUNT)
        return (columns,), {}

    removed = benchmark.pedantic(  # type: ignore[no-untyped-call]  # theirs is not annotated
        lambda columns: columns.compact(COUNT), setup=setup, rounds=5
    )
    assert len(removed) == COUNT // 10
