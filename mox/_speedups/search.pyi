from collections.abc import Mapping
from typing import Self, final

from mox._speedups.columns import Columns
from mox._speedups.program import Instruction

@final
class Program:
    def __new__(cls, postfix: list[Instruction]) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def leaves(self) -> tuple[int, ...]: ...

def compile_program(postfix: list[Instruction]) -> Program: ...
def run_program(
    columns: Columns, program: Program, limit: int, told: int, start: int, stop: int
) -> bytes: ...
def evaluate_with(
    columns: Columns,
    program: Program,
    slot: int,
    limit: int,
    told: int,
    leaf_results: Mapping[int, bool],
) -> int: ...
