"""gzip and zip of strangers: in pieces, within a budget, or refused."""

import gzip
import io
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import GZIP_MEMBERS, MIB
from mox.message.archive import PIECE, BadArchive, Budget, TooLarge, gunzip, unzip
from mox.message.buffer import Buffer

Unpack = Callable[[Buffer, Budget], Iterator[bytes]]


def zipped(*files: bytes, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"{number}.xml", content)
        archive.comment = comment
    return out.getvalue()


def unpacked(unpack: Unpack, packed: Buffer, limit: int = MIB) -> bytes:
    pieces = list(unpack(packed, Budget(limit)))
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces)


@given(st.binary(max_size=300), st.integers(1, 2000))
def test_what_was_packed_comes_out(content: bytes, times: int) -> None:
    content *= times
    assert unpacked(gunzip, gzip.compress(content)) == content
    assert unpacked(unzip, zipped(content)) == content
    assert unpacked(unzip, zipped(content, method=zipfile.ZIP_STORED, comment=b"x")) == content


@pytest.mark.rfc("1952 §2.2")
def test_gzip_members_follow_each_other_and_rubbish_behind_them_is_ignored() -> None:
    packed = gzip.compress(b"a" * 100_000) + gzip.compress(b"") + gzip.compress(b"b")
    assert unpacked(gunzip, packed + b"\0" * 100) == b"a" * 100_000 + b"b"
    with pytest.raises(BadArchive, match="members"):
        unpacked(gunzip, gzip.compress(b"") * (GZIP_MEMBERS + 1))


def test_a_memoryview_can_be_unpacked() -> None:
    assert unpacked(gunzip, memoryview(gzip.compress(b"text"))) == b"text"


@pytest.mark.parametrize("unpack", [gunzip, unzip])
def test_the_budget_is_exact(unpack: Unpack) -> None:
    content = b"x" * 200_000
    packed = gzip.compress(content) if unpack is gunzip else zipped(content)
    budget = Budget(len(content))
    assert b"".join(unpack(packed, budget)) == content
    assert budget.left == 0
    with pytest.raises(TooLarge):
        unpacked(unpack, packed, len(content) - 1)


def test_one_budget_for_several_files() -> None:
    budget = Budget(150)
    assert b"".join(gunzip(gzip.compress(b"x" * 100), budget)) == b"x" * 100
    with pytest.raises(TooLarge):
        list(gunzip(gzip.compress(b"x" * 100), budget))


@pytest.mark.parametrize("unpack", [gunzip, unzip])
def test_a_bomb_takes_no_memory(unpack: Unpack) -> None:
    zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(zeros.compress(bytes(MIB)) for _ in range(200)) + zeros.flush()
    if unpack is unzip:
        packed = zipped(bytes(200 * MIB))
    assert len(packed) < MIB
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            for _ in unpack(packed, Budget(20 * MIB)):
                pass
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [0, 2, 3])
def test_a_zip_has_exactly_one_file(count: int) -> None:
    with pytest.raises(BadArchive, match="one file"):
        unpacked(unzip, zipped(*[b"x"] * count))


def test_a_directory_of_many_files_is_not_read() -> None:
    packed = zipped(*[b""] * 20_000)
    tracemalloc.start()
    try:
        with pytest.raises(BadArchive):
            unpacked(unzip, packed)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_an_encrypted_zip_is_refused() -> None:
    packed = bytearray(zipped(b"text"))
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(BadArchive, match="encrypted"):
        unpacked(unzip, bytes(packed))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(BadArchive, match="unknown method"):
        unpacked(unzip, zipped(b"text" * 100, method=zipfile.ZIP_BZIP2))


@pytest.mark.parametrize("unpack", [gunzip, unzip])
def test_damage_is_noticed(unpack: Unpack) -> None:
    packed = gzip.compress(b"text" * 50) if unpack is gunzip else zipped(b"text" * 50)
    for length in range(len(packed)):
        with pytest.raises(BadArchive):
            unpacked(unpack, packed[:length])
    for position in range(len(packed)):
        damaged = bytearray(packed)
        damaged[position] ^= 0x10
        try:
            found = unpacked(unpack, bytes(damaged))
        except BadArchive:
            continue
        assert found == b"text" * 50  # a name, a date, a comment: nothing that matters


def test_a_directory_that_points_outside_is_refused() -> None:
    packed = bytearray(zipped(b"text"))
    end = packed.index(b"PK\x05\x06")
    packed[end + 16 : end + 20] = (0xFFFFFFF0).to_bytes(4, "little")
    with pytest.raises(BadArchive, match="directory"):
        unpacked(unzip, bytes(packed))
