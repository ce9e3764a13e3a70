"""Number sets of 10,000 ranges: what a long expunge history comes to."""

from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import modseq as compiled
from mox._speedups.reference import modseq as plain

COUNT = 10_000
LEFT = [(7 * i + 1, 7 * i + 3) for i in range(COUNT)]
RIGHT = [(7 * i + 2, 7 * i + 5) for i in range(COUNT)]
HISTORY = [[(i * 7919 % 70_000 + 1, i * 7919 % 70_000 + 3)] for i in range(COUNT)]
both = pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])


@both
def test_merge_history(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    assert benchmark(module.merge_ranges, HISTORY)


@both
def test_intersect(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    assert len(benchmark(module.intersect_ranges, LEFT, RIGHT)) == COUNT


@both
def test_subtract(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    assert len(benchmark(module.subtract_ranges, LEFT, RIGHT)) == COUNT


@both
def test_encode(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    assert len(benchmark(module.encode_ranges, LEFT)) == 2 * COUNT


@both
def test_decode(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    assert benchmark(module.decode_ranges, plain.encode_ranges(LEFT)) == LEFT


@both
def test_ranges_of(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    numbers = [n for n in range(1, 30_000) if n % 3]
    assert len(benchmark(module.ranges_of, numbers)) == COUNT
