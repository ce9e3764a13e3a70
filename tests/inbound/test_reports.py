"""Reports on their whole way: one server writes and signs them, another judges, understands and keeps them."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.judging import GOOD_ZONES, IP, STATIC, Court, message
from support.reporting import SUFFIXES, Place, place

from mox.base.flags import SEEN
from mox.config.live import Live
from mox.config.load import load
from mox.dns.zones import Zones
from mox.mailauth.dmarc.feedback import Feedback, PolicyPublished, Record
from mox.outbound.dmarcreporting import DmarcReporting
from mox.outbound.reporting import ReportMail
from mox.outbound.tlsreporting import TlsReporting
from mox.reports.evaluations import Evaluated as EvaluatedLike
from mox.reports.keeper import Reports, open_reports
from mox.reports.taker import Taker
from mox.store.serverdata import memory_server_data
from mox.tlspolicy.tlsreport import Failure, Policy, Result

MakeCourt = Callable[..., Court]
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

DOMAINS = """\
[domains."example.org"]
localpart_catchall_separator = "+"
[domains."example.org".dmarc]
localpart = "dmarc"
account = "me"
mailbox = "DMARC"
[domains."example.org".tlsrpt]
localpart = "tls"
account = "me"
mailbox = "TLSRPT"
[domains."other.example"]
[domains."other.example".dmarc]
localpart = "dmarc"
domain = "example.org"
account = "me"
mailbox = "DMARC"
[accounts.me]
domain = "example.org"
[accounts.me.destinations."@example.org"]
"""


class Circle:
    """Who writes reports (at mx.sender.example), and who receives them (example.org)."""

    def __init__(self, writer: Place, court: Court, reports: Reports) -> None:
        self.writer = writer
        self.court = court
        self.reports = reports

    async def dmarc(self, domain: str = "example.org") -> ReportMail:
        """A DMARC report about a domain."""
        now_ms = self.writer.clock.now_ms()
        reporting = DmarcReporting(
            self.writer.reports,
            Zones({f"_dmarc.{domain}": {"TXT": [f"v=DMARC1; p=none; rua=mailto:r@{domain}"]}}),
            self.writer.office,
            self.writer.outbox,
            random=lambda: 0.0,
        )
        await self.writer.reports.evaluations.add(evaluated(domain, now_ms - 1))
        await reporting.round(now_ms // HOUR_MS)
        return self.writer.outbox.taken[-1]

    async def tls(self, domain: str = "example.org") -> ReportMail:
        """A TLS report about a domain."""
        now_ms = self.writer.clock.now_ms()
        self.writer.reports.results.add(
            domain,
            domain,
            [
                Result(
                    policy=Policy(type="sts", domain=domain),
                    success_count=3,
                    failure_count=1,
                    failures=(Failure(result_type="certificate-expired", failed_session_count=1),),
                )
            ],
            is_host=False,
            send_report=True,
            at_ms=now_ms - 1,
        )
        reporting = TlsReporting(
            self.writer.reports,
            Zones({f"_smtp._tls.{domain}": {"TXT": [f"v=TLSRPTv1; rua=mailto:r@{domain}"]}}),
            self.writer.office,
            self.writer.outbox,
            random=lambda: 0.0,
        )
        await reporting.round(now_ms // DAY_MS)
        return self.writer.outbox.taken[-1]

    async def receive(self, mail: ReportMail, to: str) -> None:
        outcome = await self.court.one(mail.content, to, sender=str(mail.sender))
        assert outcome.reply.code == 250

    async def kept(self) -> list[int]:
        """Messages, or sessions, in the reports that were kept."""
        counts = [head.summary.messages async for _, head in self.reports.dmarc.shelf.heads()]
        return counts + [head.summary.successes async for _, head in self.reports.tls.shelf.heads()]


def evaluated(domain: str, at_ms: int) -> EvaluatedLike:
    """Mail of that domain, from somewhere."""
    import ipaddress

    from mox.inbound.hooks import Evaluated
    from mox.mailauth.dmarc.evaluate import Evaluation, Found, Status
    from mox.mailauth.dmarc.record import parse_record
    from mox.mailauth.spf import Identity, Sender
    from mox.mailauth.spf import Result as SpfResult
    from mox.mailauth.spf import Status as SpfStatus

    record = parse_record(f"v=DMARC1; p=none; rua=mailto:r@{domain}".encode())
    return Evaluated(
        at_ms=at_ms,
        evaluation=Evaluation(
            status=Status.FAIL, from_domain=domain, found=Found(record=record, domain=domain)
        ),
        spf=SpfResult(
            status=SpfStatus.FAIL,
            identity=Identity.MAILFROM,
            sender=Sender(ip=ipaddress.ip_address("203.0.113.9"), helo="x", domain=domain),
            domain=domain,
        ),
        signatures=(),
        source_ip="203.0.113.9",
        envelope_to="sender.example",
        envelope_from=domain,
        rejected=False,
        overrides=(),
        optional=False,
    )


@pytest.fixture
async def circle(make_court: MakeCourt) -> AsyncIterator[Circle]:
    async with place() as writer:
        writer.hostname = "mx.sender.example"
        writer.keys.domain = "sender.example"
        data = memory_server_data()
        reports = await open_reports(data, suffixes=lambda: SUFFIXES)
        # The key is that of ``OneKey``; made anew for its domain.
        names: dict[str, Any] = {
            **GOOD_ZONES,
            "sel._domainkey.sender.example": next(iter(writer.keys.record.values())),
            "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=reject"]},
        }
        live = Live(load(STATIC, DOMAINS))
        taker = Taker(reports.dmarc, reports.tls, live, lambda: SUFFIXES)
        court = make_court(domains=DOMAINS, resolver=Zones(names), reports=taker)
        court.clock.advance((writer.clock.now_ms() - court.clock.now_ms()) / 1000)
        yield Circle(writer, court, reports)
        await reports.close()
        await data.close()


@pytest.mark.parametrize("to", ["dmarc@example.org", "dmarc+x@example.org", "DMARC@example.org"])
async def test_a_dmarc_report(circle: Circle, to: str) -> None:
    mail = await circle.dmarc()
    await circle.receive(mail, to)
    assert await circle.kept() == [1]
    found = await circle.reports.dmarc.read(1)
    assert found is not None
    head, feedback = found
    assert (head.domains, head.from_domain) == (("example.org",), "mx.sender.example")
    assert feedback == Feedback(
        version="1.0",
        org_name="mx.sender.example",
        email="postmaster@mx.sender.example",
        report_id=feedback.report_id,
        begin_s=feedback.end_s + 1 - 86_400,
        end_s=circle.writer.clock.now_ms() // 1000 - 1,
        policy=PolicyPublished(
            domain="example.org", adkim="r", aspf="r", p="none", sp="none", pct=100
        ),
        records=(
            Record(
                source_ip="203.0.113.9",
                count=1,
                disposition="none",
                dkim="fail",
                spf="fail",
                envelope_to="sender.example",
                envelope_from="example.org",
                header_from="example.org",
                spf_results=feedback.records[0].spf_results,
            ),
        ),
    )
    (message_,) = await circle.court.messages("DMARC")
    assert message_.flags & SEEN
    assert "X-Mox-DMARCReport-Error" not in message_.header
    verdict = await circle.court.verdict()
    assert "DMARC report of mx.sender.example about example.org: 1 messages" in str(verdict)
    # The same once more is a report too, and counted once.
    await circle.receive(mail, to)
    assert await circle.kept() == [1]


async def test_a_dmarc_report_about_another_of_our_domains(circle: Circle) -> None:
    await circle.receive(await circle.dmarc("other.example"), "dmarc@example.org")
    found = [head async for _, head in circle.reports.dmarc.shelf.heads(domain="other.example")]
    assert len(found) == 1


async def test_a_dmarc_report_about_nobody_we_know(circle: Circle) -> None:
    await circle.receive(await circle.dmarc("stranger.example"), "dmarc@example.org")
    assert await circle.kept() == []
    (kept,) = await circle.court.messages("DMARC")
    assert kept.field("X-Mox-DMARCReport-Error") == "published policy domain unrecognized"
    assert not kept.flags & SEEN


async def test_a_dmarc_report_that_nobody_proves(circle: Circle) -> None:
    mail = await circle.dmarc()
    unsigned = mail.content[mail.content.index(b"\nFrom:") + 1 :]
    outcome = await circle.court.one(
        unsigned, "dmarc@example.org", sender="x@unproven.example", hello="x.example"
    )
    assert outcome.reply.code == 550  # p=reject of the writer's domain
    assert await circle.kept() == []


async def test_mail_to_a_longer_name_is_no_report(circle: Circle) -> None:
    await circle.receive(await circle.dmarc(), "dmarcx@example.org")
    assert await circle.kept() == []
    assert len(await circle.court.messages("Inbox")) == 1


async def test_a_tls_report(circle: Circle) -> None:
    await circle.receive(await circle.tls(), "tls@example.org")
    assert await circle.kept() == [3]
    (kept,) = await circle.court.messages("TLSRPT")
    assert kept.flags & SEEN
    assert kept.field("TLS-Report-Domain") == "example.org"
    verdict = await circle.court.verdict()
    assert "TLS report of sender.example about example.org: 4 sessions" in str(verdict)


async def test_a_tls_report_that_is_only_said_to_be_one(circle: Circle) -> None:
    outcome = await circle.court.one(message(), "tls@example.org", ip=IP)
    assert outcome.reply.code == 250
    (kept,) = await circle.court.messages("TLSRPT")
    assert kept.field("X-Mox-TLSReport-Error") == "no acceptable DKIM signature"


async def test_a_large_report_is_read_from_its_file(circle: Circle) -> None:
    import gzip
    import secrets
    from email.message import EmailMessage
    from email.policy import SMTP

    from mox.mailauth.dkim.sign import sign
    from mox.mailauth.dmarc.feedbackxml import write

    now_s = circle.writer.clock.now_ms() // 1000
    feedback = Feedback(
        report_id="large",
        begin_s=now_s - 10,
        end_s=now_s,
        policy=PolicyPublished(domain="example.org"),
        records=tuple(Record(source_ip=secrets.token_hex(40), count=1) for _ in range(20_000)),
    )
    made = EmailMessage(SMTP)
    made["From"] = "postmaster@sender.example"
    made["Subject"] = "report"
    made.set_content(gzip.compress(write(feedback)), "application", "gzip")
    raw = bytes(made)
    assert len(raw) > 1 << 20
    keys = circle.writer.keys.of("sender.example")
    mail = ReportMail(
        sender=circle.court.recipient("postmaster@sender.example").address,
        recipients=(),
        content=sign(raw, keys, now_s=now_s) + raw,
        message_id="",
        subject="",
        is_tls=False,
    )
    await circle.receive(mail, "dmarc@example.org")
    assert await circle.kept() == [20_000]
