"""TLS reports received: how others fared when they sent mail to us.    RFC 8460."""

from collections import Counter
from collections.abc import Collection

import msgspec

from mox.base import metrics
from mox.reports import keys
from mox.reports.shelf import Head, Kept, Shelf
from mox.store.errors import DataDamaged
from mox.store.serverdata import ServerData
from mox.tlspolicy.tlsreport import Report, ResultType

_KINDS = frozenset(ResultType)
_OTHER = "other"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Report)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says in numbers of sessions."""

    successes: int = 0
    failures: int = 0
    kinds: dict[str, int] = {}  # failures by result type; of those RFC 8460 does not know: "other"


TlsHead = Head[Summary]


def summarize(report: Report) -> Summary:
    """The numbers of a report."""
    kinds: Counter[str] = Counter()
    for result in report.results:
        for failure in result.failures:
            kinds[_kind(failure.result_type)] += failure.failed_session_count
    return Summary(
        successes=sum(result.success_count for result in report.results),
        failures=sum(result.failure_count for result in report.results),
        kinds=dict(sorted(kinds.items())),
    )


class TlsReports:
    """The reports received."""

    def __init__(self, data: ServerData) -> None:
        self.shelf: Shelf[Summary] = Shelf(data, keys.TLS, TlsHead)
        self._data = data

    async def keep(
        self,
        report: Report,
        *,
        domains: Collection[str],
        hosts: Collection[str],
        from_domain: str,
        mail_from: str,
        now_ms: int,
    ) -> Kept:
        """Keep a report; returns once it is on disk.    Errors: StoreStopped.

        Input  domains: ours that it is about, in Unicode; hosts: those that are names of this server.
        """
        encoded, summary = await self._data.in_thread(_prepare, report)
        head = Head(
            received_ms=now_ms,
            domains=tuple(sorted({*domains, *hosts})),
            hosts=tuple(sorted(hosts)),
            from_domain=from_domain,
            mail_from=mail_from,
            organization=report.organization,
            report_id=report.report_id,
            begin_s=report.begin_s,
            end_s=report.end_s,
            summary=summary,
        )
        kept = await self.shelf.keep(head, encoded)
        if kept is Kept.STORED:
            metrics.TLS_SESSIONS.labels("success").inc(summary.successes)
            for kind, count in summary.kinds.items():
                metrics.TLS_SESSIONS.labels(kind).inc(count)
        return kept

    async def read(self, number: int) -> tuple[TlsHead, Report] | None:
        """A report with its head; None where there is none of that number.    Errors: DataDamaged."""
        found = await self.shelf.read(number)
        if found is None:
            return None
        return found[0], await self._data.in_thread(_decoded, found[1])


def _prepare(report: Report) -> tuple[bytes, Summary]:
    return _encoder.encode(report), summarize(report)


def _decoded(encoded: bytes) -> Report:
    try:
        return _decoder.decode(encoded)
    except msgspec.DecodeError as error:
        raise DataDamaged("a stored TLS report is damaged", cause=error) from error


def _kind(result_type: str) -> str:
    kind = result_type.lower()
    return kind if kind in _KINDS else _OTHER
