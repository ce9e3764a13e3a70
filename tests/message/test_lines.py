"""Line ends: conversion across chunks, separator, strict lines."""

import io
import mmap
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import lines
from mox.message.lines import ToCRLF


def convert(*chunks: bytes) -> tuple[bytes, ToCRLF]:
    writer = ToCRLF()
    out = b"".join([writer.feed(chunk) for chunk in chunks])
    assert writer.size == len(out)
    return out, writer


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b"a\nb\n"], b"a\r\nb\r\n"),
        ([b"body\r", b"\n"], b"body\r\n"),
        ([b"body\r", b"", b"\nx"], b"body\r\nx"),
        ([b"body\r", b"\n\n"], b"body\r\n\r\n"),
        ([b"a\r\r\nb\r"], b"a\r\r\nb\r"),
        ([b"\n", b"\n"], b"\r\n\r\n"),
        ([], b""),
    ],
)
def test_conversion(chunks: list[bytes], expected: bytes) -> None:
    assert convert(*chunks)[0] == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\n\nb", True),
        (b"a\r\n\r\nb", True),
        (b"\r\nbody", True),
        (b"\nbody", True),
        (b"a\r\rb", False),
        (b"a\r\n", False),
        (b"a\r\n\r", False),
        (b"", False),
        (b"a\r\n \r\nb", False),
    ],
)
def test_separator(data: bytes, expected: bool) -> None:
    for size in (1, 2, 3, 100):
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        assert convert(*chunks)[1].has_separator is expected
    assert lines.has_separator(data) is expected


def test_8bit() -> None:
    assert not convert(b"plain")[1].has_8bit
    assert convert(b"a", "ä".encode(), b"b")[1].has_8bit


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"", b"\r\n\r\n", b"\n\n"]), max_size=12))
def test_chunks_do_not_matter(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    out, writer = convert(*chunks)
    expected, once = convert(whole)
    assert out == expected == lines.to_crlf(whole)
    assert writer.has_separator == once.has_separator == lines.has_separator(whole)
    assert lines.count_bare_lf(out) == 0
    assert len(out) == len(whole) + lines.count_bare_lf(whole)


def test_bare_lf_are_counted_in_a_map() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"a\nb\r\n\n")
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert lines.count_bare_lf(mapped) == 2
            assert not lines.has_separator(mapped) or b"\r\n\n" in mapped[:]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\nb", "bare LF"),
        (b"\n", "bare LF"),
        (b"a\rb", "bare CR"),
        (b"a\r", "bare CR"),
        (b"x" * 999, "line too long"),
        (b"ok\r\n" + b"x" * 999 + b"\r\n", "line too long"),
    ],
)
@pytest.mark.rfc("5322 §2.1.1, §2.3")
def test_strict_lines(data: bytes, said: str) -> None:
    with pytest.raises(lines.BadLine, match=said):
        lines.check_strict(data)


def test_good_lines_are_accepted() -> None:
    data = io.BytesIO(b"a\r\n\r\n" + b"x" * 998 + b"\r\n").getvalue()
    lines.check_strict(data)
    assert lines.to_crlf(data) is data
