"""Reports in incoming messages: which are taken, and why others are not.

Source  spec/reports-autotls.md sections 1 and 4; RFC 7489 §7.2.1.1, RFC 8460 §3.
Laws    a message is unpacked and read in a thread, one at a time, in bounded time and memory, before
        anything is known of its sender but what was proven; nothing is stored before ``keep``.
"""

import asyncio
import contextlib
import mmap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import REPORT_MESSAGE
from mox.base.log import get_logger
from mox.config.live import Config, Live
from mox.config.names import unicode_domain
from mox.dns.name import is_within
from mox.mailauth.dkim.verify import Result as DkimResult
from mox.mailauth.dmarc import extract as dmarc
from mox.mailauth.dmarc.feedback import Feedback
from mox.mailauth.publicsuffix import PublicSuffixes, is_same_organization
from mox.message.archive import TooLarge
from mox.message.buffer import Buffer
from mox.reports.dmarc import DmarcReports
from mox.reports.shelf import Kept
from mox.reports.tlsrpt import TlsReports
from mox.tlspolicy import extract as tls
from mox.tlspolicy.tlsreport import Report as TlsReport

log = get_logger("reports")

T = TypeVar("T")

AHEAD_S = 60  # seconds that clocks may differ


class NotAReport(msgspec.Struct, frozen=True):
    """Why a message to an address for reports is treated as any other."""

    problem: str  # short, of ours; goes into a header field


class TakenDmarc(msgspec.Struct, frozen=True, kw_only=True):
    """A DMARC report about one of our domains."""

    feedback: Feedback
    domain: str  # of the published policy, in Unicode
    from_domain: str
    mail_from: str
    now_ms: int

    @property
    def summary(self) -> str:
        """One line for a verdict: who reports what."""
        count = sum(record.count for record in self.feedback.records)
        return f"DMARC report of {self.from_domain} about {self.domain}: {count} messages"


class TakenTls(msgspec.Struct, frozen=True, kw_only=True):
    """A TLS report about our domains or hosts."""

    report: TlsReport
    domains: tuple[str, ...]  # in Unicode
    hosts: tuple[str, ...]
    from_domain: str
    mail_from: str
    now_ms: int

    @property
    def summary(self) -> str:
        """One line for a verdict: who reports what."""
        count = sum(result.success_count + result.failure_count for result in self.report.results)
        about = ", ".join(dict.fromkeys((*self.domains, *self.hosts)))
        return f"TLS report of {self.from_domain} about {about}: {count} sessions"


class Taker:
    """Reads reports and keeps them."""

    def __init__(
        self,
        dmarc_reports: DmarcReports,
        tls_reports: TlsReports,
        live: Live,
        suffixes: Callable[[], PublicSuffixes],
    ) -> None:
        """Input  suffixes: called when it is needed first; reading the list takes a while."""
        self._dmarc = dmarc_reports
        self._tls = tls_reports
        self._live = live
        self._suffixes = suffixes
        self._turn = asyncio.Semaphore(1)  # what one report takes is enough to hold

    async def read_dmarc(
        self,
        content: bytes | Path,
        *,
        from_domain: str,
        mail_from: str,
        dmarc_passed: bool,
        now_ms: int,
    ) -> TakenDmarc | NotAReport:
        """A DMARC report, or why the message is none that we take.    Input: from_domain: A-labels."""
        if not dmarc_passed:
            return NotAReport("no DMARC pass")
        try:
            feedback = await self._extract(dmarc.extract, content)
        except (Malformed, OSError) as error:
            log.info("reports.dmarc_unreadable", sender=from_domain, why=_reason(error))
            return NotAReport("could not parse report")
        domain = unicode_domain(feedback.policy.domain.removesuffix("."))
        if domain is None:
            return NotAReport("could not parse domain in published policy")
        if domain not in self._live.config.domains.domains:
            return NotAReport("published policy domain unrecognized")
        if feedback.end_s > now_ms / 1000 + AHEAD_S:
            return NotAReport("report has end date in the future")
        return TakenDmarc(
            feedback=feedback,
            domain=domain,
            from_domain=from_domain,
            mail_from=mail_from,
            now_ms=now_ms,
        )

    async def read_tls(
        self,
        content: bytes | Path,
        *,
        from_domain: str,
        mail_from: str,
        signatures: Sequence[DkimResult],
        now_ms: int,
    ) -> TakenTls | NotAReport:
        """A TLS report, or why the message is none that we take.    Input: as ``read_dmarc``."""
        if not is_signed_for_reports(signatures, from_domain, self._suffixes()):
            return NotAReport("no acceptable DKIM signature")
        try:
            report = await self._extract(tls.extract, content)
        except (Malformed, OSError) as error:
            log.info("reports.tls_unreadable", sender=from_domain, why=_reason(error))
            return NotAReport("could not parse TLS report")
        domains, hosts = _ours(report, self._live.config)
        if not domains and not hosts:
            return NotAReport("report for unknown domain")
        return TakenTls(
            report=report,
            domains=domains,
            hosts=hosts,
            from_domain=from_domain,
            mail_from=mail_from,
            now_ms=now_ms,
        )

    async def keep(self, report: object) -> None:
        """Store what ``read_dmarc`` or ``read_tls`` gave.    Errors: StoreStopped."""
        if isinstance(report, TakenDmarc):
            kept = await self._dmarc.keep(
                report.feedback,
                domain=report.domain,
                from_domain=report.from_domain,
                mail_from=report.mail_from,
                now_ms=report.now_ms,
            )
        else:
            assert isinstance(report, TakenTls), "not a report of ours"
            kept = await self._tls.keep(
                report.report,
                domains=report.domains,
                hosts=report.hosts,
                from_domain=report.from_domain,
                mail_from=report.mail_from,
                now_ms=report.now_ms,
            )
        level = log.info if kept is Kept.STORED else log.warn
        level("reports.kept", summary=report.summary, result=kept.value)

    async def _extract(self, extract: Callable[[Buffer], T], content: bytes | Path) -> T:
        async with self._turn:
            return await asyncio.to_thread(_read, extract, content)


def is_signed_for_reports(
    signatures: Sequence[DkimResult], from_domain: str, suffixes: PublicSuffixes
) -> bool:
    """Whether a signature proves that a TLS report is its author's.    RFC 8460 §3.

    ``l=`` is no proof, ever; the key must be for this service or for all; the author's domain is
    that of the signature, or below it and of the same organisation.
    """
    return any(
        one.proves_for("tlsrpt")
        and one.signature is not None
        and is_within(from_domain, one.signature.domain)
        and is_same_organization(suffixes, from_domain, one.signature.domain)
        for one in signatures
    )


def _ours(report: TlsReport, config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Our domains that a report is about, and names of this server, in Unicode."""
    named = (unicode_domain(result.policy.domain.removesuffix(".")) for result in report.results)
    found = dict.fromkeys(name for name in named if name is not None)
    return (
        tuple(name for name in found if name in config.domains.domains),
        tuple(name for name in found if name in config.host_names),
    )


def _read(extract: Callable[[Buffer], T], content: bytes | Path) -> T:
    """In a thread."""
    if isinstance(content, bytes):
        return extract(content)
    with _mapped(content) as message:
        return extract(message)


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[Buffer]:
    """A file without reading it.    Errors: TooLarge."""
    size = path.stat().st_size
    if size > REPORT_MESSAGE:
        raise TooLarge("message too large for a report")
    if not size:
        yield b""  # nothing to map
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def _reason(error: Malformed | OSError) -> str:
    return error.public if isinstance(error, Malformed) else str(error)
