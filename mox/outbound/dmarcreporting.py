"""DMARC aggregate reports to the domains whose mail we received.    RFC 7489 §7.2.

Source  spec/reports-autotls.md section 3.
Laws    evaluations are forgotten only when their report was taken by the queue, or never will be; a
        crash in between repeats a report rather than losing it.
"""

import gzip
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from mox.base import metrics
from mox.base.clock import Clock
from mox.base.errors import Refused, Unavailable
from mox.base.limits import DMARC_REPORT_HOURS
from mox.base.log import get_logger
from mox.dns.base import Resolver
from mox.dns.name import BadName, parse_domain
from mox.mailauth.dmarc.destinations import Destination, find_destinations
from mox.mailauth.dmarc.evaluate import Status, look_up
from mox.mailauth.dmarc.feedback import Feedback
from mox.mailauth.dmarc.feedbackxml import write
from mox.mailauth.dmarc.interval import due_intervals
from mox.message import compose
from mox.message.compose import Multipart
from mox.message.date import format_date
from mox.outbound.reporting import POSTMASTER, Office, ReportMail, Submit, paced
from mox.reports.evaluations import Content
from mox.reports.keeper import Reports

log = get_logger("reports")

HOUR_S = 3600
_DAY_HOURS = 24
_START_S = (30.0, 89.0)  # after the hour
_SPREAD_S = 45 * 60.0  # over which the reports of an hour are begun
_PAUSE_MAX_S = 5 * 60.0  # between two of them
_PACKED = "application/gzip"


class DmarcReporting:
    """Sends what is due, hour by hour."""

    def __init__(
        self,
        reports: Reports,
        resolver: Resolver,
        office: Office,
        submit: Submit,
        random: Callable[[], float],
    ) -> None:
        """Input  random: in [0, 1)."""
        self._reports = reports
        self._resolver = resolver
        self._office = office
        self._submit = submit
        self._random = random

    @property
    def _clock(self) -> Clock:
        return self._office.clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            hour = self._clock.now_ms() // 1000 // HOUR_S + 1
            first, last = _START_S
            start_s = hour * HOUR_S + first + self._random() * (last - first)
            await self._clock.sleep(start_s - self._clock.now_ms() / 1000)
            try:
                await self.round(hour)
            except Exception as error:
                metrics.unhandled("reports")
                log.error("reports.unhandled", error)

    async def round(self, hour: int) -> None:
        """Send what is due at the end of an hour.    Input: hours since 1970 before which it happened.

        Errors  StoreStopped, DataDamaged.
        """
        evaluations = self._reports.evaluations
        await evaluations.forget_before(hour - DMARC_REPORT_HOURS)
        if hour % _DAY_HOURS == 0:
            await self._reports.tidy()
        due: list[str] = []
        for waiting in await evaluations.waiting(hour, due_intervals(hour % _DAY_HOURS)):
            if waiting.is_needed:
                due.append(waiting.domain)
            elif waiting.is_due and not waiting.is_wanted:
                await evaluations.forget(waiting.domain, hour)

        async def send(domain: str) -> None:
            await self.send(domain, hour)

        await paced(self._clock, due, send, total_s=_SPREAD_S, pause_max_s=_PAUSE_MAX_S)

    async def send(self, domain: str, hour: int) -> None:
        """Send the report about a domain, in Unicode, for everything before an hour."""
        content = await self._reports.evaluations.content(domain, hour)
        if content is not None and await self._is_done(domain, hour, content):
            await self._reports.evaluations.forget(domain, hour)

    async def _is_done(self, domain: str, hour: int, content: Content) -> bool:
        """Whether nothing more is to be done with evaluations."""
        try:
            policy_domain = parse_domain(domain, lax=True).ascii
        except BadName:
            log.warn("reports.dmarc_unwanted", domain=domain, why="no domain name")
            return True
        suffixes = self._reports.suffixes()
        found = await look_up(self._resolver, policy_domain, suffixes)
        if found.status is Status.TEMPERROR:
            return False
        if found.record is None or found.domain != policy_domain:
            log.info("reports.dmarc_unwanted", domain=policy_domain, why="no record")
            return True
        destinations = await find_destinations(
            self._resolver, policy_domain, found.record.aggregate, suffixes
        )
        begin_s, end_s = _period(hour, content)
        is_first_try = begin_s == (hour - content.latest.interval_hours) * HOUR_S
        if destinations.is_temporary and (is_first_try or not destinations.accepted):
            # The next time everybody gets it together, and nobody twice.
            return False
        feedback = Feedback(
            version="1.0",
            org_name=self._office.hostname,
            email=f"{POSTMASTER}@{self._office.hostname}",
            report_id=f"{_stamp(hour)}.{secrets.token_hex(8)}",
            begin_s=begin_s,
            end_s=end_s,
            errors=destinations.problems,
            policy=content.latest.policy,
            records=content.records,
        )
        recipients = [
            one
            for one in destinations.accepted
            if not await self._reports.suppressed.covers(str(one.address), self._clock.now_ms())
        ]
        if not recipients:
            log.info("reports.dmarc_unwanted", domain=policy_domain, why="no address")
            return True
        return await self._deliver(feedback, policy_domain, recipients)

    async def _deliver(
        self, feedback: Feedback, domain: str, recipients: Sequence[Destination]
    ) -> bool:
        """Queue a report, or word that it is too large; False when that is to be tried again."""
        packed = await self._reports.data.in_thread(_pack, feedback)
        mail = await self._report(feedback, domain, packed, recipients)
        size = len(mail.content)
        # RFC 7489 §6.2: a limit is for the whole message.
        fitting = [one for one in recipients if one.max_size is None or size <= one.max_size]
        if not fitting:
            mail = await self._too_large(feedback, domain, size, recipients)
        elif len(fitting) < len(recipients):
            mail = await self._report(feedback, domain, packed, fitting)
        try:
            await self._submit.submit(mail)
        except Refused as error:
            metrics.DMARC_REPORT_ERRORS.inc()
            log.error("reports.dmarc_refused", error, domain=domain)
            return True
        except Unavailable as error:
            metrics.DMARC_REPORT_ERRORS.inc()
            log.warn("reports.dmarc_not_queued", domain=domain, why=error.public)
            return False
        metrics.DMARC_REPORTS_QUEUED.inc(len(mail.recipients))
        log.info(
            "reports.dmarc_queued",
            domain=domain,
            to=[str(one) for one in mail.recipients],
            records=len(feedback.records),
            too_large=not fitting,
        )
        return True

    async def _report(
        self, feedback: Feedback, domain: str, packed: bytes, recipients: Sequence[Destination]
    ) -> ReportMail:
        hostname = self._office.hostname
        text = (
            f"This is an aggregate DMARC report by {hostname}\nabout mail that says it is from"
            f" {domain}.\n\n{_period_text(feedback)}\n"
        )
        # RFC 7489 §7.2.1.1
        name = f"{hostname}!{domain}!{feedback.begin_s}!{feedback.end_s}.xml.gz"
        content = Multipart(
            "mixed",
            (compose.text(text, eight_bit=False), compose.attachment(packed, _PACKED, name)),
        )
        return await self._office.write(
            content,
            from_domain=hostname,
            recipients=[one.address for one in recipients],
            subject=f"Report Domain: {domain} Submitter: {hostname} Report-ID: <{feedback.report_id}>",
            keys=self._office.signing_domain()[1],
        )

    async def _too_large(
        self, feedback: Feedback, domain: str, size: int, recipients: Sequence[Destination]
    ) -> ReportMail:
        """RFC 7489 §7.2.2: what to say where a report cannot be taken."""
        hostname = self._office.hostname
        text = (
            f"Report-Date: {format_date(self._clock.now_ms())}\n"
            f"Report-Domain: {domain}\n"
            f"Report-ID: <{feedback.report_id}>\n"
            f"Report-Size: {size}\n"
            f"Submitter: {hostname}\n"
            f"Submitting-URI: {','.join(one.uri for one in recipients)}\n"
        )
        return await self._office.write(
            compose.text(text, eight_bit=False),
            from_domain=hostname,
            recipients=[one.address for one in recipients],
            subject=f"Report Error: {domain} Submitter: {hostname} Report-ID: <{feedback.report_id}>",
            keys=self._office.signing_domain()[1],
        )


def _pack(feedback: Feedback) -> bytes:
    return gzip.compress(write(feedback), mtime=0)


def _period(hour: int, content: Content) -> tuple[int, int]:
    """Seconds of begin and end: whole periods back to the first evaluation."""
    length_s = content.latest.interval_hours * HOUR_S
    end_s = hour * HOUR_S
    covered_s = end_s - content.first_ms // 1000
    periods = max(1, -(-covered_s // length_s))
    return end_s - periods * length_s, end_s - 1


def _stamp(hour: int) -> str:
    return datetime.fromtimestamp(hour * HOUR_S, UTC).strftime("%Y%m%d.%H")


def _period_text(feedback: Feedback) -> str:
    begin, end = (
        datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        for seconds in (feedback.begin_s, feedback.end_s)
    )
    return f"From {begin} to {end}: {len(feedback.records)} records."
