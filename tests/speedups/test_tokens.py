"""The tokenizer: compiled and plain give the same tokens and the same errors."""

import subprocess
import sys
from array import array
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._speedups import IMPLEMENTATION, TokenError
from mox._speedups import tokenize as chosen
from mox._speedups.reference.tokens import tokenize as plain
from mox._speedups.tokens import tokenize as compiled

Tokenize: TypeAlias = Callable[[bytes, int, int, int, int], "tuple[bytes, array[int], int]"]


@pytest.fixture(params=["c", "py"])
def tokenize(request: pytest.FixtureRequest) -> Tokenize:
    return compiled if request.param == "c" else plain


def run(function: Tokenize, line: bytes, depth: int = 0, room: int = 100) -> object:
    try:
        return function(line, 7, depth, 5, room)
    except TokenError as e:
        return (e.offset, e.reason)


def pieces(tokenize: Tokenize, line: bytes) -> list[tuple[str, bytes]]:
    kinds, spans, _ = tokenize(line, 0, 0, 10, 1000)
    return [(chr(kind), line[spans[2 * at] : spans[2 * at + 1]]) for at, kind in enumerate(kinds)]


def test_the_door_gives_the_one_it_says() -> None:
    assert chosen is (compiled if IMPLEMENTATION == "cython" else plain)


def test_a_command_line(tokenize: Tokenize) -> None:
    line = rb'a FETCH 1:* (BODY[HEADER.FIELDS (To "x" "\\")]<0.5>) ~{12+}'
    assert pieces(tokenize, line) == [
        ("w", b"a"),
        (" ", b" "),
        ("w", b"FETCH"),
        (" ", b" "),
        ("w", b"1:*"),
        (" ", b" "),
        ("(", b"("),
        ("w", b"BODY[HEADER.FIELDS"),
        (" ", b" "),
        ("(", b"("),
        ("w", b"To"),
        (" ", b" "),
        ('"', b'"x"'),
        (" ", b" "),
        ("\\", rb'"\\"'),
        (")", b")"),
        ("w", b"]<0.5>"),
        (")", b")"),
        (" ", b" "),
        ("~", b"~{12+}"),
    ]


def test_positions_begin_at_the_base(tokenize: Tokenize) -> None:
    assert list(tokenize(b"ab c", 1000, 0, 1, 9)[1]) == [1000, 1002, 1002, 1003, 1003, 1004]


def test_a_tilde_belongs_to_a_literal_only_at_its_start(tokenize: Tokenize) -> None:
    assert pieces(tokenize, b"~{1}") == [("~", b"~{1}")]
    assert pieces(tokenize, b"x~{1}") == [("w", b"x~"), ("{", b"{1}")]
    assert pieces(tokenize, b"~x ~") == [("w", b"~x"), (" ", b" "), ("w", b"~")]


@pytest.mark.parametrize(
    ("line", "offset", "reason"),
    [
        (b"a  b", 2, "more than one space"),
        (b"a\0", 1, "line break or NUL"),
        (b"a\r", 1, "line break or NUL"),
        (b'"a\nb"', 2, "line break or NUL"),
        (b'x "ab', 2, "quoted string without end"),
        (b'"\\n"', 1, "bad escape in quoted string"),
        (b'"\\', 1, "bad escape in quoted string"),
        (b"{1} x", 0, "bad literal"),
        (b"{}", 0, "bad literal"),
        (b"{1", 0, "bad literal"),
        (b"{1++}", 0, "bad literal"),
        (b"{", 0, "bad literal"),
        (b"~{x}", 1, "bad literal"),
        (b"(((((((", 5, "lists nested too deep"),
        (b"())", 2, "closing parenthesis without an opening one"),
    ],
)
def test_errors_say_where(tokenize: Tokenize, line: bytes, offset: int, reason: str) -> None:
    assert run(tokenize, line) == (offset, reason)


def test_open_lists_are_counted_over_lines(tokenize: Tokenize) -> None:
    assert tokenize(b"(()", 0, 2, 5, 9)[2] == 3
    assert tokenize(b"))", 0, 2, 5, 9)[2] == 0
    assert run(tokenize, b"(", depth=5) == (0, "lists nested too deep")


def test_the_number_of_tokens_is_limited(tokenize: Tokenize) -> None:
    assert len(tokenize(b"a b c", 0, 0, 5, 5)[0]) == 5
    assert run(tokenize, b"a b c", room=4) == (4, "too many words")
    assert run(tokenize, b"a", room=0) == (0, "too many words")
    assert run(tokenize, b"a", room=-1) == (0, "too many words")
    assert tokenize(b"", 0, 0, 5, 0) == (b"", array("I"), 0)


def test_a_long_line_is_cut_like_a_short_one(tokenize: Tokenize) -> None:
    kinds, spans, _ = tokenize(b"ab " * 5000 + b"c", 0, 0, 5, 20_000)
    assert kinds == b"w " * 5000 + b"w"
    assert spans[-1] == 15_001


GRAMMAR_LIKE = st.lists(
    st.sampled_from(
        [
            b" ",
            b"(",
            b")",
            b'"',
            b'"a b"',
            b'"\\""',
            b"\\",
            b"{3}",
            b"{3+}",
            b"~{3}",
            b"~",
            b"FETCH",
        ]
        + [b"1:*", b"BODY[", b"]<0.1>", b"\xc3\xa9", b"\x7f", b"\0", b"\r", b"%", b"+", b"}"]
    ),
    max_size=20,
).map(b"".join)


@given(st.one_of(GRAMMAR_LIKE, st.binary(max_size=60)), st.integers(0, 6), st.integers(0, 12))
def test_both_are_the_same(line: bytes, depth: int, room: int) -> None:
    assert run(compiled, line, depth, room) == run(plain, line, depth, room)


LEAK_SCRIPT = """
import resource
from mox._speedups import TokenError
from mox._speedups.tokens import tokenize

def rounds(count):
    for _ in range(count):
        tokenize(b"ab " * 3000, 0, 0, 5, 10_000)
        try:
            tokenize(b"ab " * 3000 + b" ", 0, 0, 5, 10_000)
        except TokenError:
            pass

rounds(50)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rounds(1000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_nothing_leaks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAK_SCRIPT], capture_output=True, text=True, check=True
    )
    # One round makes 60 KB of tokens; KiB are counted.
    assert int(done.stdout) < 2048
