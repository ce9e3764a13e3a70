"""Strings of IMAP responses: compiled and plain make the same of every text."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import _speedups
from mox._speedups import strings as compiled
from mox._speedups.reference import strings as plain

_texts = st.lists(
    st.sampled_from([b"\0", b"\r", b"\n", b'"', b"\\", b" ", b"x", b"\xc3", b"\xa4", b"\x7f"])
    | st.binary(max_size=4),
    max_size=8,
).map(b"".join)


@pytest.fixture(params=["c", "py"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return compiled if request.param == "c" else plain


def test_the_door_gives_the_one_it_says() -> None:
    chosen = compiled if _speedups.IMPLEMENTATION == "cython" else plain
    assert _speedups.quote_strings is chosen.quote_strings
    assert _speedups.QUOTED_MAX == compiled.QUOTED_MAX == plain.QUOTED_MAX


@given(st.lists(st.none() | _texts, max_size=5).map(tuple), st.booleans())
def test_quote_strings_is_the_twin(texts: tuple[bytes | None, ...], utf8: bool) -> None:
    assert compiled.quote_strings(texts, utf8) == plain.quote_strings(texts, utf8)


@pytest.mark.parametrize("size", [4095, 4096, 4097])
@pytest.mark.parametrize("text", [b"x", b'"', b"\0", b"\xc3\xa4"])
def test_the_limit_is_the_same(size: int, text: bytes) -> None:
    for texts in ((text * size,), (b"x" * (size - len(text)) + text,)):
        for utf8 in (False, True):
            assert compiled.quote_strings(texts, utf8) == plain.quote_strings(texts, utf8)


@pytest.mark.rfc("9051 §9")
def test_what_a_string_is(module: ModuleType) -> None:
    texts = (b"a b", None, b"", b'x"y\\z', b"a\nb", b"\0a\0", "ä".encode(), b"\xe4")
    assert module.quote_strings(texts, False) == (
        b'"a b" NIL "" "x\\"y\\\\z" {3}\r\na\nb "a" {2}\r\n\xc3\xa4 {1}\r\n\xe4'
    )
    assert module.quote_strings(texts, True) == (
        b'"a b" NIL "" "x\\"y\\\\z" {3}\r\na\nb "a" "\xc3\xa4" {1}\r\n\xe4'
    )
    assert module.quote_strings((), False) == b""
    assert module.quote_strings((b"x" * 4097,), False) == b"{4097}\r\n" + b"x" * 4097


def test_what_is_no_text_is_refused() -> None:
    every: tuple[Any, ...] = (("x",), (1,), [b"x"])
    for texts in every:
        with pytest.raises(TypeError):
            compiled.quote_strings(texts, False)
