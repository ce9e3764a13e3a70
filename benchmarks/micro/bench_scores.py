"""The strongest of the words of a 50 KB message."""

import random
from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import scores as compiled
from mox._speedups.reference import scores as plain

CHANCE = random.Random(1)
WORDS = [b"word%d" % number for number in range(3000)]
COUNTS = [(CHANCE.randint(0, 20), CHANCE.randint(0, 20)) for _ in WORDS]


@pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])
def test_strongest(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    ham, spam = benchmark(module.strongest, WORDS, COUNTS, 1000, 1000, 10, 0.01, 0.1, 2)
    assert len(ham) == len(spam) == 10
