"""Addresses that get no reports."""

import pytest

from mox.base.clock import FrozenClock
from mox.base.errors import Refused
from mox.reports import suppressed
from mox.reports.keeper import Reports


async def test_the_list(
    reports: Reports, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = reports.suppressed
    now = clock.now_ms()
    await listed.add("B@Example.org", now + 10, "full")
    await listed.add("a@example.org", now)
    found = [(one.address, one.until_ms, one.comment) for one in await listed.all()]
    assert found == [("a@example.org", now, ""), ("b@example.org", now + 10, "full")]
    assert await listed.covers("b@EXAMPLE.org", now)
    assert not await listed.covers("b@example.org", now + 10)
    assert not await listed.covers("a@example.org", now)
    assert not await listed.covers("c@example.org", now)
    await listed.add("b@example.org", now + 20)
    assert await listed.covers("b@example.org", now + 10)
    monkeypatch.setattr(suppressed, "SUPPRESSED_ADDRESSES", 2)
    with pytest.raises(Refused, match="too many"):
        await listed.add("c@example.org", now)
    await listed.add("b@example.org", now + 30)
    await listed.remove("B@example.org")
    assert not await listed.covers("b@example.org", now)
    with pytest.raises(Refused, match="not suppressed"):
        await listed.remove("b@example.org")
