"""Commands about received reports."""

from msgspec import Struct

from mox.ctl.protocol import Command
from mox.mailauth.dmarc.feedback import Feedback
from mox.reports.dmarc import DmarcHead
from mox.reports.tlsrpt import TlsHead
from mox.tlspolicy.tlsreport import Report


class ReportsWanted(Struct, frozen=True, kw_only=True):
    """Summaries of received reports.    Empty and 0: about any domain, of any time."""

    domain: str = ""  # any form
    since_ms: int = 0


class ReportsShown(Struct, frozen=True, kw_only=True):
    """Each was sent on the way, the newest first."""

    count: int


class DmarcReceived(Struct, frozen=True, kw_only=True):
    """A received DMARC report in a list."""

    number: int
    report: DmarcHead


class TlsReceived(Struct, frozen=True, kw_only=True):
    """A received TLS report in a list."""

    number: int
    report: TlsHead


class ReportNumber(Struct, frozen=True, kw_only=True):
    """One of a list."""

    number: int


class DmarcReport(Struct, frozen=True, kw_only=True):
    """A received DMARC report."""

    head: DmarcHead
    feedback: Feedback


class TlsReport(Struct, frozen=True, kw_only=True):
    """A received TLS report."""

    head: TlsHead
    report: Report


class ReportSent(Struct, frozen=True, kw_only=True):
    """The JSON of a report was sent on the way, as texts that make it up: it may be long."""

    pieces: int


DMARC_REPORTS = Command("dmarc_reports", ReportsWanted, ReportsShown)  # DmarcReceived
DMARC_REPORT = Command("dmarc_report", ReportNumber, ReportSent)  # DmarcReport
TLS_REPORTS = Command("tls_reports", ReportsWanted, ReportsShown)  # TlsReceived
TLS_REPORT = Command("tls_report", ReportNumber, ReportSent)  # TlsReport
