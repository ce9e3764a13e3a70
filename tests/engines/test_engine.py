"""One suite for every engine."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.store.engine import rocks
from mox.store.engine.base import Batch, Engine, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import DataLocked, DataUnreadable
from mox.store.layout.packed import Packed


@pytest.fixture(params=["memory", "rocks"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made: Engine = MemoryEngine() if request.param == "memory" else RocksEngine(tmp_path / "db")
    yield made
    made.close()


def put(engine: Engine, family: Family, **values: bytes) -> None:
    batch = Batch()
    for key, value in values.items():
        batch.put(family, key.encode(), value)
    engine.write(batch)


def test_families_are_apart(engine: Engine) -> None:
    put(engine, Family.ROW, a=b"1")
    put(engine, Family.LOG, a=b"2")
    assert engine.get(Family.ROW, b"a") == b"1"
    assert engine.get(Family.LOG, b"a") == b"2"
    assert engine.get(Family.META, b"a") is None


def test_multi_get_keeps_the_order_and_shows_what_is_missing(engine: Engine) -> None:
    put(engine, Family.CACHE, a=b"1", b=b"", c=b"3")
    assert engine.multi_get(Family.CACHE, [b"c", b"x", b"b", b"a"]) == [b"3", None, b"", b"1"]
    assert engine.multi_get(Family.CACHE, []) == []


def test_scan_is_half_open_in_both_directions(engine: Engine) -> None:
    put(engine, Family.ROW, a=b"1", b=b"2", c=b"3", d=b"4")
    assert [key for key, _ in engine.scan(Family.ROW, b"b", b"d")] == [b"b", b"c"]
    assert [key for key, _ in engine.scan(Family.ROW, b"b", b"d", reverse=True)] == [b"c", b"b"]
    assert list(engine.scan(Family.ROW, b"x", b"z")) == []
    assert list(engine.scan(Family.ROW, b"e", b"z", reverse=True)) == []


def test_scan_sees_what_was_there_when_it_began(engine: Engine) -> None:
    put(engine, Family.ROW, a=b"1", b=b"2")
    scan = engine.scan(Family.ROW, b"a", b"z")
    put(engine, Family.ROW, b=b"changed", c=b"3")
    assert list(scan) == [(b"a", b"1"), (b"b", b"2")]


def test_short_ranges_of_one_look(engine: Engine) -> None:
    put(engine, Family.ROW, a=b"1", b=b"2", c=b"3", d=b"4", z=b"5")
    put(engine, Family.LOG, b=b"other")
    ranges = engine.ranges(Family.ROW, b"y")
    assert ranges.first(b"b", b"d", 9) == [(b"b", b"2"), (b"c", b"3")]
    assert ranges.first(b"a", b"d", 2) == [(b"a", b"1"), (b"b", b"2")]
    assert ranges.first(b"bb", b"c", 9) == []
    assert ranges.first(b"c", b"z", 9) == [(b"c", b"3"), (b"d", b"4")]
    assert ranges.first(b"e", b"y", 9) == []
    assert ranges.first(b"a", b"e", 0) == []
    del ranges


@pytest.mark.parametrize("live", [0, 1, 3, 5])
def test_ranges_with_many_deleted_keys_are_whole(engine: Engine, live: int) -> None:
    """Behind and between what is left: an iterator that gives up is not the end of the range."""
    every = [b"k%04d" % number for number in range(2000)]
    batch = Batch()
    batch.put_all(Family.ROW, [*every, b"z"], [b""] * (len(every) + 1))
    engine.write(batch)
    kept = every[100 : 100 + live * 350 : 350]
    batch = Batch()
    batch.delete_all(Family.ROW, [key for key in every if key not in kept])
    engine.write(batch)
    ranges = engine.ranges(Family.ROW, b"zz")
    assert [key for key, _ in ranges.first(b"k", b"l", 4)] == kept[:4]
    assert [key for key, _ in ranges.first(b"k1900", b"l", 4)] == []
    assert [key for key, _ in ranges.first(b"l", b"zz", 4)] == [b"z"]
    del ranges


def test_many_keys_at_once(engine: Engine) -> None:
    put(engine, Family.ROW, a=b"1", b=b"2")
    batch = Batch()
    batch.put(Family.META, b"m", b"0")
    batch.put_all(Family.ROW, [b"c", b"a"], [b"3", b"4"])
    batch.put_all(Family.IDX, [b"x"], [b""])
    batch.put_all(Family.LOC, Packed(b"k1k2k3", 2), Packed(b"onetwo333", 3))
    batch.delete_all(Family.ROW, Packed(b"bd", 1))
    assert len(batch) == 9
    engine.write(batch)
    assert list(engine.scan(Family.ROW, b"a", b"z")) == [(b"a", b"4"), (b"c", b"3")]
    assert engine.get(Family.IDX, b"x") == b""
    found = list(engine.scan(Family.LOC, b"k", b"l"))
    assert found == [(b"k1", b"one"), (b"k2", b"two"), (b"k3", b"333")]
    assert engine.get(Family.META, b"m") == b"0"


def test_delete_and_delete_range(engine: Engine) -> None:
    put(engine, Family.ROW, a=b"1", b=b"2", c=b"3", d=b"4", e=b"5")
    batch = Batch()
    batch.delete(Family.ROW, b"a")
    batch.delete(Family.ROW, b"missing")
    batch.delete_range(Family.ROW, b"c", b"e")
    engine.write(batch)
    assert [key for key, _ in engine.scan(Family.ROW, b"a", b"z")] == [b"b", b"e"]


def test_later_operations_of_a_batch_win(engine: Engine) -> None:
    batch = Batch()
    batch.put(Family.ROW, b"a", b"1")
    batch.delete_range(Family.ROW, b"a", b"b")
    batch.put(Family.ROW, b"a", b"2")
    engine.write(batch)
    assert engine.get(Family.ROW, b"a") == b"2"


keys = st.binary(min_size=1, max_size=3)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.binary(max_size=4)),
        st.tuples(st.just("delete"), keys, st.just(b"")),
        st.tuples(st.just("range"), keys, keys),
    ),
    max_size=30,
)


@given(batches=st.lists(operations, max_size=5), start=keys, end=keys)
def test_rocks_equals_memory(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[str, bytes, bytes]]],
    start: bytes,
    end: bytes,
) -> None:
    memory, rocks = MemoryEngine(), RocksEngine(tmp_path_factory.mktemp("rocks") / "db")
    try:
        for operations in batches:
            batch = Batch()
            for what, key, value in operations:
                if what == "put":
                    batch.put(Family.ROW, key, value)
                elif what == "delete":
                    batch.delete(Family.ROW, key)
                elif key < value:
                    batch.delete_range(Family.ROW, key, value)
            memory.write(batch)
            rocks.write(batch)
        everything = (Family.ROW, b"\x00", b"\xff" * 5)
        assert list(memory.scan(*everything)) == list(rocks.scan(*everything))
        if start < end:
            for reverse in (False, True):
                scanned = memory.scan(Family.ROW, start, end, reverse=reverse)
                assert list(scanned) == list(rocks.scan(Family.ROW, start, end, reverse=reverse))
    finally:
        rocks.close()


def test_rocks_keeps_its_content_and_releases_its_lock(tmp_path: Path) -> None:
    engine = RocksEngine(tmp_path / "db")
    put(engine, Family.META, a=b"1")
    engine.sync()
    with pytest.raises(DataLocked, match="in use by another process"):
        RocksEngine(tmp_path / "db")
    engine.close()
    again = RocksEngine(tmp_path / "db")
    assert again.get(Family.META, b"a") == b"1"
    again.close()


def test_rocks_checkpoint_is_a_whole_copy(tmp_path: Path) -> None:
    engine = RocksEngine(tmp_path / "db")
    put(engine, Family.META, a=b"1")
    engine.checkpoint(tmp_path / "copy")
    put(engine, Family.META, a=b"2")
    engine.close()
    copy = RocksEngine(tmp_path / "copy")
    assert copy.get(Family.META, b"a") == b"1"
    copy.close()


def test_rocks_says_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("not a folder")
    with pytest.raises(DataUnreadable, match=r"cannot be opened"):
        RocksEngine(tmp_path / "db")


def blobs_of(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.blob")}


def filled_with_blobs(folder: Path) -> tuple[RocksEngine, dict[bytes, bytes]]:
    """Three thousand values, two of three deleted again; those that are left."""
    engine = RocksEngine(folder)
    random = Random(1)
    values = {b"%04d" % number: random.randbytes(1000) for number in range(3000)}
    batch, removal = Batch(), Batch()
    batch.put_all(Family.BODY, list(values), list(values.values()))
    engine.write(batch)
    engine.give_back(Family.BODY)
    for number, key in enumerate(list(values)):
        if number % 3:
            removal.delete(Family.BODY, key)
            del values[key]
    engine.write(removal)
    return engine, values


def test_rocks_gives_the_space_of_dead_blobs_back(tmp_path: Path) -> None:
    engine, left = filled_with_blobs(tmp_path / "db")
    before = blobs_of(tmp_path / "db")
    assert sum((tmp_path / "db" / name).stat().st_size for name in before) > 3_000_000
    engine.give_back(Family.BODY)
    after = blobs_of(tmp_path / "db")
    assert not before & after
    assert sum((tmp_path / "db" / name).stat().st_size for name in after) < 1_100_000
    assert dict(engine.scan(Family.BODY, b"0", b"9")) == left
    # Nothing is dead now: what lives is not moved for nothing.
    engine.give_back(Family.BODY)
    assert blobs_of(tmp_path / "db") == after
    engine.checkpoint(tmp_path / "copy")
    engine.close()
    copy = RocksEngine(tmp_path / "copy")
    assert copy.multi_get(Family.BODY, list(left)) == list(left.values())
    copy.close()


def test_rocks_moves_no_blobs_without_room_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, left = filled_with_blobs(tmp_path / "db")
    before = blobs_of(tmp_path / "db")
    monkeypatch.setattr(rocks, "DISK_FREE_MIN", 1 << 62)
    engine.give_back(Family.BODY)
    assert blobs_of(tmp_path / "db") == before
    batch = Batch()
    batch.delete_range(Family.BODY, b"0", b"9")
    engine.write(batch)
    engine.give_back(Family.BODY)  # for files that are dead as a whole it needs none
    assert blobs_of(tmp_path / "db") == set()
    assert left
    engine.close()


def test_memory_gives_back_at_once() -> None:
    engine = MemoryEngine()
    put(engine, Family.BODY, a=b"1")
    engine.give_back(Family.BODY)
    assert engine.get(Family.BODY, b"a") == b"1"
