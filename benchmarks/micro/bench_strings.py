"""Strings of an address and of a field, as ENVELOPE holds them."""

from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import strings as compiled
from mox._speedups.reference import strings as plain

TEXTS = (b"Ada Lind", None, b"ada", b"example.com", b"Tue, 1 Jul 2025 10:00:00 +0000")
both = pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])


@both
def test_quote_strings(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    assert benchmark(module.quote_strings, TEXTS, False).startswith(b'"Ada Lind" NIL "ada"')
