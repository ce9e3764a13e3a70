"""The door of the compiled modules: which implementation is behind it."""

import os
import subprocess
import sys

import pytest

import mox._speedups as door

ASK = """
import mox._speedups as door
names = ("tokenize", "scan_header", "format_fetch", "run_program", "merge_ranges", "add_words", "relax_header", "live_slots",
         "strongest", "WordTable", "quote_strings")
print(door.IMPLEMENTATION, *(getattr(door, name).__module__ for name in names))
"""


@pytest.mark.parametrize(
    ("pure", "expected"),
    [
        (
            "",
            "cython {0}tokens {0}headers {0}fetchlines {0}search {0}modseq {0}words {0}canonical"
            " {0}bulk {0}scores {0}wordtable {0}strings",
        ),
        (
            "1",
            "python {1}tokens {1}headers {1}fetchlines {1}search {1}modseq {1}words {1}canonical"
            " {1}bulk {1}scores {1}wordtable {1}strings",
        ),
    ],
)
def test_variable_chooses_the_implementation(pure: str, expected: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "MOX_PURE_PYTHON": pure},
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = expected.format("mox._speedups.", "mox._speedups.reference.")
    assert answer.stdout.strip() == wanted


def test_every_exported_name_exists() -> None:
    assert [name for name in door.__all__ if not hasattr(door, name)] == []
