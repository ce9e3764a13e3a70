"""DMARC evaluations that a domain's next report tells of.    spec/reports-autotls.md section 2.

Equal evaluations of an hour are one row with a count, so that a busy server keeps rows by how
different its mail is and not by how much of it there is.  Rows of a domain in an hour, and domains in
an hour, are limited: what a stranger's names can make of them ends there.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from mox.base.limits import DMARC_REPORT_RECORDS, EVALUATED_DOMAINS, EVALUATION_ROWS
from mox.dns.name import to_unicode
from mox.mailauth.dkim.verify import Result as DkimResult
from mox.mailauth.dkim.verify import Status as DkimStatus
from mox.mailauth.dmarc.evaluate import Evaluation
from mox.mailauth.dmarc.feedback import DkimAuth, PolicyPublished, Reason, Record, SpfAuth
from mox.mailauth.dmarc.interval import interval_hours
from mox.mailauth.publicsuffix import PublicSuffixes, is_same_organization
from mox.mailauth.spf import Identity
from mox.mailauth.spf import Result as SpfResult
from mox.reports import keys
from mox.reports.gathering import Gathering
from mox.store.engine.base import Batch, Family
from mox.store.layout import rows
from mox.store.serverdata import ServerData

_HOUR_MS = 3_600_000
_DELETE_SLICE = 1000  # rows removed at a time


class Evaluated(Protocol):
    """One evaluation, as whoever judges mail tells of it."""

    @property
    def at_ms(self) -> int:
        """When."""
        ...

    @property
    def evaluation(self) -> Evaluation:
        """With the record that names addresses for reports."""
        ...

    @property
    def spf(self) -> SpfResult:
        """Of MAIL FROM, or of HELO."""
        ...

    @property
    def signatures(self) -> Iterable[DkimResult]:
        """Of all signatures."""
        ...

    @property
    def source_ip(self) -> str:
        """Whose mail it was."""
        ...

    @property
    def envelope_to(self) -> str:
        """The recipient's domain, A-labels."""
        ...

    @property
    def envelope_from(self) -> str:
        """Of MAIL FROM, A-labels; empty for the null sender."""
        ...

    @property
    def rejected(self) -> bool:
        """Because of the policy."""
        ...

    @property
    def overrides(self) -> Iterable[str]:
        """mailing_list, forwarded, sampled_out."""
        ...

    @property
    def optional(self) -> bool:
        """Alone it is no reason for a report."""
        ...


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What equal evaluations share."""

    domain: str  # where the policy is, Unicode
    interval_hours: int
    addresses: tuple[str, ...]  # rua
    policy: PolicyPublished
    record: Record  # as in a report; its count is 0


class Tally(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A row and how often it was."""

    row: Row
    count: int
    needed: int  # how many of them ask for a report
    first_ms: int
    last_ms: int


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a domain."""

    domain: str
    rows: int
    messages: int
    is_due: bool  # a row of a period that ends
    is_needed: bool  # some evaluation of such a row asks for a report
    is_wanted: bool  # some evaluation of any row does


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a report for a domain has in it."""

    latest: Row  # the policy, the interval and the addresses are those found last
    first_ms: int
    records: tuple[Record, ...]
    skipped: int = 0  # records beyond what a report may have


class Evaluations:
    """Collects evaluations and gives them out by domain."""

    def __init__(self, data: ServerData, suffixes: Callable[[], PublicSuffixes]) -> None:
        """Input  suffixes: called when it is needed first; reading the list takes a while."""
        self._data = data
        self._suffixes = suffixes
        self._hours: dict[tuple[str, int], int] = {}  # rows of a domain and hour
        self._gathering = Gathering(data, Tally, _added, admit=self._admitted)

    async def add(self, evaluated: Evaluated) -> None:
        """Count an evaluation.    Cost: about 10 us; nothing is written now."""
        row = row_of(evaluated, self._suffixes())
        hour = evaluated.at_ms // _HOUR_MS
        key = keys.evaluation(row.domain, hour, keys.digest(msgspec.msgpack.encode(row)))
        tally = Tally(
            row=row,
            count=1,
            needed=0 if evaluated.optional else 1,
            first_ms=evaluated.at_ms,
            last_ms=evaluated.at_ms,
        )
        self._gathering.add(key, tally)

    def _admitted(self, new: dict[bytes, Tally]) -> dict[bytes, Tally]:
        """Those that there is room for; in a thread, one call at a time."""
        admitted: dict[bytes, Tally] = {}
        for key, tally in new.items():
            domain, hour = place = keys.evaluation_place(key)
            count = self._hours.get(place)
            if count is None:
                self._forget_hours(hour)
                if len(self._hours) >= EVALUATED_DOMAINS:
                    continue
                span = keys.evaluations(domain, hour, hour + 1)
                count = sum(1 for _ in self._data.engine.scan(Family.KV, *span))
            self._hours[place] = count
            if count < EVALUATION_ROWS:
                self._hours[place] += 1
                admitted[key] = tally
        return admitted

    def _forget_hours(self, hour: int) -> None:
        for place in [place for place in self._hours if place[1] < hour - 1]:
            del self._hours[place]

    async def waiting(self, hour: int, intervals: tuple[int, ...]) -> list[Waiting]:
        """What waits before an hour since 1970, by domain.    Input: the periods that end.

        Errors  StoreStopped, DataDamaged.
        """
        await self._gathering.flush()
        return await self._data.in_thread(self._waiting, hour, intervals)

    def _waiting(self, hour: int, intervals: tuple[int, ...]) -> list[Waiting]:
        found: dict[str, Waiting] = {}
        for key, value in self._data.engine.scan(Family.KV, *keys.ALL_EVALUATIONS):
            domain, at = keys.evaluation_place(key)
            if at >= hour:
                continue
            tally = rows.decode(Tally, value)
            is_due = tally.row.interval_hours in intervals
            known = found.get(domain)
            found[domain] = Waiting(
                domain=domain,
                rows=1 + (known.rows if known else 0),
                messages=tally.count + (known.messages if known else 0),
                is_due=is_due or (known is not None and known.is_due),
                is_needed=(is_due and tally.needed > 0) or (known is not None and known.is_needed),
                is_wanted=tally.needed > 0 or (known is not None and known.is_wanted),
            )
        return list(found.values())

    async def content(self, domain: str, hour: int) -> Content | None:
        """What a report has that tells of everything before an hour; None: nothing is there."""
        await self._gathering.flush()
        return await self._data.in_thread(self._content, domain, hour)

    def _content(self, domain: str, hour: int) -> Content | None:
        counts: Counter[Record] = Counter()
        latest: Tally | None = None
        first_ms = 0
        skipped = 0
        for _, value in self._data.engine.scan(Family.KV, *keys.evaluations(domain, 0, hour)):
            tally = rows.decode(Tally, value)
            if latest is None or tally.last_ms >= latest.last_ms:
                latest = tally
            first_ms = min(first_ms or tally.first_ms, tally.first_ms)
            if tally.row.record in counts or len(counts) < DMARC_REPORT_RECORDS:
                counts[tally.row.record] += tally.count
            else:
                skipped += 1
        if latest is None:
            return None
        records = [msgspec.structs.replace(one, count=count) for one, count in counts.items()]
        records.sort(key=msgspec.json.encode)
        return Content(
            latest=latest.row, first_ms=first_ms, records=tuple(records), skipped=skipped
        )

    async def forget(self, domain: str, hour: int) -> None:
        """Remove everything of a domain before an hour; returns once that is on disk."""
        await self._gathering.flush()
        batch = Batch()
        batch.delete_range(Family.KV, *keys.evaluations(domain, 0, hour))
        await self._data.stored(await self._data.write(batch))

    async def forget_before(self, hour: int) -> int:
        """Remove everything before an hour; how many rows that were."""
        await self._gathering.flush()
        removed = 0
        while old := await self._data.in_thread(self._before, hour):
            batch = Batch()
            batch.delete_all(Family.KV, old)
            await self._data.write(batch)
            removed += len(old)
        return removed

    def _before(self, hour: int) -> list[bytes]:
        found: list[bytes] = []
        for key, _ in self._data.engine.scan(Family.KV, *keys.ALL_EVALUATIONS):
            if keys.evaluation_place(key)[1] < hour:
                found.append(key)
                if len(found) == _DELETE_SLICE:
                    break
        return found

    async def close(self) -> None:
        """Store what was gathered."""
        await self._gathering.close()


def _added(one: Tally, other: Tally) -> Tally:
    return Tally(
        row=one.row,
        count=one.count + other.count,
        needed=one.needed + other.needed,
        first_ms=min(one.first_ms, other.first_ms),
        last_ms=max(one.last_ms, other.last_ms),
    )


def row_of(evaluated: Evaluated, suffixes: PublicSuffixes) -> Row:
    """What a report will say of an evaluation.    Input: one whose domain has a policy."""
    evaluation = evaluated.evaluation
    record = evaluation.found.record
    assert record is not None, "no policy, so nobody to report to"
    domain = to_unicode(evaluation.found.domain)
    return Row(
        domain=domain,
        interval_hours=interval_hours(record.interval_s),
        addresses=tuple(
            one.uri if one.max_size is None else f"{one.uri}!{one.max_size}"
            for one in record.aggregate
        ),
        policy=PolicyPublished(
            domain=domain,
            adkim="s" if record.is_dkim_strict else "r",
            aspf="s" if record.is_spf_strict else "r",
            p=record.policy.value,
            sp=(record.subdomain_policy or record.policy).value,
            pct=record.percent,
        ),
        record=Record(
            source_ip=evaluated.source_ip,
            count=0,
            # Nothing is put aside because of a policy: quarantine counts as reject.
            disposition="reject" if evaluated.rejected else "none",
            dkim="pass" if evaluation.dkim_aligned else "fail",
            spf="pass" if evaluation.is_spf_aligned else "fail",
            reasons=tuple(Reason(type=override) for override in evaluated.overrides),
            envelope_to=to_unicode(evaluated.envelope_to),
            envelope_from=to_unicode(evaluated.envelope_from),
            header_from=to_unicode(evaluation.from_domain),
            dkim_results=_dkim_results(evaluated, suffixes),
            spf_results=(_spf_result(evaluated.spf),),
        ),
    )


def _dkim_results(evaluated: Evaluated, suffixes: PublicSuffixes) -> tuple[DkimAuth, ...]:
    """The signatures of the author's organisation: others do not matter to its domain."""
    author = evaluated.evaluation.from_domain
    return tuple(
        DkimAuth(
            domain=to_unicode(one.signature.domain),
            selector=one.signature.selector,
            result=one.status.value,
            human_result="" if one.status is DkimStatus.PASS else one.reason,
        )
        for one in evaluated.signatures
        if one.signature is not None
        and is_same_organization(suffixes, one.signature.domain, author)
    )


def _spf_result(spf: SpfResult) -> SpfAuth:
    scope = "helo" if spf.identity is Identity.HELO else "mfrom"
    domain = spf.domain or spf.sender.helo
    return SpfAuth(domain=to_unicode(domain), scope=scope, result=spf.status.value)
