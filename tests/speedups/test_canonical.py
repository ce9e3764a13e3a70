"""DKIM canonicalisation: compiled and plain hand out the same bytes, however the body is cut."""

import mmap
import tempfile
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import _speedups
from mox._speedups import canonical as compiled
from mox._speedups.reference import canonical as plain

BODY = b" C \r\nD \t E\r\n\r\n\r\n"  # RFC 6376 §3.4.5
pieces = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b"x", b"X", b":", b"\0", b"\xff"])
    | st.binary(max_size=4),
    max_size=30,
)


@pytest.fixture(params=["c", "py"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return compiled if request.param == "c" else plain


def canonical(module: ModuleType, relaxed: bool, parts: list[bytes]) -> bytes:
    out: list[bytes] = []
    body = module.BodyCanonicalizer(relaxed, out.append)
    for part in parts:
        body.feed(part)
    body.finish()
    return b"".join(out)


def test_the_door_gives_the_one_it_says() -> None:
    chosen = compiled if _speedups.IMPLEMENTATION == "cython" else plain
    assert _speedups.BodyCanonicalizer is chosen.BodyCanonicalizer
    assert _speedups.relax_header is chosen.relax_header


@given(pieces, st.booleans())
def test_a_body_is_the_twin(parts: list[bytes], relaxed: bool) -> None:
    expected = canonical(plain, relaxed, [b"".join(parts)])
    assert canonical(compiled, relaxed, parts) == expected
    assert canonical(compiled, relaxed, [b"".join(parts)]) == expected


@given(pieces)
def test_a_header_is_the_twin(parts: list[bytes]) -> None:
    field = b"".join(parts)
    assert compiled.relax_header(field) == plain.relax_header(field)


@given(pieces, st.booleans())
def test_the_canonical_form_is_its_own(parts: list[bytes], relaxed: bool) -> None:
    once = canonical(compiled, relaxed, parts)
    assert canonical(compiled, relaxed, [once]) == once


@pytest.mark.rfc("6376 §3.4.5")
def test_the_examples_of_the_rfc(module: ModuleType) -> None:
    assert canonical(module, True, [BODY]) == b" C\r\nD E\r\n"
    assert canonical(module, False, [BODY]) == b" C \r\nD \t E\r\n"
    assert module.relax_header(b"A: X\r\n") == b"a:X\r\n"
    assert module.relax_header(b"B : Y\t\r\n\tZ  \r\n") == b"b:Y Z\r\n"


@pytest.mark.rfc("6376 §3.4.3")
@pytest.mark.rfc("6376 §3.4.4")
@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n\r\n"])
def test_an_empty_body(module: ModuleType, body: bytes) -> None:
    assert canonical(module, False, [body]) == b"\r\n"
    assert canonical(module, True, [body]) == b""


@pytest.mark.parametrize("relaxed", [False, True])
def test_blocks_that_fill_up_lose_nothing(module: ModuleType, relaxed: bool) -> None:
    # more empty lines than a block holds, at every offset to its end
    for extra in range(4):
        body = b"a" * (16384 - 2 + extra) + b"\r\n" * 9000 + b"b  c" + b"\r\n" * 9000
        wanted = body.rstrip(b"\r\n") + b"\r\n"
        wanted = wanted.replace(b"  ", b" ") if relaxed else wanted
        assert canonical(module, relaxed, [body]) == wanted
        assert canonical(module, relaxed, [body[:20000], body[20000:], b"\r"]).endswith(b"\r\r\n")


@pytest.mark.parametrize("relaxed", [False, True])
def test_blocks_are_small_whatever_comes(relaxed: bool) -> None:
    sizes: list[int] = []
    body = compiled.BodyCanonicalizer(relaxed, lambda block: sizes.append(len(block)))
    body.feed(b"\r\n" * 1_000_000)
    assert sizes == []
    body.feed(b"x")
    body.finish()
    assert sum(sizes) == 2_000_003
    assert max(sizes) <= 16384


def test_any_buffer_is_taken(module: ModuleType) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(BODY)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            out: list[bytes] = []
            body = module.BodyCanonicalizer(True, out.append)
            body.feed(content)
            body.feed(memoryview(b"x"))
            body.feed(bytearray(b" y"))
            body.finish()
    assert b"".join(out) == b" C\r\nD E\r\n\r\n\r\nx y\r\n"


def test_after_the_end_nothing_is_taken(module: ModuleType) -> None:
    body = module.BodyCanonicalizer(False, lambda block: None)
    body.finish()
    with pytest.raises(ValueError, match="has ended"):
        body.feed(b"x")
    with pytest.raises(ValueError, match="has ended"):
        body.finish()


def test_an_error_of_the_callable_comes_through() -> None:
    def refuse(block: bytes) -> None:
        raise RuntimeError("no")

    body = compiled.BodyCanonicalizer(False, refuse)
    with pytest.raises(RuntimeError, match="no"):
        body.feed(b"x")
