"""What is found wrong with stored reports."""

from pathlib import Path

import pytest

from mox.base.clock import FrozenClock
from mox.base.limits import RECEIVED_KEEP_S
from mox.cli.main import run
from mox.mailauth.dmarc.feedbackxml import parse
from mox.reports import keys
from mox.reports.keeper import Reports, open_reports
from mox.reports.verify import verify_folder, verify_reports
from mox.store.engine.base import Batch, Family
from mox.store.serverdata import ServerData, memory_server_data, open_server_data

SAMPLE = Path(__file__).parents[1] / "data" / "reports" / "plain.xml"


async def keep(reports: Reports) -> None:
    await reports.dmarc.keep(
        parse([SAMPLE.read_bytes()]),
        domain="example.org",
        from_domain="mail.example",
        mail_from="",
        now_ms=1_795_910_400_000,
    )


async def test_opening_removes_what_is_too_old(data: ServerData, clock: FrozenClock) -> None:
    reports = await open_reports(data)
    await keep(reports)
    clock.advance(RECEIVED_KEEP_S - 10)
    reports = await open_reports(data)
    assert reports.dmarc.shelf.totals.count == 1
    clock.advance(20)
    reports = await open_reports(data)
    assert reports.dmarc.shelf.totals.count == 0


async def damaged(family: Family, key: bytes, value: bytes | None) -> list[str]:
    """What is told after one row is changed, or removed."""
    data = memory_server_data(clock=FrozenClock(1_795_910_400_000))
    reports = await open_reports(data)
    await keep(reports)
    await reports.close()
    assert verify_reports(data.engine) == []
    batch = Batch()
    if value is None:
        batch.delete(family, key)
    else:
        batch.put(family, key, value)
    await data.write(batch)
    found = verify_reports(data.engine)
    await data.close()
    return found


@pytest.mark.parametrize(
    ("family", "key", "value", "told"),
    [
        (Family.MSG, keys.head(keys.DMARC, 1), b"\x01rubbish", "report 1: "),
        (Family.MSG, keys.piece(keys.DMARC, 1, 0), None, "report 1: "),
        (Family.MSG, keys.piece(keys.DMARC, 1, 0), b"rubbish", "report 1: "),
        (Family.IDX, keys.about(keys.DMARC, "example.org", 1), None, "not found by example.org"),
        (Family.IDX, keys.about(keys.DMARC, "example.org", 2), b"", "is not there"),
        (Family.IDX, keys.about(keys.TLS, "example.org", 1), b"", "is not there"),
        (Family.META, keys.totals(keys.DMARC), None, "the totals say"),
        (Family.KV, keys.evaluation("a.example", 5, b"x" * 16), b"\x01", "Tally: "),
        (Family.KV, keys.result(5, "a.example", "b.example"), b"\x02", "unknown version"),
        (Family.KV, keys.suppressed("a@b.example"), b"", "unknown version"),
    ],
)
async def test_damage(family: Family, key: bytes, value: bytes | None, told: str) -> None:
    found = await damaged(family, key, value)
    assert any(told in one for one in found), found


async def test_pieces_without_a_head_are_what_a_crash_leaves(data: ServerData) -> None:
    batch = Batch()
    batch.put(Family.MSG, keys.piece(keys.TLS, 5, 0), b"x")
    await data.write(batch)
    assert verify_reports(data.engine) == []


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from mox.store import verify

    async def fill() -> None:
        data = open_server_data(tmp_path / "server")
        reports = await open_reports(data)
        await keep(reports)
        await reports.close()
        batch = Batch()
        batch.delete(Family.MSG, keys.piece(keys.DMARC, 1, 0))
        await data.write(batch)
        await data.close()

    monkeypatch.setattr(verify, "verify_folder", lambda _folder, **_: [])
    assert run(["verifydata", str(tmp_path)]) == 0
    asyncio.run(fill())
    assert verify_folder(tmp_path / "server") != []
    capsys.readouterr()
    assert run(["verifydata", str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("reports: report 1: ")
