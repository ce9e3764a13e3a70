"""What one command does to all of 100,000 messages."""

from array import array
from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import Columns
from mox._speedups import bulk as compiled
from mox._speedups.reference import bulk as plain

COUNT = 100_000
ALL_FLAGS = 2**32 - 1
EVERY = array("I", range(COUNT))
both = pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])


@pytest.fixture
def columns() -> Columns:
    made = Columns()
    for uid in range(1, COUNT + 1):
        made.append(uid, uid, uid % 32, 60, uid, 0, uid, uid, 1, uid, uid % 4)
    return made


@both
def test_flags_of_all(benchmark: BenchmarkFixture, module: ModuleType, columns: Columns) -> None:
    def run() -> None:
        module.set_flags_of(columns, EVERY, -1, 1, -1, 4, COUNT + 1)

    benchmark(run)
    assert not module.flag_changes(columns, EVERY, -1, 1, -1, 4)


@both
def test_flag_changes(benchmark: BenchmarkFixture, module: ModuleType, columns: Columns) -> None:
    assert len(benchmark(module.flag_changes, columns, EVERY, -1, 1, -1, 0)) == COUNT // 2


@both
def test_copies_of_all(benchmark: BenchmarkFixture, module: ModuleType, columns: Columns) -> None:
    def run() -> Columns:
        copies, there = Columns(), array("I", [1, 0])
        module.append_copies(copies, columns, EVERY, 1, 0, COUNT + 1, ALL_FLAGS, 0, there)
        return copies

    assert len(benchmark(run)) == COUNT


@both
def test_sets_of_slots(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    half, third = EVERY[::2], EVERY[::3]

    def run() -> int:
        either = module.slots_in_either(half, third)
        return len(module.slots_without(either, module.slots_in_both(half, third)))

    assert benchmark(run) == 50_000


@both
def test_rows_of_all(benchmark: BenchmarkFixture, module: ModuleType, columns: Columns) -> None:
    assert len(benchmark(module.pack_rows, columns, EVERY)) == COUNT * 72


@both
def test_keys_of_all(benchmark: BenchmarkFixture, module: ModuleType, columns: Columns) -> None:
    files, uids = module.files_of(columns, EVERY), columns.uids(EVERY)
    packed = benchmark(module.pack_references, b"12345", files, b"12345678", uids)
    assert len(packed) == COUNT * 25


@both
def test_expunge_every_other(
    benchmark: BenchmarkFixture, module: ModuleType, columns: Columns
) -> None:
    half = EVERY[::2]

    def run() -> None:
        # Undone by loading: the rows do not know of expunges.
        module.expunge_slots(columns, module.live_slots(columns, half), COUNT + 1)

    benchmark.pedantic(run, rounds=1)  # type: ignore[no-untyped-call]  # theirs is not annotated
    assert columns.gone_count == COUNT // 2
