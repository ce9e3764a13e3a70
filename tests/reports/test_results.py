"""TLS results waiting for the next report."""

from typing import Any

import msgspec
import pytest

from mox.reports import results as module
from mox.reports.keeper import Reports, open_reports
from mox.reports.results import Tally, by_day_and_policy, by_day_and_recipient
from mox.store.serverdata import ServerData
from mox.tlspolicy.tlsreport import Failure, Policy, Result

DAY_MS = 86_400_000
NOW_MS = 1_795_910_400_000
DAY = NOW_MS // DAY_MS
STS = Policy(type="sts", strings=("version: STSv1",), domain="a.example")
NONE = Policy(type="no-policy-found", domain="mx.a.example")


def failure(kind: str, count: int = 1, **more: Any) -> Failure:
    return Failure(result_type=kind, failed_session_count=count, **more)


def add(
    reports: Reports,
    *results: Result,
    recipient: str = "a.example",
    policy: str = "",
    send_report: bool = True,
    at_ms: int = NOW_MS,
) -> None:
    reports.results.add(
        recipient,
        policy or recipient,
        results,
        is_host=bool(policy),
        send_report=send_report,
        at_ms=at_ms,
    )


async def test_they_are_merged(reports: Reports) -> None:
    add(reports, Result(policy=STS, success_count=1), send_report=False)
    add(
        reports,
        Result(policy=STS, failure_count=2, failures=(failure("x", 2),)),
        at_ms=NOW_MS + 5,
    )
    await reports.results.of(0)  # stored in between
    add(
        reports,
        Result(policy=STS, success_count=3, failure_count=1, failures=(failure("x"),)),
        Result(policy=NONE, success_count=1),
        send_report=False,
        at_ms=NOW_MS + 9,
    )
    add(reports, Result(policy=STS, success_count=-5, failure_count=-5))
    (tally,) = await reports.results.of(DAY + 1)
    assert tally == Tally(
        day=DAY,
        recipient_domain="a.example",
        policy_domain="a.example",
        is_host=False,
        created_ms=NOW_MS,
        updated_ms=NOW_MS + 9,
        send_report=True,
        results=(
            Result(policy=STS, success_count=4, failure_count=3, failures=(failure("x", 3),)),
            Result(policy=NONE, success_count=1),
        ),
    )
    assert tally.has_failures
    assert await reports.results.of(DAY) == []


async def test_days_domains_and_hosts_are_apart(reports: Reports) -> None:
    one = Result(policy=STS, success_count=1)
    add(reports, one)
    add(reports, one, at_ms=NOW_MS + DAY_MS)
    add(reports, one, policy="mx.b.example")
    add(reports, one, recipient="b.example", policy="mx.b.example")
    found = await reports.results.of(DAY + 2)
    assert not any(tally.has_failures for tally in found)
    by_recipient = by_day_and_recipient(found)
    assert {key: len(rows) for key, rows in by_recipient.items()} == {
        (DAY, "a.example"): 2,
        (DAY, "b.example"): 1,
        (DAY + 1, "a.example"): 1,
    }
    by_policy = by_day_and_policy(found)
    assert {key: len(rows) for key, rows in by_policy.items()} == {(DAY, "mx.b.example"): 2}


async def test_marks_and_forgetting(reports: Reports) -> None:
    for days in range(3):
        add(reports, Result(policy=STS, success_count=1), at_ms=NOW_MS + days * DAY_MS)
        add(reports, Result(policy=NONE), policy="mx.a.example", at_ms=NOW_MS + days * DAY_MS)
    found = await reports.results.of(DAY + 1)
    await reports.results.mark(
        msgspec.structs.replace(tally, sent_to_recipient=True, recipient_addresses=("a@a.example",))
        for tally in found
    )
    add(reports, Result(policy=STS, success_count=1))
    first = (await reports.results.of(DAY + 1))[0]
    assert first.sent_to_recipient
    assert first.recipient_addresses == ("a@a.example",)
    assert first.results[0].success_count == 2
    await reports.results.forget([first])
    assert len(await reports.results.of(DAY + 9)) == 5
    await reports.results.forget_before(DAY + 2)
    assert [tally.day for tally in await reports.results.of(DAY + 9)] == [DAY + 2] * 2


async def test_they_survive_opening_again(data: ServerData) -> None:
    reports = await open_reports(data)
    add(reports, Result(policy=STS, success_count=1))
    await reports.close()
    reports = await open_reports(data)
    assert (await reports.results.of(DAY + 1))[0].results[0].success_count == 1
    await reports.close()


async def test_limits(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESULT_POLICIES", 2)
    monkeypatch.setattr(module, "RESULT_FAILURES", 3)
    monkeypatch.setattr(module, "RESULT_ROWS", 4)
    for number in range(6):
        add(
            reports,
            Result(policy=STS, failure_count=1, failures=(failure(f"x{number}"),)),
            Result(policy=Policy(type=str(number))),
        )
        add(reports, Result(policy=STS), recipient=f"r{number}.example")
    found = await reports.results.of(DAY + 1)
    assert len(found) == 4
    tally = next(one for one in found if one.recipient_domain == "a.example")
    assert [result.failure_count for result in tally.results] == [6, 0]
    assert [one.result_type for one in tally.results[0].failures] == ["x0", "x1", "x2"]
