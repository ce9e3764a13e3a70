"""Search programs over 100,000 messages."""

from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import Columns, Instruction
from mox._speedups import search as compiled
from mox._speedups.reference import search as plain

COUNT = 100_000
PROGRAMS: dict[str, list[Instruction]] = {
    "unseen": [("flags", 1, 0)],
    "flags-date-size": [
        ("flags", 1, 0),
        ("received_from", COUNT // 2 * 1000, True),
        ("and",),
        ("larger", COUNT // 4),
        ("and",),
    ],
    "uid-or-seq": [("uid", [(1, 50), (500, 70_000)]), ("seq", [(9, 9), (90_000, 95_000)]), ("or",)],
}


@pytest.fixture(scope="module")
def columns() -> Columns:
    made = Columns()
    for uid in range(1, COUNT + 1):
        made.append(uid, uid, uid % 32, 60, uid * 1000, 0, uid, uid, 1, 1, uid % 4)
    return made


@pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_run_program(
    benchmark: BenchmarkFixture, columns: Columns, module: ModuleType, name: str
) -> None:
    program = module.compile_program(PROGRAMS[name])
    found = benchmark(module.run_program, columns, program, COUNT, 0, 0, COUNT)
    assert 0 < found.count(1) < COUNT
