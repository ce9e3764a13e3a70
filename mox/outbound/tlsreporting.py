"""TLS reports to the domains we send mail to, and to operators of their mail hosts.    RFC 8460 §5.

Source  spec/reports-autotls.md section 6.
Laws    rows are marked as sent before a report is queued: a crash in between loses it rather than
        sending it twice.  Only a queue that takes nothing now takes the mark away again.
"""

import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from mox.base import metrics
from mox.base.clock import Clock
from mox.base.errors import Refused, Unavailable
from mox.base.limits import TLS_REPORT_DAYS
from mox.base.log import get_logger
from mox.dns.base import DnsError, NotFound, Resolver
from mox.dns.name import BadName
from mox.mailauth.dkim.sign import SigningKey
from mox.mailauth.dmarc.destinations import mail_destination
from mox.mailauth.dmarc.record import ReportUri
from mox.message import compose
from mox.message.compose import Multipart
from mox.outbound.reporting import POSTMASTER, Office, Submit, paced
from mox.reports.keeper import Reports
from mox.reports.results import Tally, by_day_and_policy, by_day_and_recipient
from mox.smtp.address import Address
from mox.tlspolicy.tlsreport import Report, Result, format_report, merge
from mox.tlspolicy.tlsrpt import BadRecord, Record, look_up

log = get_logger("reports")

DAY_S = 86_400
_START_S = (240.0, 359.0)  # after midnight UTC
_SPREAD_S = 4 * 3600.0  # over which the reports of a day are begun
_PAUSE_MAX_S = 5 * 60.0  # between two of them
_PACKED = "application/tlsrpt+gzip"
_TEMPORARY = "temporary"
_SIGNED = (b"tls-report-domain", b"tls-report-submitter")


class _Later(Exception):  # noqa: N818
    """It cannot be known now who wants reports."""


class TlsReporting:
    """Sends what is due, day by day."""

    def __init__(
        self,
        reports: Reports,
        resolver: Resolver,
        office: Office,
        submit: Submit,
        random: Callable[[], float],
        *,
        also_success: bool = False,
    ) -> None:
        """Input  random: in [0, 1).  also_success: report also where nothing failed."""
        self._reports = reports
        self._resolver = resolver
        self._office = office
        self._submit = submit
        self._random = random
        self._also_success = also_success

    @property
    def _clock(self) -> Clock:
        return self._office.clock

    async def run(self) -> None:
        """Until cancelled; what an earlier run has left over comes first."""
        day = self._clock.now_ms() // 1000 // DAY_S
        while True:
            try:
                await self.round(day)
            except Exception as error:
                metrics.unhandled("reports")
                log.error("reports.unhandled", error)
            day = self._clock.now_ms() // 1000 // DAY_S + 1
            first, last = _START_S
            start_s = day * DAY_S + first + self._random() * (last - first)
            await self._clock.sleep(start_s - self._clock.now_ms() / 1000)

    async def round(self, end_day: int) -> None:
        """Send what happened before a day since 1970, UTC.    Errors: StoreStopped, DataDamaged."""
        results = self._reports.results
        await results.forget_before(end_day - TLS_REPORT_DAYS)
        if not self._office.signing_domain()[0]:
            log.info("reports.tls_unsigned", why="no domain above the hostname signs")
            return
        # RFC 8460 §4: those who receive the mail, then those whose hosts it came to.
        by_recipient = by_day_and_recipient(await results.of(end_day))
        await paced(
            self._clock,
            list(by_recipient.items()),
            self._to_recipient,
            total_s=_SPREAD_S,
            pause_max_s=_PAUSE_MAX_S,
        )
        by_host = by_day_and_policy(await results.of(end_day))
        await paced(
            self._clock,
            list(by_host.items()),
            self._to_host,
            total_s=_SPREAD_S,
            pause_max_s=_PAUSE_MAX_S,
        )

    async def _to_recipient(self, group: tuple[tuple[int, str], list[Tally]]) -> None:
        """The report to a recipient domain: with all its hosts."""
        (day, domain), tallies = group
        # Rows of hosts may still be of use to those who run them.
        own = [tally for tally in tallies if tally.policy_domain == domain]
        if any(tally.sent_to_recipient for tally in tallies):
            return
        try:
            addresses = await self._wanted_by(domain, tallies)
        except _Later:
            return
        if not addresses:
            await self._reports.results.forget(own)
            return
        marked = [
            msgspec.structs.replace(
                tally,
                sent_to_recipient=True,
                recipient_addresses=tuple(sorted(map(str, addresses))),
            )
            for tally in tallies
        ]
        hosts = [tally for tally in tallies if tally.policy_domain != domain]
        found = merge([result for tally in (*own, *hosts) for result in tally.results])
        await self._send(day, domain, found, addresses, tallies, marked)

    async def _to_host(self, group: tuple[tuple[int, str], list[Tally]]) -> None:
        """The report to whoever runs a mail host: whose mail was affected."""
        (day, host), tallies = group
        if any(tally.sent_to_host for tally in tallies):
            return
        try:
            addresses = await self._wanted_by(host, tallies)
        except _Later:
            return
        if not addresses:
            await self._reports.results.forget(
                [tally for tally in tallies if not tally.sent_to_recipient]
            )
            return
        names = tuple(sorted(map(str, addresses)))
        news = [tally for tally in tallies if tally.recipient_addresses != names]
        if not self._is_worth_it(news):
            return  # they know all of it from the other report
        marked = [msgspec.structs.replace(tally, sent_to_host=True) for tally in tallies]
        found = merge(
            [
                msgspec.structs.replace(
                    result,
                    policy=msgspec.structs.replace(
                        result.policy, domain=tally.recipient_domain, mx_hosts=(host,)
                    ),
                )
                for tally in news
                for result in tally.results
            ]
        )
        await self._send(day, host, found, addresses, tallies, marked)

    def _is_worth_it(self, tallies: Sequence[Tally]) -> bool:
        """Whether anybody is told: somebody asked with more than a report, and something failed."""
        return any(tally.send_report for tally in tallies) and (
            self._also_success or any(tally.has_failures for tally in tallies)
        )

    async def _wanted_by(self, domain: str, tallies: Sequence[Tally]) -> list[Address]:
        """Who gets a report about a domain or a host; nobody where there is none to be sent.

        Errors  _Later.
        """
        if not self._is_worth_it(tallies):
            return []
        began_s = self._clock.monotonic_s()
        record, result = await self._record(domain)
        metrics.TLSRPT_LOOKUP_SECONDS.labels(result).observe(self._clock.monotonic_s() - began_s)
        if result == _TEMPORARY:
            raise _Later
        found: list[Address] = []
        # RFC 8460 §3: reports by HTTPS are not sent; nobody would know from whom they are.
        for uri in record.rua if record is not None else ():
            destination = mail_destination(ReportUri(uri=uri))
            if destination is None or destination.address in found:
                continue
            address = str(destination.address)
            if not await self._reports.suppressed.covers(address, self._clock.now_ms()):
                found.append(destination.address)
        return found

    async def _record(self, domain: str) -> tuple[Record | None, str]:
        """The record of a domain or a host, and what looking for it gave, in one word."""
        try:
            record, _ = await look_up(self._resolver, domain)
        except (NotFound, BadName):
            return None, "notfound"
        except BadRecord as error:
            log.info("reports.tls_unwanted", domain=domain, why=error.public)
            return None, "malformed"
        except DnsError as error:
            log.info("reports.tls_later", domain=domain, why=error.public)
            return None, _TEMPORARY
        return record, "notfound" if record is None else "ok"

    async def _send(
        self,
        day: int,
        domain: str,
        found: tuple[Result, ...],
        addresses: Sequence[Address],
        before: Sequence[Tally],
        marked: Sequence[Tally],
    ) -> None:
        results = self._reports.results
        await results.mark(marked)
        from_domain, keys = self._office.signing_domain()
        report = Report(
            organization=from_domain,
            begin_s=day * DAY_S,
            end_s=(day + 1) * DAY_S - 1,
            contact=f"{POSTMASTER}@{from_domain}",
            report_id=f"{_stamp(day)}.{domain}@{from_domain}",
            results=found,
        )
        try:
            await self._write(report, domain, from_domain, keys, addresses)
        except Refused as error:
            metrics.TLS_REPORT_ERRORS.inc()
            log.error("reports.tls_refused", error, domain=domain)
        except Unavailable as error:
            metrics.TLS_REPORT_ERRORS.inc()
            log.warn("reports.tls_not_queued", domain=domain, why=error.public)
            await results.mark(before)

    async def _write(
        self,
        report: Report,
        domain: str,
        from_domain: str,
        keys: Sequence[SigningKey],
        addresses: Sequence[Address],
    ) -> None:
        packed = await self._reports.data.in_thread(_pack, report)
        day = datetime.fromtimestamp(report.begin_s, UTC).strftime("%Y-%m-%d")
        text = (
            f"This is an aggregate TLS report by {from_domain}\nabout connections for mail to"
            f" {domain} on {day} (UTC).\n"
        )
        # RFC 8460 §5.1
        name = f"{from_domain}!{domain}!{report.begin_s}!{report.end_s}.json.gz"
        content = Multipart(
            "report",
            (compose.text(text, eight_bit=False), compose.attachment(packed, _PACKED, name)),
            (("report-type", "tlsrpt"),),
        )
        mail = await self._office.write(
            content,
            from_domain=from_domain,
            recipients=addresses,
            # RFC 8460 §5.3
            subject=f"Report Domain: {domain} Submitter: {from_domain} Report-ID: <{report.report_id}>",
            keys=[msgspec.structs.replace(key, names=(*key.names, *_SIGNED)) for key in keys],
            fields=(
                compose.field("TLS-Report-Domain", domain),
                compose.field("TLS-Report-Submitter", from_domain),
                # RFC 8689 §5
                compose.field("TLS-Required", "No"),
            ),
            is_tls=True,
        )
        await self._submit.submit(mail)
        metrics.TLS_REPORTS_QUEUED.inc(len(addresses))
        log.info("reports.tls_queued", domain=domain, day=day, to=[str(one) for one in addresses])


def _pack(report: Report) -> bytes:
    return gzip.compress(format_report(report), mtime=0)


def _stamp(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y%m%d")
