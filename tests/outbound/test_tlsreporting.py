"""TLS reports of ours: when, to whom, and what is in them."""

import email
import email.policy
import json
from collections.abc import AsyncIterator, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.reporting import (
    HOSTNAME,
    NOW_MS,
    SUFFIXES,
    Ended,
    EndingClock,
    Place,
    live,
    place,
)

from mox.base import metrics
from mox.base.errors import Refused, Unavailable
from mox.dns.zones import Zones
from mox.mailauth.dkim.verify import verify
from mox.outbound.reporting import QueueSubmit, ReportMail
from mox.outbound.tlsreporting import TlsReporting
from mox.queue.database import memory_queue
from mox.queue.listing import EVERY, page
from mox.tlspolicy.extract import extract
from mox.tlspolicy.tlsreport import Failure, Policy, Report, Result

DAY_MS = 86_400_000
DAY = NOW_MS // DAY_MS  # the day that begins now: reports are about the one before
YESTERDAY = NOW_MS - 1000
STS = Policy(type="sts", strings=("version: STSv1", "mode: enforce"), domain="x.example")
HOST = Policy(type="tlsa", strings=("3 1 1 AA",), domain="mx.x.example")
BAD = (Failure(result_type="certificate-expired", failed_session_count=2),)


def zones(*names: str, **more: str) -> Zones:
    """Who wants reports: at r@ their own name, or where it is said."""
    wanted = {name: f"mailto:r@{name}" for name in names} | {
        name.replace("_", "."): rua for name, rua in more.items()
    }
    return Zones(
        {f"_smtp._tls.{name}": {"TXT": [f"v=TLSRPTv1; rua={rua}"]} for name, rua in wanted.items()}
    )


class Sending(Place):
    """A place with its sender."""

    also_success = False

    @property
    def sender(self) -> TlsReporting:
        return TlsReporting(
            self.reports,
            self.resolver,
            self.office,
            self.outbox,
            random=lambda: 0.0,
            also_success=self.also_success,
        )

    def add(
        self,
        recipient: str = "x.example",
        host: str = "",
        *,
        failures: Sequence[Failure] = BAD,
        policy: Policy | None = None,
        send_report: bool = True,
        at_ms: int = YESTERDAY,
    ) -> None:
        result = Result(
            policy=policy or (HOST if host else STS),
            success_count=5,
            failure_count=sum(one.failed_session_count for one in failures),
            failures=tuple(failures),
        )
        self.reports.results.add(
            recipient,
            host or recipient,
            [result],
            is_host=bool(host),
            send_report=send_report,
            at_ms=at_ms,
        )

    async def round(self, day: int = DAY) -> list[Report]:
        """The reports of this round."""
        before = len(self.outbox.taken)
        await self.sender.round(day)
        return [extract(mail.content) for mail in self.outbox.taken[before:]]

    async def left(self) -> list[tuple[str, str]]:
        """Recipient and policy domains of the rows."""
        found = await self.reports.results.of(DAY + 1000)
        return [(one.recipient_domain, one.policy_domain) for one in found]


@pytest.fixture
async def sending() -> AsyncIterator[Sending]:
    async with place() as made:
        sending = Sending(made.data, made.reports, made.clock)
        sending.resolver = zones("x.example")
        yield sending


def parsed(mail: ReportMail) -> EmailMessage:
    message = email.message_from_bytes(mail.content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def counted(what: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"mox_tlsrptsend_report_{what}_total") or 0.0


@pytest.mark.rfc("8460 §5.3")
async def test_a_report(sending: Sending) -> None:
    queued = counted("queued")
    sending.add()
    sending.add()
    sending.add(host="mx.x.example", failures=())
    (report,) = await sending.round()
    assert counted("queued") == queued + 1
    (mail,) = sending.outbox.taken
    assert (str(mail.sender), mail.is_tls) == ("postmaster@here.example", True)
    assert sending.outbox.to == [["r@x.example"]]
    begin = NOW_MS // 1000 - 86_400
    assert report == Report(
        organization="here.example",
        begin_s=begin,
        end_s=begin + 86_399,
        contact="postmaster@here.example",
        report_id="20261128.x.example@here.example",
        results=(
            Result(
                policy=STS,
                success_count=10,
                failure_count=4,
                failures=(Failure(result_type="certificate-expired", failed_session_count=4),),
            ),
            Result(policy=HOST, success_count=5),
        ),
    )
    message = parsed(mail)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert message["TLS-Report-Domain"] == "x.example"
    assert message["TLS-Report-Submitter"] == "here.example"
    assert message["TLS-Required"] == "No"
    assert message["Subject"] == (
        "Report Domain: x.example Submitter: here.example"
        " Report-ID: <20261128.x.example@here.example>"
    )
    text, attachment = message.iter_parts()
    assert "x.example on 2026-11-28" in text.get_content()
    assert attachment.get_content_type() == "application/tlsrpt+gzip"
    assert attachment.get_filename() == f"here.example!x.example!{begin}!{begin + 86_399}.json.gz"
    (result,) = await verify(
        Zones(sending.keys.record),
        mail.content,
        now_s=sending.clock.now_ms() // 1000,
        suffixes=SUFFIXES,
    )
    assert result.is_pass
    assert result.signature is not None
    assert {b"tls-report-domain", b"tls-report-submitter"} <= set(result.signature.names)


async def test_nothing_is_sent_twice(sending: Sending) -> None:
    sending.resolver = zones("x.example", "mx.x.example")
    sending.add()
    sending.add(host="mx.x.example")
    assert len(await sending.round()) == 2
    assert await sending.round() == []
    assert await sending.round(DAY + 1) == []
    assert len(await sending.left()) == 2
    await sending.round(DAY + 2)  # then it is forgotten
    assert await sending.left() == []


async def test_days_are_apart(sending: Sending) -> None:
    """The server was down at midnight."""
    sending.add(at_ms=YESTERDAY - DAY_MS)
    sending.add()
    found = await sending.round()
    assert sorted(one.report_id.split(".")[0] for one in found) == ["20261127", "20261128"]
    assert [report.end_s - report.begin_s for report in found] == [86_399] * 2


async def test_today_is_not_over(sending: Sending) -> None:
    sending.add(at_ms=NOW_MS)
    assert await sending.round() == []
    assert len(await sending.round(DAY + 1)) == 1


async def test_success_alone_is_not_told_unless_asked_for(sending: Sending) -> None:
    sending.add(failures=())
    assert await sending.round() == []
    assert await sending.left() == []
    sending.add(failures=())
    sending.also_success = True
    (report,) = await sending.round()
    assert (report.results[0].success_count, report.results[0].failures) == (5, ())


async def test_a_failure_of_a_host_is_told_the_domain(sending: Sending) -> None:
    sending.add(failures=())
    sending.add(host="mx.x.example")
    (report,) = await sending.round()
    assert [result.failure_count for result in report.results] == [0, 2]


async def test_reports_about_reports_have_an_end(sending: Sending) -> None:
    sending.add(send_report=False)
    sending.add(host="mx.x.example", send_report=False)
    assert await sending.round() == []
    assert await sending.left() == []


@pytest.mark.rfc("8460 §4.4")
async def test_those_who_run_a_host_see_whose_mail_is_affected(sending: Sending) -> None:
    sending.resolver = zones("mx.host.example")
    for recipient in ("a.example", "b.example"):
        sending.add(recipient, failures=())
        sending.add(recipient, "mx.host.example")
    (report,) = await sending.round()
    assert sending.outbox.to == [["r@mx.host.example"]]
    assert report.report_id == "20261128.mx.host.example@here.example"
    assert parsed(sending.outbox.taken[0])["TLS-Report-Domain"] == "mx.host.example"
    assert [
        (result.policy.domain, result.policy.mx_hosts, result.failure_count)
        for result in report.results
    ] == [
        ("a.example", ("mx.host.example",), 2),
        ("b.example", ("mx.host.example",), 2),
    ]
    # Nobody wants to know of the domains themselves.
    assert await sending.left() == [
        ("a.example", "mx.host.example"),
        ("b.example", "mx.host.example"),
    ]


async def test_who_knows_it_already_is_not_told_again(sending: Sending) -> None:
    sending.resolver = zones(
        x_example="mailto:r@ops.example,mailto:s@ops.example",
        mx_x_example="mailto:s@ops.example,mailto:r@ops.example",
    )
    sending.add()
    sending.add(host="mx.x.example")
    found = await sending.round()
    assert [report.report_id for report in found] == ["20261128.x.example@here.example"]
    # Another domain at the same host, whose owner asked for nothing.
    sending.add("y.example", at_ms=YESTERDAY - DAY_MS)
    sending.add("y.example", "mx.x.example", at_ms=YESTERDAY - DAY_MS)
    sending.add("x.example", "mx.x.example", at_ms=YESTERDAY - DAY_MS)
    found = await sending.round()
    assert [report.report_id for report in found] == [
        "20261127.x.example@here.example",
        "20261127.mx.x.example@here.example",
    ]
    assert [result.policy.domain for result in found[1].results] == ["y.example"]


@pytest.mark.parametrize(
    ("resolver", "left", "result"),
    [
        (Zones({}), [], "notfound"),
        (Zones({"_smtp._tls.x.example": {"TXT": ["v=spf1 -all"]}}), [], "notfound"),
        (zones(x_example="https://x.example/"), [], "ok"),
        (zones(x_example="nobody"), [], "malformed"),
        (
            Zones({"_smtp._tls.x.example": {"TXT": ["v=TLSRPTv1; rua=mailto:a@b"] * 2}}),
            [],
            "malformed",
        ),
        (
            Zones({}, temporary=["_smtp._tls.x.example"]),
            [("x.example", "x.example")],
            "temporary",
        ),
    ],
    ids=["none", "other", "https", "malformed", "several", "dns"],
)
async def test_nobody_is_told(
    sending: Sending, resolver: Zones, left: list[tuple[str, str]], result: str
) -> None:
    name = "mox_tlsrpt_lookup_duration_seconds_count"
    before = metrics.REGISTRY.get_sample_value(name, {"result": result}) or 0.0
    sending.resolver = resolver
    sending.add()
    assert await sending.round() == []
    assert await sending.left() == left
    assert metrics.REGISTRY.get_sample_value(name, {"result": result}) == before + 1


async def test_dns_that_fails_and_then_works(sending: Sending) -> None:
    sending.resolver = Zones({}, temporary=["_smtp._tls.x.example", "_smtp._tls.mx.x.example"])
    sending.add()
    sending.add(host="mx.x.example")
    assert await sending.round() == []
    sending.resolver = zones("x.example", "mx.x.example")
    found = await sending.round(DAY + 1)
    assert [report.begin_s for report in found] == [NOW_MS // 1000 - 86_400] * 2


async def test_suppressed_addresses(sending: Sending) -> None:
    sending.resolver = zones(x_example="mailto:a@x.example,mailto:b@x.example")
    await sending.reports.suppressed.add("a@x.example", NOW_MS + 1_000_000)
    sending.add()
    await sending.round()
    assert sending.outbox.to == [["b@x.example"]]
    await sending.reports.suppressed.add("b@x.example", NOW_MS + 1_000_000)
    sending.add("x.example", at_ms=YESTERDAY - DAY_MS)
    assert await sending.round() == []


async def test_without_keys_there_are_no_reports(sending: Sending) -> None:
    sending.keys.domain = "elsewhere.example"
    sending.add()
    assert await sending.round() == []
    assert await sending.left() == [("x.example", "x.example")]
    sending.keys.domain = HOSTNAME
    (report,) = await sending.round()
    assert report.organization == HOSTNAME


async def test_a_queue_that_takes_nothing_now(sending: Sending) -> None:
    errors = counted("error")
    sending.add()
    sending.outbox.failures = [Unavailable("disk full")]
    assert await sending.round() == []
    assert len(await sending.round()) == 1
    sending.add("x.example", at_ms=YESTERDAY - DAY_MS)
    sending.outbox.failures = [Refused("never")]
    assert await sending.round() == []
    assert await sending.round() == []
    assert counted("error") == errors + 2


async def test_a_crash_after_the_mark_loses_a_report_rather_than_sending_it_twice(
    sending: Sending,
) -> None:
    before = metrics.unhandled_total()
    sending.add()
    sending.outbox.failures = [KeyError("crash")]
    assert await sending.round() == []
    assert await sending.round() == []
    assert metrics.unhandled_total() == before + 1


async def test_they_are_spread(sending: Sending) -> None:
    domains = [f"x{number}.example" for number in range(100)]
    sending.resolver = zones(*domains)
    for domain in domains:
        sending.add(domain)
    assert len(await sending.round()) == 100
    assert sending.clock.slept == [144.0] * 99


async def test_it_wakes_after_midnight(sending: Sending) -> None:
    clock = EndingClock(NOW_MS + 5000, NOW_MS + 3 * DAY_MS)
    sending.clock = clock
    seen: list[tuple[int, int]] = []

    class Recording(TlsReporting):
        async def round(self, end_day: int) -> None:
            seen.append((end_day, clock.now_ms() - end_day * DAY_MS))
            if len(seen) == 1:
                raise Unavailable("not now")  # it goes on

    before = metrics.unhandled_total()
    reporting = Recording(
        sending.reports, sending.resolver, sending.office, sending.outbox, random=lambda: 0.999
    )
    with pytest.raises(Ended):
        await reporting.run()
    assert [day for day, _ in seen] == [DAY, DAY + 1, DAY + 2]
    assert seen[0][1] == 5000  # at the start, for the day before
    assert all(240_000 <= after < 360_000 for _, after in seen[1:])
    assert metrics.unhandled_total() == before + 1


async def test_into_the_queue(sending: Sending, tmp_path: Path) -> None:
    queue = memory_queue(tmp_path, clock=sending.clock)
    sending.add()
    reporting = TlsReporting(
        sending.reports,
        sending.resolver,
        sending.office,
        QueueSubmit(queue, live()),
        random=lambda: 0.0,
    )
    await reporting.round(DAY)
    (entry,) = (await page(queue, EVERY, limit=10)).entries
    assert (str(entry.sender), str(entry.recipient)) == ("postmaster@here.example", "r@x.example")
    assert (entry.is_dmarc_report, entry.is_tls_report) == (False, True)
    assert (entry.require_tls, entry.max_attempts) == (False, 5)
    await queue.close()


async def test_the_json_is_as_the_rfc_writes_it(sending: Sending) -> None:
    import gzip

    sending.add()
    await sending.round()
    attachment = list(parsed(sending.outbox.taken[0]).iter_parts())[1]
    content: Any = attachment.get_content()
    members = json.loads(gzip.decompress(content))
    assert members["date-range"]["start-datetime"] == "2026-11-28T00:00:00Z"
    assert members["policies"][0]["policy"]["policy-type"] == "sts"
    assert members["policies"][0]["summary"]["total-failure-session-count"] == 2
