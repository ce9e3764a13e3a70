"""The counts of the words of a 50 KB message, out of a table of many."""

import random
from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import wordtable as compiled
from mox._speedups.reference import wordtable as plain

CHANCE = random.Random(1)
KNOWN = [b"word%d" % number for number in range(400_000)]
ASKED = [bytes(bytearray(word)) for word in CHANCE.sample(KNOWN, 2800)]
ASKED += [b"other%d" % number for number in range(200)]
both = pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])


@both
def test_get(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    table = module.WordTable()
    table.put(KNOWN, [(number % 40, number % 50) for number in range(len(KNOWN))])
    assert benchmark(table.get, ASKED).count(None) == 200


@both
def test_put(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    table = module.WordTable()
    values = [(number % 40, number % 50) for number in range(len(KNOWN))]

    def once() -> int:
        table.put(KNOWN, values)
        return len(table)

    count = benchmark.pedantic(once, rounds=3)  # type: ignore[no-untyped-call]
    assert count == len(KNOWN)
