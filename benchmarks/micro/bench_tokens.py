"""The tokenizer on command lines as clients send them."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups.reference.tokens import tokenize as plain
from mox._speedups.tokens import tokenize as compiled

LINES = {
    "noop": b"a17 NOOP",
    "fetch": b"a18 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)",
    "headers": b"a19 FETCH 1:50 (UID BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT TO MESSAGE-ID)])",
    "search": b'a20 SEARCH RETURN (ALL) OR (FROM "a b" SINCE 1-Jan-2024) NOT (SEEN KEYWORD $Junk)',
    "known-uids": b"a21 SELECT x (QRESYNC (1 2 "
    + b",".join(b"%d" % n for n in range(1, 20_000, 2))
    + b"))",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
@pytest.mark.parametrize("tokenize", [compiled, plain], ids=["c", "py"])
def test_tokenize(benchmark: BenchmarkFixture, tokenize: Callable[..., Any], line: bytes) -> None:
    kinds, _, depth = benchmark(tokenize, line, 0, 0, 50, 200_000)
    assert depth == 0
    assert kinds.startswith(b"w w")
