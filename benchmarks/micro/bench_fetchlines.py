"""FETCH lines of 100,000 messages, in slices of 64 KiB as the server asks for them."""

from array import array
from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import (
    FETCH_FLAGS,
    FETCH_INTERNALDATE,
    FETCH_MODSEQ,
    FETCH_SIZE,
    FETCH_UID,
    Columns,
)
from mox._speedups import fetchlines as compiled
from mox._speedups.reference import fetchlines as plain

COUNT = 100_000
SLICE = 65_536
NAMES = [b"$work", b"$later"]
both = pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])


@pytest.fixture(scope="module")
def columns() -> Columns:
    made = Columns()
    for uid in range(1, COUNT + 1):
        made.append(uid, 3 * uid, uid % 32, 60, uid * 10_000_000, 0, uid, uid, 1, 1, uid % 4)
    return made


@both
@pytest.mark.parametrize(
    "items",
    [
        FETCH_UID | FETCH_FLAGS,
        FETCH_UID | FETCH_FLAGS | FETCH_MODSEQ,
        FETCH_UID | FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE,
    ],
    ids=["uid-flags", "uid-flags-modseq", "fast"],
)
def test_format_fetch(
    benchmark: BenchmarkFixture, columns: Columns, module: ModuleType, items: int
) -> None:
    slots, seqs = array("I", range(COUNT)), array("I", range(1, COUNT + 1))

    def run() -> int:
        total = index = 0
        while index < COUNT:
            data, index = module.format_fetch(columns, slots, seqs, items, NAMES, index, SLICE)
            total += len(data)
        return total

    assert benchmark(run) > 20 * COUNT


@both
def test_format_items(benchmark: BenchmarkFixture, columns: Columns, module: ModuleType) -> None:
    line = benchmark(module.format_items, columns, 5, 6, FETCH_UID | FETCH_FLAGS, NAMES)
    assert line.startswith(b"* 6 FETCH (UID 6")
