"""Transfer decoding in chunks gives what decoding the whole gives."""

import base64
import quopri
from mmap import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import MESSAGE_IN_MEMORY
from mox.imapserver import decoding
from mox.message import lines, transfer

_NOISE = st.lists(
    st.sampled_from(
        [b"a", b"=", b"=\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b"=3D", b"=E4", b"Zm9v"]
    )
).map(b"".join)


def _joined(content: bytes, encoding: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(decoding, "CHUNK", chunk)
    return b"".join(decoding.decoded_chunks(content, 0, len(content), encoding))


@given(data=st.binary(max_size=200), chunk=st.integers(4, 40), width=st.integers(1, 80))
def test_base64_in_chunks(data: bytes, chunk: int, width: int) -> None:
    encoded = base64.b64encode(data)
    folded = b"\r\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert _joined(folded, b"BASE64", chunk, monkeypatch) == data


@given(noise=_NOISE, chunk=st.integers(4, 40))
def test_damaged_base64_in_chunks(noise: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        whole = transfer.decode(noise, b"BASE64")
        assert _joined(noise, b"BASE64", chunk, monkeypatch) == whole


@given(data=st.binary(max_size=200), chunk=st.integers(16, 90))
def test_quoted_printable_in_chunks(data: bytes, chunk: int) -> None:
    encoded = quopri.encodestring(data)
    with pytest.MonkeyPatch.context() as monkeypatch:
        whole = transfer.decode(encoded, b"QUOTED-PRINTABLE")
        assert _joined(encoded, b"QUOTED-PRINTABLE", chunk, monkeypatch) == whole


@pytest.mark.parametrize("unit", [b"=41", b"x", b"=", b" ", b"a "])
def test_quoted_printable_without_lines_is_cut_between_characters(
    unit: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = unit * 5000 + b"end"
    whole = transfer.decode(content, b"QUOTED-PRINTABLE")
    assert _joined(content, b"QUOTED-PRINTABLE", 4096, monkeypatch) == whole


@given(data=_NOISE, chunk=st.integers(1, 7))
def test_line_ends_in_chunks(data: bytes, chunk: int) -> None:
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    assert b"".join(decoding.with_crlf(pieces)) == lines.to_crlf(data)


def test_gather_keeps_small_things_in_memory_and_large_ones_in_a_file(tmp_path: Path) -> None:
    assert decoding.gather([b"a", b"b"], tmp_path) == b"ab"
    piece = b"x" * 300_000
    large = decoding.gather([piece] * 5, tmp_path)
    assert isinstance(large, mmap)
    assert len(large) == 1_500_000 > MESSAGE_IN_MEMORY
    assert large[:10] == b"x" * 10
    assert list(tmp_path.iterdir()) == []  # the file has no name
