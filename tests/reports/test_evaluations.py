"""DMARC evaluations waiting for the next report."""

import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.inbound.hooks import Evaluated, EvaluationStore
from mox.mailauth.dkim.signature import Signature
from mox.mailauth.dkim.verify import Result as DkimResult
from mox.mailauth.dkim.verify import Status as DkimStatus
from mox.mailauth.dmarc.evaluate import Evaluation, Found, Status
from mox.mailauth.dmarc.feedback import DkimAuth, PolicyPublished, Reason, Record, SpfAuth
from mox.mailauth.dmarc.record import parse_record
from mox.mailauth.publicsuffix import ListedSuffixes
from mox.mailauth.spf import Identity, Sender
from mox.mailauth.spf import Result as SpfResult
from mox.mailauth.spf import Status as SpfStatus
from mox.reports import evaluations as module
from mox.reports.evaluations import Waiting, row_of
from mox.reports.keeper import Reports, open_reports
from mox.store.serverdata import ServerData

HOUR_MS = 3_600_000
NOW_MS = 1_795_910_400_000
HOUR = NOW_MS // HOUR_MS
RECORD = "v=DMARC1; p=reject; rua=mailto:a@x.example!10m,mailto:b@x.example; aspf=s; pct=50"


def spf(status: SpfStatus = SpfStatus.PASS, **changes: Any) -> SpfResult:
    sender = Sender(ip=ipaddress.ip_address("192.0.2.1"), helo="mail.x.example", domain="x.example")
    made = SpfResult(status=status, identity=Identity.MAILFROM, sender=sender, domain="x.example")
    return msgspec.structs.replace(made, **changes)


def dkim(domain: str, status: DkimStatus = DkimStatus.PASS, reason: str = "") -> DkimResult:
    signature = Signature(
        algorithm="rsa-sha256",
        domain=domain,
        selector="s1",
        names=(b"from",),
        body_hash=b"",
        value=b"",
        identity_domain=domain,
    )
    return DkimResult(status=status, signature=signature, reason=reason)


def evaluated(record: str = RECORD, domain: str = "x.example", **changes: Any) -> Evaluated:
    made = Evaluated(
        at_ms=NOW_MS,
        evaluation=Evaluation(
            status=Status.PASS,
            from_domain=domain,
            found=Found(record=parse_record(record.encode()), domain=domain),
            is_spf_aligned=True,
        ),
        spf=spf(),
        signatures=(),
        source_ip="192.0.2.1",
        envelope_to="here.example",
        envelope_from="x.example",
        rejected=False,
        overrides=(),
        optional=False,
    )
    return msgspec.structs.replace(made, **changes)


def test_what_a_report_says(suffixes: ListedSuffixes) -> None:
    one = evaluated(
        record="v=DMARC1; p=quarantine; sp=none; rua=mailto:a@x.example; adkim=s; ri=3601",
        domain="xn--bcher-kva.example",
        spf=spf(SpfStatus.SOFTFAIL, identity=Identity.HELO, domain="mail.xn--bcher-kva.example"),
        signatures=(
            dkim("xn--bcher-kva.example"),
            dkim("news.xn--bcher-kva.example", DkimStatus.FAIL, "body hash does not match"),
            dkim("lists.example"),
            DkimResult(status=DkimStatus.PERMERROR, reason="malformed"),
        ),
        envelope_to="mx.xn--bcher-kva.example",
        envelope_from="",
        rejected=True,
        overrides=("forwarded",),
    )
    row = row_of(one, suffixes)
    assert row.interval_hours == 2
    assert row.domain == "bücher.example"
    assert row.policy == PolicyPublished(
        domain="bücher.example", adkim="s", aspf="r", p="quarantine", sp="none", pct=100
    )
    assert row.record == Record(
        source_ip="192.0.2.1",
        count=0,
        disposition="reject",
        dkim="fail",
        spf="pass",
        reasons=(Reason(type="forwarded"),),
        envelope_to="mx.bücher.example",
        header_from="bücher.example",
        dkim_results=(
            DkimAuth(domain="bücher.example", selector="s1", result="pass"),
            DkimAuth(
                domain="news.bücher.example",
                selector="s1",
                result="fail",
                human_result="body hash does not match",
            ),
        ),
        spf_results=(SpfAuth(domain="mail.bücher.example", scope="helo", result="softfail"),),
    )


def test_defaults_are_told(suffixes: ListedSuffixes) -> None:
    row = row_of(evaluated(), suffixes)
    assert row.policy.sp == "reject"  # as p
    assert (row.policy.aspf, row.policy.adkim, row.policy.pct) == ("s", "r", 50)
    assert row.addresses == ("mailto:a@x.example!10485760", "mailto:b@x.example")
    literal = spf(SpfStatus.NONE, identity=Identity.HELO, domain="")
    literal = msgspec.structs.replace(
        literal, sender=msgspec.structs.replace(literal.sender, helo="[192.0.2.1]")
    )
    assert row_of(evaluated(spf=literal), suffixes).record.spf_results[0].domain == "[192.0.2.1]"


async def test_equal_ones_are_counted(reports: Reports) -> None:
    store: EvaluationStore = reports.evaluations
    for at_ms in (NOW_MS, NOW_MS + 1, NOW_MS - HOUR_MS):
        await store.add(evaluated(at_ms=at_ms))
    await store.add(evaluated(source_ip="192.0.2.2", at_ms=NOW_MS + 2))
    content = await reports.evaluations.content("x.example", HOUR + 1)
    assert content is not None
    assert content.first_ms == NOW_MS - HOUR_MS
    counted = [(record.source_ip, record.count) for record in content.records]
    assert counted == [("192.0.2.1", 3), ("192.0.2.2", 1)]
    early = await reports.evaluations.content("x.example", HOUR)
    assert early is not None
    assert [record.count for record in early.records] == [1]
    assert await reports.evaluations.content("y.example", HOUR) is None


async def test_the_latest_policy_counts(reports: Reports) -> None:
    add = reports.evaluations.add
    await add(evaluated(record="v=DMARC1; p=none; rua=mailto:a@x.example; ri=3600"))
    await add(evaluated(at_ms=NOW_MS + 10))
    await add(
        evaluated(record="v=DMARC1; p=none; rua=mailto:c@x.example", at_ms=NOW_MS - 2 * HOUR_MS)
    )
    content = await reports.evaluations.content("x.example", HOUR + 1)
    assert content is not None
    assert (content.latest.policy.p, content.latest.interval_hours) == ("reject", 24)
    # Equal for the report: one record.
    assert [record.count for record in content.records] == [3]


async def test_what_waits(reports: Reports) -> None:
    add = reports.evaluations.add
    hourly = RECORD + "; ri=3600"
    await add(evaluated(domain="optional.example", optional=True))
    await add(evaluated(domain="hourly.example", record=hourly))
    await add(evaluated(domain="hourly.example", record=hourly))
    await add(evaluated(domain="mixed.example", record=hourly, optional=True))
    await add(evaluated(domain="mixed.example"))
    await add(evaluated(domain="late.example", at_ms=NOW_MS + HOUR_MS))

    def waiting(domain: str, rows: int, messages: int, *what: bool) -> Waiting:
        is_due, is_needed, is_wanted = what
        return Waiting(
            domain=domain,
            rows=rows,
            messages=messages,
            is_due=is_due,
            is_needed=is_needed,
            is_wanted=is_wanted,
        )

    assert await reports.evaluations.waiting(HOUR + 1, (1,)) == [
        waiting("hourly.example", 1, 2, True, True, True),
        waiting("mixed.example", 2, 2, True, False, True),
        waiting("optional.example", 1, 1, False, False, False),
    ]
    every = await reports.evaluations.waiting(HOUR + 1, (24, 1))
    assert [(one.is_due, one.is_needed) for one in every] == [
        (True, True),
        (True, True),
        (True, False),
    ]
    assert await reports.evaluations.waiting(HOUR, (24, 1)) == []


async def test_forgetting(reports: Reports) -> None:
    store = reports.evaluations
    for domain in ("x.example", "a.x.example", "y.example"):
        for hours in range(4):
            await store.add(evaluated(domain=domain, at_ms=NOW_MS + hours * HOUR_MS))
    await store.forget("x.example", HOUR + 2)
    counts = {one.domain: one.rows for one in await store.waiting(HOUR + 9, ())}
    assert counts == {"a.x.example": 4, "x.example": 2, "y.example": 4}
    assert await store.forget_before(HOUR + 3) == 7
    counts = {one.domain: one.rows for one in await store.waiting(HOUR + 9, ())}
    assert counts == {"a.x.example": 1, "x.example": 1, "y.example": 1}
    assert await store.forget_before(HOUR + 3) == 0


async def test_they_survive_opening_again(data: ServerData, suffixes: ListedSuffixes) -> None:
    for turn in range(1, 4):
        reports = await open_reports(data, suffixes=lambda: suffixes)
        await reports.evaluations.add(evaluated())
        await reports.close()
        reports = await open_reports(data, suffixes=lambda: suffixes)
        content = await reports.evaluations.content("x.example", HOUR + 1)
        assert content is not None
        assert content.records[0].count == turn
        await reports.close()


async def test_rows_of_a_domain_are_limited(
    data: ServerData, suffixes: ListedSuffixes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVALUATION_ROWS", 3)
    for turn in range(2):  # counted again after opening
        reports = await open_reports(data, suffixes=lambda: suffixes)
        for number in range(3 * turn, 3 * turn + 5):
            await reports.evaluations.add(evaluated(source_ip=f"192.0.2.{number}"))
        await reports.evaluations.add(evaluated(domain="y.example", source_ip=f"192.0.2.{turn}"))
        counts = {one.domain: one.rows for one in await reports.evaluations.waiting(HOUR + 1, ())}
        assert counts == {"x.example": 3, "y.example": turn + 1}
        await reports.close()


async def test_domains_of_an_hour_are_limited(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVALUATED_DOMAINS", 10)
    for number in range(30):
        await reports.evaluations.add(evaluated(domain=f"x{number}.example"))
    assert len(await reports.evaluations.waiting(HOUR + 1, ())) == 10
    for number in range(5):
        later = NOW_MS + 5 * HOUR_MS
        await reports.evaluations.add(evaluated(domain=f"y{number}.example", at_ms=later))
    assert len(await reports.evaluations.waiting(HOUR + 9, ())) == 15


async def test_records_of_a_report_are_limited(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DMARC_REPORT_RECORDS", 4)
    for number in range(6):
        await reports.evaluations.add(evaluated(source_ip=f"192.0.2.{number}"))
    content = await reports.evaluations.content("x.example", HOUR + 1)
    assert content is not None
    assert (len(content.records), content.skipped) == (4, 2)


_events = st.lists(
    st.tuples(
        st.sampled_from(["x.example", "y.example"]),
        st.integers(0, 3),  # hours
        st.integers(1, 3),  # addresses
        st.booleans(),  # optional
        st.booleans(),  # stored in between
    ),
    max_size=40,
)


@given(_events)
async def test_it_equals_a_list_of_all(events: list[tuple[str, int, int, bool, bool]]) -> None:
    from mox.store.serverdata import memory_server_data

    suffixes = ListedSuffixes(["example"])
    data = memory_server_data()
    reports = await open_reports(data, suffixes=lambda: suffixes)
    for domain, hours, last, optional, flush in events:
        await reports.evaluations.add(
            evaluated(
                domain=domain,
                at_ms=NOW_MS + hours * HOUR_MS,
                source_ip=f"192.0.2.{last}",
                optional=optional,
            )
        )
        if flush:
            await reports.evaluations.waiting(0, ())
    until = 2
    wanted: dict[str, dict[str, int]] = {}
    needed: set[str] = set()
    for domain, hours, last, optional, _ in events:
        if hours < until:
            counts = wanted.setdefault(domain, {})
            counts[f"192.0.2.{last}"] = counts.get(f"192.0.2.{last}", 0) + 1
            if not optional:
                needed.add(domain)
    waiting = await reports.evaluations.waiting(HOUR + until, (24,))
    assert {one.domain for one in waiting} == set(wanted)
    assert {one.domain for one in waiting if one.is_needed} == needed
    for domain, counts in wanted.items():
        content = await reports.evaluations.content(domain, HOUR + until)
        assert content is not None
        assert {record.source_ip: record.count for record in content.records} == counts
    await reports.close()
    await data.close()
