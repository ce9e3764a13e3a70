"""DMARC reports of ours: when, to whom, and what is in them."""

import email
import email.policy
import gzip
import ipaddress
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.reporting import (
    HOSTNAME,
    HOUR_MS,
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
from mox.inbound.hooks import Evaluated
from mox.mailauth.dkim.verify import verify
from mox.mailauth.dmarc.evaluate import Evaluation, Found, Status
from mox.mailauth.dmarc.extract import extract
from mox.mailauth.dmarc.feedback import Feedback, Reason
from mox.mailauth.dmarc.record import parse_record
from mox.mailauth.spf import Identity, Sender
from mox.mailauth.spf import Result as SpfResult
from mox.mailauth.spf import Status as SpfStatus
from mox.outbound.dmarcreporting import DmarcReporting
from mox.outbound.reporting import QueueSubmit, ReportMail
from mox.queue.database import memory_queue
from mox.queue.listing import EVERY, page

HOUR = NOW_MS // HOUR_MS  # the midnight at which things are due
RUA = "v=DMARC1; p=reject; rua=mailto:r@x.example"


def evaluated(record: str = RUA, domain: str = "x.example", **changes: Any) -> Evaluated:
    sender = Sender(ip=ipaddress.ip_address("192.0.2.1"), helo="mail.x.example", domain=domain)
    made = Evaluated(
        at_ms=NOW_MS - 1000,
        evaluation=Evaluation(
            status=Status.PASS,
            from_domain=domain,
            found=Found(record=parse_record(record.encode()), domain=domain),
            is_spf_aligned=True,
        ),
        spf=SpfResult(
            status=SpfStatus.PASS, identity=Identity.MAILFROM, sender=sender, domain=domain
        ),
        signatures=(),
        source_ip="192.0.2.1",
        envelope_to="here.example",
        envelope_from=domain,
        rejected=False,
        overrides=(),
        optional=False,
    )
    return msgspec.structs.replace(made, **changes)


def zones(*records: str, domain: str = "x.example", **more: Any) -> Zones:
    return Zones({f"_dmarc.{domain}": {"TXT": list(records or (RUA,))}}, **more)


class Sending(Place):
    """A place with its sender."""

    @property
    def sender(self) -> DmarcReporting:
        return DmarcReporting(
            self.reports, self.resolver, self.office, self.outbox, random=lambda: 0.0
        )

    async def add(self, *evaluations: Evaluated) -> None:
        for one in evaluations:
            await self.reports.evaluations.add(one)

    async def round(self, hour: int = HOUR) -> list[Feedback]:
        """The reports of this round."""
        before = len(self.outbox.taken)
        await self.sender.round(hour)
        found = [extract(mail.content) for mail in self.outbox.taken[before:]]
        return sorted(found, key=lambda report: report.policy.domain)  # each is a task

    async def left(self) -> list[str]:
        """The domains with evaluations."""
        waiting = await self.reports.evaluations.waiting(HOUR + 1000, ())
        return [one.domain for one in waiting]


@pytest.fixture
async def sending() -> AsyncIterator[Sending]:
    async with place() as made:
        sending = Sending(made.data, made.reports, made.clock)
        sending.resolver = zones()
        yield sending


def counted(what: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"mox_dmarcdb_report_{what}_total") or 0.0


def parsed(mail: ReportMail) -> EmailMessage:
    message = email.message_from_bytes(mail.content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


@pytest.mark.rfc("7489 §7.2.1.1")
async def test_a_report(sending: Sending) -> None:
    await sending.add(
        evaluated(),
        evaluated(),
        evaluated(source_ip="2001:db8::1", overrides=("sampled_out",), optional=True),
    )
    queued = counted("queued")
    (report,) = await sending.round()
    (mail,) = sending.outbox.taken
    assert (str(mail.sender), mail.is_tls) == (f"postmaster@{HOSTNAME}", False)
    assert sending.outbox.to == [["r@x.example"]]
    assert counted("queued") == queued + 1
    assert re.fullmatch(r"20261129\.00\.[0-9a-f]{16}", report.report_id)
    assert (report.org_name, report.email) == (HOSTNAME, f"postmaster@{HOSTNAME}")
    assert (report.version, report.errors) == ("1.0", ())
    assert (report.begin_s, report.end_s) == (NOW_MS // 1000 - 86_400, NOW_MS // 1000 - 1)
    assert [(one.source_ip, one.count) for one in report.records] == [
        ("192.0.2.1", 2),
        ("2001:db8::1", 1),
    ]
    assert report.records[1].reasons == (Reason(type="sampled_out"),)
    assert report.policy.p == "reject"
    assert await sending.left() == []

    message = parsed(mail)
    subject = f"Report Domain: x.example Submitter: {HOSTNAME} Report-ID: <{report.report_id}>"
    assert message["Subject"] == mail.subject == subject
    assert message["From"].addresses[0].addr_spec == f"postmaster@{HOSTNAME}"
    assert [one.addr_spec for one in message["To"].addresses] == ["r@x.example"]
    assert message["Message-Id"] == f"<{mail.message_id}>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == datetime.fromtimestamp(sending.clock.now_ms() // 1000, UTC)
    text, attachment = message.iter_parts()
    assert message.get_content_type() == "multipart/mixed"
    assert "x.example" in text.get_content()
    assert attachment.get_content_type() == "application/gzip"
    assert attachment.get_filename() == (
        f"{HOSTNAME}!x.example!{report.begin_s}!{report.end_s}.xml.gz"
    )
    content = attachment.get_content()
    assert gzip.decompress(content).startswith(b"<?xml")


async def test_it_is_signed_by_the_domain_above_the_host(sending: Sending) -> None:
    await sending.add(evaluated())
    await sending.round()
    resolver = Zones(sending.keys.record)
    content = sending.outbox.taken[0].content
    (result,) = await verify(
        resolver, content, now_s=sending.clock.now_ms() // 1000, suffixes=SUFFIXES
    )
    assert result.is_pass
    assert result.signature is not None
    assert (result.signature.domain, result.signature.identity_local) == (
        "here.example",
        "postmaster",
    )


async def test_without_keys_it_is_not_signed(sending: Sending) -> None:
    sending.keys.domain = "elsewhere.example"
    await sending.add(evaluated())
    assert len(await sending.round()) == 1
    assert b"DKIM-Signature" not in sending.outbox.taken[0].content


async def test_only_what_is_due(sending: Sending) -> None:
    sending.resolver = Zones(
        {
            f"_dmarc.{name}.example": {"TXT": [f"v=DMARC1; p=none; rua=mailto:r@{name}.example"]}
            for name in ("hourly", "daily", "optional", "mixed")
        }
    )
    hourly = "v=DMARC1; p=none; rua=mailto:r@hourly.example; ri=3600"
    early = NOW_MS - 5 * HOUR_MS - 1
    await sending.add(
        evaluated(hourly, "hourly.example", at_ms=early),
        evaluated(RUA, "daily.example", at_ms=early),
        evaluated(hourly, "optional.example", at_ms=early, optional=True),
        evaluated(hourly, "mixed.example", at_ms=early, optional=True),
        evaluated(RUA, "mixed.example", at_ms=early),
    )
    (report,) = await sending.round(HOUR - 5)
    assert report.policy.domain == "hourly.example"
    # What is optional alone is forgotten, unless something of a longer period wants it told.
    assert await sending.left() == ["daily.example", "mixed.example"]
    found = await sending.round()
    assert [(one.policy.domain, sum(r.count for r in one.records)) for one in found] == [
        ("daily.example", 1),
        ("mixed.example", 2),
    ]
    assert await sending.left() == []
    assert await sending.round() == []


async def test_the_period_covers_what_was_left_over(sending: Sending) -> None:
    record = RUA + "; ri=7200"
    await sending.add(
        evaluated(record, at_ms=NOW_MS - 5 * HOUR_MS), evaluated(record, at_ms=NOW_MS - 1)
    )
    (report,) = await sending.round()
    assert report.begin_s == NOW_MS // 1000 - 6 * 3600
    assert [record.count for record in report.records] == [2]


async def test_a_whole_period(sending: Sending) -> None:
    record = RUA + "; ri=7200"
    await sending.add(evaluated(record, at_ms=NOW_MS - 2 * HOUR_MS))
    (report,) = await sending.round()
    assert report.begin_s == NOW_MS // 1000 - 2 * 3600


async def test_what_came_after_the_hour_waits(sending: Sending) -> None:
    await sending.add(evaluated(), evaluated(at_ms=NOW_MS))
    (report,) = await sending.round()
    assert [record.count for record in report.records] == [1]
    assert await sending.left() == ["x.example"]


@pytest.mark.parametrize(
    "resolver",
    [
        Zones({}),
        zones("v=DMARC1; p=reject"),
        zones("v=DMARC1; p=reject; rua=https://x.example/"),
        zones("v=DMARC1; p=reject; rua=mailto:r@other.example"),
        zones("v=DMARC1; bogus"),
    ],
    ids=["gone", "no rua", "https", "no consent", "malformed"],
)
async def test_nobody_wants_it_any_more(sending: Sending, resolver: Zones) -> None:
    sending.resolver = resolver
    await sending.add(evaluated())
    assert await sending.round() == []
    assert sending.outbox.taken == []
    assert await sending.left() == []


async def test_the_record_of_the_organisation_is_another_one(sending: Sending) -> None:
    await sending.add(evaluated(domain="sub.x.example"))
    assert await sending.round() == []
    assert await sending.left() == []


async def test_dns_that_fails_and_then_works(sending: Sending) -> None:
    sending.resolver = zones(temporary=["_dmarc.x.example"])
    await sending.add(evaluated())
    assert await sending.round() == []
    assert await sending.left() == ["x.example"]
    sending.resolver = zones()
    (report,) = await sending.round(HOUR + 24)
    assert (report.end_s - report.begin_s + 1) == 2 * 86_400
    assert await sending.left() == []


async def test_old_ones_go(sending: Sending) -> None:
    sending.resolver = zones(temporary=["_dmarc.x.example"])
    await sending.add(evaluated(at_ms=NOW_MS - 1), evaluated(at_ms=NOW_MS + 1))
    await sending.round(HOUR + 47)
    content = await sending.reports.evaluations.content("x.example", HOUR + 47)
    assert content is not None
    assert content.records[0].count == 2
    await sending.round(HOUR + 48)
    content = await sending.reports.evaluations.content("x.example", HOUR + 48)
    assert content is not None
    assert content.records[0].count == 1
    await sending.round(HOUR + 49)
    assert await sending.left() == []


async def test_an_address_that_cannot_be_asked_about_is_waited_for_once(
    sending: Sending,
) -> None:
    rua = "v=DMARC1; p=none; rua=mailto:r@x.example,mailto:r@y.example"
    sending.resolver = zones(rua, temporary=["x.example._report._dmarc.y.example"])
    await sending.add(evaluated())
    assert await sending.round() == []
    assert await sending.left() == ["x.example"]
    (report,) = await sending.round(HOUR + 24)
    assert report.errors == ("y.example: it cannot be asked now whether it takes reports",)
    assert sending.outbox.to == [["r@x.example"]]
    assert await sending.left() == []


async def test_none_that_can_be_asked_about(sending: Sending) -> None:
    rua = "v=DMARC1; p=none; rua=mailto:r@y.example"
    sending.resolver = zones(rua, temporary=["x.example._report._dmarc.y.example"])
    await sending.add(evaluated())
    for days in (0, 1):
        assert await sending.round(HOUR + 24 * days) == []
        assert await sending.left() == ["x.example"]


async def test_the_others_are_told_in_the_report(sending: Sending) -> None:
    sending.resolver = zones("v=DMARC1; p=none; rua=mailto:r@x.example,mailto:r@other.example")
    await sending.add(evaluated())
    (report,) = await sending.round()
    assert report.errors == ("other.example does not take reports about x.example",)


async def test_size_limits(sending: Sending) -> None:
    sending.resolver = zones("v=DMARC1; p=none; rua=mailto:a@x.example!1k,mailto:b@x.example!1m")
    await sending.add(evaluated())
    (report,) = await sending.round()
    assert sending.outbox.to == [["b@x.example"]]
    assert "a@x.example" not in parsed(sending.outbox.taken[0])["To"]
    size = len(sending.outbox.taken[0].content)
    assert 1024 < size < 10_000
    assert report.policy.domain == "x.example"


@pytest.mark.rfc("7489 §7.2.2")
async def test_too_large_for_everybody(sending: Sending) -> None:
    sending.resolver = zones("v=DMARC1; p=none; rua=mailto:a@x.example!1k,mailto:b@x.example!1k")
    await sending.add(evaluated())
    await sending.sender.round(HOUR)
    (mail,) = sending.outbox.taken
    assert sending.outbox.to == [["a@x.example", "b@x.example"]]
    message = parsed(mail)
    assert message.get_content_type() == "text/plain"
    lines = dict(line.split(": ", 1) for line in message.get_content().splitlines())
    assert lines["Report-Domain"] == "x.example"
    assert lines["Report-ID"].startswith("<20261129.00.")
    assert int(lines["Report-Size"]) > 1024
    assert lines["Submitter"] == HOSTNAME
    assert lines["Submitting-URI"] == "mailto:a@x.example,mailto:b@x.example"
    assert await sending.left() == []


async def test_suppressed_addresses(sending: Sending) -> None:
    sending.resolver = zones("v=DMARC1; p=none; rua=mailto:a@x.example,mailto:b@x.example")
    suppressed = sending.reports.suppressed
    await suppressed.add("A@x.example", NOW_MS + 1000)
    await sending.add(evaluated())
    await sending.round()
    assert sending.outbox.to == [["b@x.example"]]
    await suppressed.add("b@x.example", NOW_MS + 1000)
    await sending.add(evaluated())
    await sending.round()
    assert len(sending.outbox.taken) == 1
    assert await sending.left() == []
    sending.clock.advance(2)
    await sending.add(evaluated())
    await sending.round()
    assert sending.outbox.to[1:] == [["a@x.example", "b@x.example"]]


async def test_a_queue_that_takes_nothing_now(sending: Sending) -> None:
    await sending.add(evaluated())
    errors = counted("error")
    sending.outbox.failures = [Unavailable("disk full")]
    assert await sending.round() == []
    assert await sending.left() == ["x.example"]
    assert len(await sending.round()) == 1
    sending.outbox.failures = [Refused("no")]
    await sending.add(evaluated())
    assert await sending.round() == []
    assert await sending.left() == []
    assert counted("error") == errors + 2


async def test_a_fault_with_one_domain_is_not_the_others(sending: Sending) -> None:
    domains = [f"x{number}.example" for number in range(4)]
    sending.resolver = Zones(
        {f"_dmarc.{one}": {"TXT": [f"v=DMARC1; p=none; rua=mailto:r@{one}"]} for one in domains}
    )
    await sending.add(*(evaluated(domain=one) for one in domains))
    before = metrics.unhandled_total()
    sending.outbox.failures = [KeyError("bug")]
    assert len(await sending.round()) == 3
    assert metrics.unhandled_total() == before + 1
    assert len(await sending.left()) == 1
    # Spread over the hour, but not more than five minutes apart.
    assert sending.clock.slept == [300.0] * 3


async def test_many_are_spread_over_45_minutes(sending: Sending) -> None:
    domains = [f"x{number}.example" for number in range(90)]
    sending.resolver = Zones(
        {f"_dmarc.{one}": {"TXT": [f"v=DMARC1; p=none; rua=mailto:r@{one}"]} for one in domains}
    )
    await sending.add(*(evaluated(domain=one) for one in domains))
    assert len(await sending.round()) == 90
    assert sending.clock.slept == [30.0] * 89


async def test_an_international_domain(sending: Sending) -> None:
    name = "xn--bcher-kva.example"
    sending.resolver = zones(f"v=DMARC1; p=none; rua=mailto:r@{name}", domain=name)
    await sending.add(evaluated(domain=name))
    (report,) = await sending.round()
    message = parsed(sending.outbox.taken[0])
    assert report.policy.domain == "bücher.example"
    assert report.records[0].header_from == "bücher.example"
    assert message["Subject"].startswith(f"Report Domain: {name} Submitter")
    filename = list(message.iter_parts())[1].get_filename() or ""
    assert filename.startswith(f"{HOSTNAME}!{name}!")
    assert sending.outbox.taken[0].content.isascii()


async def test_it_wakes_after_each_hour(sending: Sending) -> None:
    end = NOW_MS + 3 * HOUR_MS + 20_000
    clock = EndingClock(NOW_MS - HOUR_MS // 2, end)
    sending.clock = clock
    seen: list[int] = []

    class Recording(DmarcReporting):
        async def round(self, hour: int) -> None:
            seen.append(hour)
            assert clock.now_ms() == hour * HOUR_MS + 59_500
            if len(seen) == 2:
                raise Unavailable("not now")  # it goes on

    before = metrics.unhandled_total()
    reporting = Recording(
        sending.reports, sending.resolver, sending.office, sending.outbox, random=lambda: 0.5
    )
    with pytest.raises(Ended):
        await reporting.run()
    assert seen == [HOUR, HOUR + 1, HOUR + 2]
    assert metrics.unhandled_total() == before + 1


async def test_into_the_queue(sending: Sending, tmp_path: Path) -> None:
    queue = memory_queue(tmp_path, clock=sending.clock)
    sending.resolver = zones("v=DMARC1; p=none; rua=mailto:a@x.example,mailto:b@x.example")
    await sending.add(evaluated())
    reporting = DmarcReporting(
        sending.reports,
        sending.resolver,
        sending.office,
        QueueSubmit(queue, live()),
        random=lambda: 0.0,
    )
    await reporting.round(HOUR)
    entries = (await page(queue, EVERY, limit=10)).entries
    assert sorted(str(entry.recipient) for entry in entries) == ["a@x.example", "b@x.example"]
    for entry in entries:
        assert str(entry.sender) == f"postmaster@{HOSTNAME}"
        assert (entry.account, entry.max_attempts) == ("boss", 5)
        assert (entry.is_dmarc_report, entry.is_tls_report) == (True, False)
        assert entry.require_tls is None
        assert entry.subject.startswith("Report Domain: x.example")
    await queue.close()
