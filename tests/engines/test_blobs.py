"""One suite for every blob store, and what only packs do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.store.blobs import packs
from mox.store.blobs.base import Blobs, Body
from mox.store.blobs.memory import MemoryBlobs
from mox.store.blobs.packs import HEADER, PackBlobs
from mox.store.content import Spool
from mox.store.errors import DataDamaged, DiskFull


@pytest.fixture(params=["memory", "packs"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    made: Blobs = MemoryBlobs() if request.param == "memory" else PackBlobs(tmp_path)
    yield made
    made.close()


def spooled(folder: Path, content: bytes) -> Body:
    spool = Spool(folder, in_memory=0)
    spool.write(content)
    return Body(account=1, file=9, content=spool.finish())


def test_contents_come_back(blobs: Blobs, tmp_path: Path) -> None:
    bodies = [
        Body(account=1, file=7, content=b"seven"),
        spooled(tmp_path, b"large content"),
        Body(account=2, file=7, content=b""),
        Body(account=2, file=8, content=b"eight"),
    ]
    places = blobs.put_group(bodies)
    assert [place.length for place in places] == [5, 13, 0, 5]
    assert blobs.read(1, 7, places[0], 0, 5) == b"seven"
    assert blobs.read(1, 9, places[1], 0, 100) == b"large content"
    assert blobs.read(1, 9, places[1], 6, 9) == b"con"
    assert blobs.read(2, 7, places[2], 0, 10) == b""
    assert blobs.read(2, 8, places[3], 1, 3) == b"ig"
    assert blobs.read(2, 8, places[3], 5, 9) == b""


def test_an_erased_large_content_is_gone(tmp_path: Path) -> None:
    blobs = PackBlobs(tmp_path)
    [place] = blobs.put_group([spooled(tmp_path, b"large content")])
    path = blobs.path(1, 9, place)
    assert path is not None
    assert path.read_bytes() == b"large content"
    blobs.erase(1, 9, place)
    assert not path.exists()
    assert not list(tmp_path.glob("spool-*"))


def test_packs_roll_and_a_new_run_begins_a_new_pack(tmp_path: Path) -> None:
    blobs = PackBlobs(tmp_path, pack_size=50)
    places = [blobs.put_group([Body(account=1, file=n, content=b"x" * 30)])[0] for n in range(4)]
    blobs.close()
    assert [place.pack for place in places] == [1, 2, 3, 4] or [p.pack for p in places] == [
        1,
        1,
        2,
        2,
    ]
    again = PackBlobs(tmp_path, pack_size=50)
    later = again.put_group([Body(account=1, file=9, content=b"y")])[0]
    assert later.pack == places[-1].pack + 1
    for number, place in enumerate(places):
        assert again.read(1, number, place, 0, 30) == b"x" * 30
    again.drop_pack(places[0].pack)
    assert places[0].pack not in again.packs()
    again.close()


def test_damage_is_noticed(tmp_path: Path) -> None:
    blobs = PackBlobs(tmp_path)
    [place] = blobs.put_group([Body(account=1, file=1, content=b"precious")])
    with (tmp_path / "packs" / "00000001.pack").open("r+b") as pack:
        pack.seek(HEADER.size)
        pack.write(b"P")
    with pytest.raises(DataDamaged):
        blobs.read(1, 1, place, 0, 8)
    os.truncate(tmp_path / "packs" / "00000001.pack", HEADER.size + 4)
    with pytest.raises(DataDamaged):
        blobs.read(1, 1, place, 0, 8)
    blobs.close()


def test_bodies_stop_before_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = PackBlobs(tmp_path)
    monkeypatch.setattr(packs, "DISK_FREE_MIN", 1 << 62)
    with pytest.raises(DiskFull):
        blobs.put_group([Body(account=1, file=1, content=b"x")])
    blobs.close()


def test_after_a_failed_sync_the_next_group_has_a_new_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = PackBlobs(tmp_path)

    def failing(fd: int) -> None:
        raise OSError("broken disk")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(OSError, match="broken disk"):
            blobs.put_group([Body(account=1, file=1, content=b"lost")])
    [place] = blobs.put_group([Body(account=1, file=2, content=b"kept")])
    assert place.pack == 2
    assert blobs.read(1, 2, place, 0, 4) == b"kept"
    blobs.close()


def test_after_a_failed_roll_places_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = PackBlobs(tmp_path, pack_size=50)
    blobs.put_group([Body(account=1, file=1, content=b"x" * 20)])

    def failing(_: object) -> None:
        raise OSError("broken disk")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(OSError, match="broken disk"):
            blobs.put_group([Body(account=1, file=2, content=b"lost")])
    with monkeypatch.context() as patch:
        patch.setattr(packs, "sync_folder", failing)
        with pytest.raises(OSError, match="broken disk"):
            blobs.put_group([Body(account=1, file=3, content=b"lost")])
    [place] = blobs.put_group([Body(account=1, file=4, content=b"kept")])
    assert blobs.read(1, 4, place, 0, 4) == b"kept"
    blobs.close()
