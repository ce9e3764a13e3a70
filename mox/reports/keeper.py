"""Everything about reports in the server's database, opened and closed together."""

from collections.abc import Callable

from mox.mailauth.publicsuffix import PublicSuffixes, listed
from mox.reports.dmarc import DmarcReports
from mox.reports.evaluations import Evaluations
from mox.reports.results import Results
from mox.reports.suppressed import SuppressedAddresses
from mox.reports.tlsrpt import TlsReports
from mox.store.serverdata import ServerData


class Reports:
    """Made by ``open_reports``."""

    def __init__(
        self, data: ServerData, *, suffixes: Callable[[], PublicSuffixes] = listed
    ) -> None:
        self.data = data
        self.suffixes = suffixes
        self.dmarc = DmarcReports(data)
        self.tls = TlsReports(data)
        self.evaluations = Evaluations(data, suffixes)
        self.results = Results(data)
        self.suppressed = SuppressedAddresses(data)

    async def tidy(self) -> None:
        """Remove received reports that are too old or too many.    Errors: StoreStopped."""
        await self.dmarc.shelf.tidy()
        await self.tls.shelf.tidy()

    async def close(self) -> None:
        """Store what was gathered; the database itself is its opener's to close."""
        await self.evaluations.close()
        await self.results.close()


async def open_reports(
    data: ServerData, *, suffixes: Callable[[], PublicSuffixes] = listed
) -> Reports:
    """The reports in an open database, without those too old.    Errors: DataDamaged, StoreStopped."""
    reports = Reports(data, suffixes=suffixes)
    await reports.dmarc.shelf.open()
    await reports.tls.shelf.open()
    await reports.tidy()
    return reports
