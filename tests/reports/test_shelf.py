"""Received reports on their shelf: found, told apart, and gone in time."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from mox.base.clock import FrozenClock
from mox.base.limits import RECEIVED_LIST_SLICE
from mox.reports import keys
from mox.reports.shelf import PIECE, Head, Kept, Shelf, Totals
from mox.reports.verify import verify_reports
from mox.store.engine.base import Batch, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.errors import DataDamaged, StoreStopped
from mox.store.serverdata import ServerData, memory_server_data, open_server_data

NOW_MS = 1_795_910_400_000
DAY_MS = 86_400_000


class Numbers(msgspec.Struct, frozen=True):
    count: int = 0


KIND = b"X"  # of nobody: what is in it need be no report
NumbersHead = Head[Numbers]


def head(
    report_id: str = "1",
    *,
    domains: tuple[str, ...] = ("example.org",),
    sender: str = "mail.example",
    organization: str = "Mail",
    at_ms: int = NOW_MS,
) -> NumbersHead:
    return Head(
        received_ms=at_ms,
        domains=domains,
        from_domain=sender,
        organization=organization,
        report_id=report_id,
        begin_s=1,
        end_s=2,
        summary=Numbers(3),
    )


@pytest.fixture
async def shelf(data: ServerData) -> Shelf[Numbers]:
    made = Shelf(data, KIND, NumbersHead)
    await made.open()
    return made


async def numbers(found: AsyncIterator[tuple[int, NumbersHead]]) -> list[int]:
    return [number async for number, _ in found]


async def test_a_report_comes_back(shelf: Shelf[Numbers]) -> None:
    small, large = b"text", secrets.token_bytes(10 * PIECE + 1)
    assert await shelf.keep(head("1"), small) is Kept.STORED
    assert await shelf.keep(head("2"), large) is Kept.STORED
    for number, content in ((1, small), (2, large)):
        found = await shelf.read(number)
        assert found is not None
        assert found[0].report_id == str(number)
        assert found[0].summary == Numbers(3)
        assert found[1] == content
    assert await shelf.read(3) is None
    assert shelf.totals.count == 2


@pytest.mark.rfc("7489 §7.2.1.1")
async def test_duplicates(shelf: Shelf[Numbers]) -> None:
    assert await shelf.keep(head(), b"a") is Kept.STORED
    assert await shelf.keep(head(at_ms=NOW_MS + DAY_MS), b"b") is Kept.DUPLICATE
    # Another sender may not take the name of a report that is still to come.
    assert await shelf.keep(head(sender="evil.example"), b"c") is Kept.STORED
    assert await shelf.keep(head(organization="Other"), b"d") is Kept.STORED
    assert await shelf.keep(head("2"), b"e") is Kept.STORED
    assert await numbers(shelf.heads()) == [4, 3, 2, 1]


async def test_lists(shelf: Shelf[Numbers], clock: FrozenClock) -> None:
    count = RECEIVED_LIST_SLICE * 2 + 5
    for number in range(1, count + 1):
        domains = ("a.example",) if number % 2 else ("a.example", "b.a.example")
        sender = f"s{number}.example"
        at_ms = NOW_MS + number * 1000
        await shelf.keep(head(domains=domains, sender=sender, at_ms=at_ms), b"")
    every = list(range(count, 0, -1))
    assert await numbers(shelf.heads()) == every
    assert await numbers(shelf.heads(domain="a.example")) == every
    even = [number for number in every if number % 2 == 0]
    assert await numbers(shelf.heads(domain="b.a.example")) == even
    assert await numbers(shelf.heads(domain="example")) == []
    assert await numbers(shelf.heads(since_ms=NOW_MS + 398_000)) == [*range(count, 397, -1)]
    late = NOW_MS + (count - 1) * 1000
    assert await numbers(shelf.heads(domain="b.a.example", since_ms=late)) == [count - 1]


async def test_a_list_goes_on_while_reports_are_removed(data: ServerData) -> None:
    shelf = Shelf(data, KIND, NumbersHead, keep_bytes=10_000_000)
    await shelf.open()
    count = RECEIVED_LIST_SLICE + 50
    for number in range(count):
        await shelf.keep(head(sender=f"s{number}.example"), b"")
    found = shelf.heads(domain="example.org")
    first = await anext(found)
    assert first[0] == count
    emptied = Shelf(data, KIND, NumbersHead, keep_bytes=0)
    await emptied.open()
    assert await emptied.tidy() == count
    assert len(await numbers(found)) == RECEIVED_LIST_SLICE - 1


async def test_a_sender_has_a_share_per_day(data: ServerData) -> None:
    shelf = Shelf(data, KIND, NumbersHead, per_day=2)
    await shelf.open()
    kept = [await shelf.keep(head(str(number)), b"") for number in range(4)]
    assert kept == [Kept.STORED, Kept.STORED, Kept.TOO_MANY, Kept.TOO_MANY]
    assert await shelf.keep(head("5", sender="b.example"), b"") is Kept.STORED
    assert await shelf.keep(head("6", domains=("b.example",)), b"") is Kept.STORED
    assert await shelf.keep(head("7", at_ms=NOW_MS + DAY_MS), b"") is Kept.STORED


async def test_what_is_old_goes(data: ServerData, clock: FrozenClock) -> None:
    shelf = Shelf(data, KIND, NumbersHead, keep_s=10)
    await shelf.open()
    for number in range(500):
        sender = f"s{number}.example"
        await shelf.keep(head("1", sender=sender, at_ms=clock.now_ms() + number), b"x" * 100)
    clock.advance(10.4)
    assert await shelf.tidy() == 400
    assert shelf.totals.count == 100
    # Only then may the name be used again.
    assert await shelf.keep(head("1", sender="s0.example", at_ms=clock.now_ms()), b"") is (
        Kept.STORED
    )
    assert await shelf.keep(head("1", sender="s499.example", at_ms=clock.now_ms()), b"") is (
        Kept.DUPLICATE
    )
    clock.advance(100)
    assert await shelf.tidy() == 101
    assert shelf.totals == Totals()
    assert list(data.engine.scan(Family.MSG, b"", b"\xff")) == []
    assert list(data.engine.scan(Family.IDX, b"", b"\xff")) == []


async def test_what_is_too_much_goes_oldest_first(data: ServerData) -> None:
    shelf = Shelf(data, KIND, NumbersHead, keep_bytes=10_000)
    await shelf.open()
    for number in range(20):
        sender = f"s{number}.example"
        await shelf.keep(head(sender=sender), secrets.token_bytes(1000))
    assert shelf.totals.size <= 10_000
    kept = await numbers(shelf.heads())
    assert kept == list(range(20, 20 - len(kept), -1))
    assert 5 < len(kept) < 10


async def test_opening_again(tmp_path: Path) -> None:
    for turn in range(3):
        data = open_server_data(tmp_path, clock=FrozenClock(NOW_MS))
        shelf = Shelf(data, KIND, NumbersHead)
        await shelf.open()
        assert shelf.totals.count == turn
        assert await shelf.keep(head(str(turn)), b"x") is Kept.STORED
        assert await shelf.keep(head("0"), b"x") is Kept.DUPLICATE
        assert await numbers(shelf.heads()) == list(range(turn + 1, 0, -1))
        await data.close()


async def test_a_crash_at_each_write_leaves_no_half_of_a_report() -> None:
    class Stopping(MemoryEngine):
        left = -1

        def write(self, batch: Batch) -> None:
            if self.left == 0:
                raise OSError("crash")
            self.left -= 1
            super().write(batch)

    content = secrets.token_bytes(12 * PIECE)  # four batches
    finished = 0
    for writes in range(1, 8):
        engine = Stopping()
        data = memory_server_data(engine=engine, clock=FrozenClock(NOW_MS))
        shelf = Shelf(data, KIND, NumbersHead)
        await shelf.open()
        await shelf.keep(head("0"), b"x")
        engine.left = writes - 1
        try:
            await shelf.keep(head("1"), content)
            finished += 1
        except StoreStopped:
            assert engine.left == 0
        await data.close()
        engine.left = -1
        data = memory_server_data(engine=engine, clock=FrozenClock(NOW_MS))
        shelf = Shelf(data, KIND, NumbersHead)
        await shelf.open()
        found = await shelf.read(2)
        assert found is None or found[1] == content
        pieces = [key for key, _ in engine.scan(Family.MSG, *keys.all_pieces(KIND, 2))]
        assert len(pieces) == (13 if found else 0)
        assert await shelf.keep(head("1"), content) is (Kept.DUPLICATE if found else Kept.STORED)
        again = await shelf.read(2)
        assert again is not None
        assert again[1] == content
        await data.close()
    assert 0 < finished < 7


async def test_damage_is_told(shelf: Shelf[Numbers], data: ServerData) -> None:
    await shelf.keep(head(), secrets.token_bytes(2 * PIECE))
    batch = Batch()
    batch.delete(Family.MSG, keys.piece(KIND, 1, 1))
    await data.write(batch)
    with pytest.raises(DataDamaged, match="piece"):
        await shelf.read(1)
    batch = Batch()
    batch.put(Family.MSG, keys.head(KIND, 1), b"\x01rubbish")
    await data.write(batch)
    with pytest.raises(DataDamaged, match="head"):
        await shelf.read(1)
    with pytest.raises(DataDamaged):
        await numbers(shelf.heads())
    assert verify_reports(data.engine) == []  # another kind


def test_keys_do_not_overlap() -> None:
    start, end = keys.all_about(KIND, "example.org")
    assert start <= keys.about(KIND, "example.org", 0) < end
    assert start <= keys.about(KIND, "example.org", (1 << 63) - 1) < end
    for other in ("example.or", "example.orga", "example.org.", "b.example.org"):
        assert not start <= keys.about(KIND, other, 5) < end
    key = keys.evaluation("bücher.example", 500_000, b"d" * keys.DIGEST)
    assert keys.evaluation_place(key) == ("bücher.example", 500_000)
