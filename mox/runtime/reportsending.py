"""The senders of DMARC and TLS reports, running beside everything else."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from mox.base.clock import Clock
from mox.config.live import Live
from mox.dns.base import Resolver
from mox.outbound.dmarcreporting import DmarcReporting
from mox.outbound.reporting import Office, QueueSubmit
from mox.outbound.signer import Keys
from mox.outbound.tlsreporting import TlsReporting
from mox.queue.database import Database
from mox.reports.keeper import Reports


class ReportSending:
    """Starts and stops them, as the configuration says."""

    def __init__(
        self,
        reports: Reports,
        resolver: Resolver,
        live: Live,
        clock: Clock,
        keys: Keys,
        queue: Database,
    ) -> None:
        office = Office(live=live, clock=clock, keys=keys)
        submit = QueueSubmit(queue, live)
        static = live.config.static
        self._dmarc: DmarcReporting | None = None
        self._tls: TlsReporting | None = None
        if not static.no_outgoing_dmarc_reports:
            self._dmarc = DmarcReporting(reports, resolver, office, submit, random.random)
        if not static.no_outgoing_tls_reports:
            self._tls = TlsReporting(
                reports,
                resolver,
                office,
                submit,
                random.random,
                also_success=static.outgoing_tls_reports_for_all_success,
            )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to send what is due."""
        if self._dmarc is not None:
            self._begin(self._dmarc.run(), "dmarc-reports")
        if self._tls is not None:
            self._begin(self._tls.run(), "tls-reports")

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def close(self) -> None:
        """Stop; what was not sent stays for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
