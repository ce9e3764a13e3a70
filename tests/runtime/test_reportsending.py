"""The senders of reports: started as configured, stopped, and at work."""

import asyncio
import ipaddress
from pathlib import Path

import msgspec
import pytest
from support.reporting import NOW_MS, Place, live, place

from mox.base import metrics
from mox.config.live import Live
from mox.dns.zones import Zones
from mox.inbound.hooks import Evaluated
from mox.mailauth.dmarc.evaluate import Evaluation, Found, Status
from mox.mailauth.dmarc.record import parse_record
from mox.mailauth.spf import Identity, Sender
from mox.mailauth.spf import Result as SpfResult
from mox.mailauth.spf import Status as SpfStatus
from mox.queue.database import Database, memory_queue
from mox.queue.listing import EVERY, page
from mox.runtime.reportsending import ReportSending
from mox.tlspolicy.tlsreport import Policy, Result

ZONES = Zones(
    {
        "_dmarc.x.example": {"TXT": ["v=DMARC1; p=none; rua=mailto:d@x.example; ri=3600"]},
        "_smtp._tls.x.example": {"TXT": ["v=TLSRPTv1; rua=mailto:t@x.example"]},
    }
)


def configured(**options: bool) -> Live:
    made = live()
    static = msgspec.structs.replace(made.config.static, **options)
    made.swap(msgspec.structs.replace(made.config, static=static))
    return made


async def fill(made: Place) -> None:
    """Something to report of either kind; no failure of TLS."""
    record = parse_record(b"v=DMARC1; p=none; rua=mailto:d@x.example; ri=3600")
    sender = Sender(ip=ipaddress.ip_address("192.0.2.1"), helo="x", domain="x.example")
    await made.reports.evaluations.add(
        Evaluated(
            at_ms=NOW_MS,
            evaluation=Evaluation(
                status=Status.PASS,
                from_domain="x.example",
                found=Found(record=record, domain="x.example"),
            ),
            spf=SpfResult(
                status=SpfStatus.PASS,
                identity=Identity.MAILFROM,
                sender=sender,
                domain="x.example",
            ),
            signatures=(),
            source_ip="192.0.2.1",
            envelope_to="here.example",
            envelope_from="x.example",
            rejected=False,
            overrides=(),
            optional=False,
        )
    )
    made.reports.results.add(
        "x.example",
        "x.example",
        [Result(policy=Policy(type="sts"), success_count=1)],
        is_host=False,
        send_report=True,
        at_ms=NOW_MS - 1,
    )


async def recipients(queue: Database) -> set[str]:
    return {str(one.recipient) for one in (await page(queue, EVERY, limit=10)).entries}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {"d@x.example"}),
        ({"outgoing_tls_reports_for_all_success": True}, {"d@x.example", "t@x.example"}),
        (
            {"outgoing_tls_reports_for_all_success": True, "no_outgoing_dmarc_reports": True},
            {"t@x.example"},
        ),
        (
            {"outgoing_tls_reports_for_all_success": True, "no_outgoing_tls_reports": True},
            {"d@x.example"},
        ),
        ({"no_outgoing_tls_reports": True, "no_outgoing_dmarc_reports": True}, set()),
    ],
)
async def test_what_is_sent(tmp_path: Path, options: dict[str, bool], sent: set[str]) -> None:
    before = metrics.unhandled_total()
    async with place() as made:
        await fill(made)
        queue = memory_queue(tmp_path, clock=made.clock)
        sending = ReportSending(
            made.reports, ZONES, configured(**options), made.clock, made.keys, queue
        )
        sending.start()
        async with asyncio.timeout(60):
            # The clock jumps from one time to wake to the next.
            while await recipients(queue) != sent or made.clock.now_ms() < NOW_MS + 90_000_000:
                if not sent:
                    break
                await asyncio.sleep(0.005)
        await sending.close()
        assert await recipients(queue) == sent
        await queue.close()
    assert metrics.unhandled_total() == before


async def test_closing_ends_what_waits(tmp_path: Path) -> None:
    from mox.base.clock import SystemClock

    async with place() as made:
        queue = memory_queue(tmp_path)
        sending = ReportSending(made.reports, ZONES, configured(), SystemClock(), made.keys, queue)
        sending.start()
        await asyncio.sleep(0)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {"dmarc-reports", "tls-reports"} <= names
        await sending.close()
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not {"dmarc-reports", "tls-reports"} & names
        await queue.close()
