"""What the control socket tells of received reports."""

import msgspec

from mox.base.errors import Refused
from mox.base.limits import KIB
from mox.config.names import unicode_domain
from mox.ctl import reportcommands as ctl
from mox.ctl.server import Call, Handlers
from mox.reports.keeper import Reports

_PIECE = 64 * KIB  # characters; escaped and in UTF-8 far below a line of the control socket


class ReportControl:
    """Handlers of one worker."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def add_to(self, table: Handlers) -> None:
        """Put the handlers into a table."""
        table.on(ctl.DMARC_REPORTS, self._on_dmarc_reports)
        table.on(ctl.DMARC_REPORT, self._on_dmarc_report)
        table.on(ctl.TLS_REPORTS, self._on_tls_reports)
        table.on(ctl.TLS_REPORT, self._on_tls_report)

    async def _on_dmarc_reports(self, wanted: ctl.ReportsWanted, call: Call) -> ctl.ReportsShown:
        count = 0
        heads = self._reports.dmarc.shelf.heads(domain=_domain(wanted), since_ms=wanted.since_ms)
        async for number, head in heads:
            await call.progress(ctl.DmarcReceived(number=number, report=head))
            count += 1
        return ctl.ReportsShown(count=count)

    async def _on_tls_reports(self, wanted: ctl.ReportsWanted, call: Call) -> ctl.ReportsShown:
        count = 0
        heads = self._reports.tls.shelf.heads(domain=_domain(wanted), since_ms=wanted.since_ms)
        async for number, head in heads:
            await call.progress(ctl.TlsReceived(number=number, report=head))
            count += 1
        return ctl.ReportsShown(count=count)

    async def _on_dmarc_report(self, wanted: ctl.ReportNumber, call: Call) -> ctl.ReportSent:
        found = await self._reports.dmarc.read(wanted.number)
        if found is None:
            raise _missing(wanted)
        return await self._send(ctl.DmarcReport(head=found[0], feedback=found[1]), call)

    async def _on_tls_report(self, wanted: ctl.ReportNumber, call: Call) -> ctl.ReportSent:
        found = await self._reports.tls.read(wanted.number)
        if found is None:
            raise _missing(wanted)
        return await self._send(ctl.TlsReport(head=found[0], report=found[1]), call)

    async def _send(self, report: ctl.DmarcReport | ctl.TlsReport, call: Call) -> ctl.ReportSent:
        encoded = await self._reports.data.in_thread(msgspec.json.encode, report)
        text = encoded.decode()
        starts = range(0, len(text), _PIECE)
        for start in starts:
            await call.progress(text[start : start + _PIECE])
        return ctl.ReportSent(pieces=len(starts))


def _domain(wanted: ctl.ReportsWanted) -> str | None:
    """As it is stored; None for any."""
    if not wanted.domain:
        return None
    domain = unicode_domain(wanted.domain)
    if domain is None:
        raise Refused(f"{wanted.domain!r} is not a domain")
    return domain


def _missing(wanted: ctl.ReportNumber) -> Refused:
    return Refused(f"there is no report {wanted.number} (any more)")
