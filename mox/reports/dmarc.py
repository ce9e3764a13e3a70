"""DMARC aggregate reports received: what others saw of mail that claims to be from our domains."""

import msgspec

from mox.base import metrics
from mox.mailauth.dkim.verify import Status as DkimStatus
from mox.mailauth.dmarc.feedback import Feedback
from mox.mailauth.spf import Status as SpfStatus
from mox.reports import keys
from mox.reports.shelf import Head, Kept, Shelf
from mox.store.errors import DataDamaged
from mox.store.serverdata import ServerData

_DISPOSITIONS = ("none", "quarantine", "reject")
_ALIGNED = ("pass", "fail")
_OTHER = "other"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Feedback)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says in numbers; all but ``records`` count messages."""

    records: int = 0
    messages: int = 0
    passed: int = 0  # aligned and passed by DKIM or SPF
    dkim_passed: int = 0
    spf_passed: int = 0
    quarantined: int = 0
    rejected: int = 0
    overridden: int = 0  # with a reason


DmarcHead = Head[Summary]


def summarize(feedback: Feedback) -> Summary:
    """The numbers of a report."""
    counts: dict[str, int] = dict.fromkeys(Summary.__struct_fields__, 0)
    counts["records"] = len(feedback.records)
    for record in feedback.records:
        dkim, spf = record.dkim.lower() == "pass", record.spf.lower() == "pass"
        disposition = record.disposition.lower()
        for name, applies in (
            ("messages", True),
            ("passed", dkim or spf),
            ("dkim_passed", dkim),
            ("spf_passed", spf),
            ("quarantined", disposition == "quarantine"),
            ("rejected", disposition == "reject"),
            ("overridden", bool(record.reasons)),
        ):
            counts[name] += record.count * applies
    return Summary(**counts)


class DmarcReports:
    """The reports received."""

    def __init__(self, data: ServerData) -> None:
        self.shelf: Shelf[Summary] = Shelf(data, keys.DMARC, DmarcHead)
        self._data = data

    async def keep(
        self, feedback: Feedback, *, domain: str, from_domain: str, mail_from: str, now_ms: int
    ) -> Kept:
        """Keep a report; returns once it is on disk.    Errors: StoreStopped.

        Input  domain: whose policy it is about, one of ours, in Unicode.  from_domain: its author's.
        """
        encoded, summary = await self._data.in_thread(_prepare, feedback)
        head = Head(
            received_ms=now_ms,
            domains=(domain,),
            from_domain=from_domain,
            mail_from=mail_from,
            organization=feedback.org_name,
            report_id=feedback.report_id,
            begin_s=feedback.begin_s,
            end_s=feedback.end_s,
            summary=summary,
        )
        kept = await self.shelf.keep(head, encoded)
        if kept is Kept.STORED:
            _count(feedback, domain)
        return kept

    async def read(self, number: int) -> tuple[DmarcHead, Feedback] | None:
        """A report with its head; None where there is none of that number.    Errors: DataDamaged."""
        found = await self.shelf.read(number)
        if found is None:
            return None
        return found[0], await self._data.in_thread(_decoded, found[1])


def _prepare(feedback: Feedback) -> tuple[bytes, Summary]:
    return _encoder.encode(feedback), summarize(feedback)


def _decoded(encoded: bytes) -> Feedback:
    try:
        return _decoder.decode(encoded)
    except msgspec.DecodeError as error:
        raise DataDamaged("a stored DMARC report is damaged", cause=error) from error


def _count(feedback: Feedback, domain: str) -> None:
    """Metrics: a label is one of ours, whatever a stranger writes."""
    for record in feedback.records:
        metrics.DMARC_EVALUATED.labels(
            domain,
            _known(record.disposition, _DISPOSITIONS),
            _known(record.dkim, _ALIGNED),
            _known(record.spf, _ALIGNED),
        ).inc(record.count)
        for dkim in record.dkim_results:
            metrics.DMARC_DKIM_RESULTS.labels(_known(dkim.result, tuple(DkimStatus))).inc(
                record.count
            )
        for spf in record.spf_results:
            metrics.DMARC_SPF_RESULTS.labels(_known(spf.result, tuple(SpfStatus))).inc(record.count)


def _known(value: str, values: tuple[str, ...]) -> str:
    return value.lower() if value.lower() in values else _OTHER
