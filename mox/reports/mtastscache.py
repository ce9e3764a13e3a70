"""MTA-STS policies of the domains we send to: found, kept as long as they say, refreshed in time.

Source  RFC 8461 §3, §5.1; spec/mail-auth.md section 8.
Laws    a policy that is kept holds until it expires, whatever becomes of the record or the server: who
        cuts us off from both must not take the policy away.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from mox.base import metrics
from mox.base.fetch import Fetched, FetchFailed, Trouble
from mox.base.limits import (
    MTASTS_ASK,
    MTASTS_BACKOFF,
    MTASTS_DOMAINS,
    MTASTS_FETCH,
    MTASTS_FETCHES,
    MTASTS_POLICY,
    MTASTS_STALE,
    MTASTS_UNUSED,
)
from mox.base.log import get_logger
from mox.dns.base import NotFound, Resolver, Temporary
from mox.dns.name import BadName
from mox.reports import keys
from mox.store.engine.base import Batch, Family
from mox.store.layout import rows
from mox.store.serverdata import ServerData
from mox.tlspolicy import mtasts
from mox.tlspolicy.mtasts import BadPolicy, BadRecord, Mode, Policy
from mox.tlspolicy.observation import NO_STS, StsFinding

log = get_logger("mtasts")

FETCH_ERROR: Final = "sts-policy-fetch-error"
WEBPKI_INVALID: Final = "sts-webpki-invalid"
POLICY_INVALID: Final = "sts-policy-invalid"
_FALLBACK: Final = "+fallback-to-cached-policy"
_BACK_OFF: Final = "back-off-after-recent-fetch-error"


class Getter(Protocol):
    """Who fetches; ``base.fetch.Fetcher`` is one."""

    async def get(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """Errors: FetchFailed."""
        ...


class Kept(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What is kept of a domain: a policy, or that it could not be had."""

    record_id: str
    text: str  # of the policy; empty: a fetch failed
    valid_until_ms: int
    updated_ms: int
    used_ms: int
    inserted_ms: int

    @property
    def policy(self) -> Policy | None:
        """The policy.    None: the entry only says to wait before the next fetch."""
        return mtasts.parse_policy(self.text.encode()) if self.text else None


class MtaStsCache:
    """The policies; ``get`` is what deliveries ask."""

    def __init__(self, data: ServerData, resolver: Resolver, getter: Getter) -> None:
        self._data = data
        self._resolver = resolver
        self._getter = getter
        self._asking: dict[str, asyncio.Task[StsFinding]] = {}
        self._room = asyncio.Semaphore(MTASTS_FETCHES)

    async def get(self, domain: str) -> StsFinding:
        """The policy of a recipient's domain, A-labels; look-ups of one domain are shared.

        Errors  Temporary: the record cannot be asked for and nothing is kept.  StoreStopped.
        """
        asking = self._asking.get(domain)
        if asking is None:
            asking = self._asking[domain] = asyncio.ensure_future(self._get(domain))
            asking.add_done_callback(lambda _: self._asking.pop(domain, None))
        return await asyncio.shield(asking)

    async def _get(self, domain: str) -> StsFinding:
        kept = await self._read(domain)
        now_ms = self._data.clock.now_ms()
        valid = kept if kept is not None and kept.valid_until_ms > now_ms else None
        policy = valid.policy if valid is not None else None
        finding = await self._ask(domain, valid, policy)
        metrics.MTASTS_GETS.labels(_result(finding)).inc()
        if valid is not None and policy is not None and finding.policy is policy:
            await self._write(domain, msgspec.structs.replace(valid, used_ms=now_ms))
        if finding.policy is not None and finding.policy.mode is Mode.NONE:
            return NO_STS
        return finding

    async def _ask(self, domain: str, valid: Kept | None, policy: Policy | None) -> StsFinding:
        """Look at the record, and fetch where it says that there is something new."""
        try:
            record_id = await self._record(domain)
        except Temporary as error:
            if policy is None:
                raise
            return _fallback(policy, FETCH_ERROR, error.public)
        except BadRecord as error:
            if policy is None:
                return StsFinding(result_type=FETCH_ERROR, problem=error.public)
            return _fallback(policy, FETCH_ERROR, error.public)
        if record_id is None:
            if policy is None:
                return NO_STS
            return _fallback(policy, FETCH_ERROR, "no MTA-STS record")
        if valid is not None and valid.record_id == record_id:
            if policy is None:
                return StsFinding(result_type=FETCH_ERROR, problem=_BACK_OFF)
            return StsFinding(policy=policy)
        return await self._renewed(domain, record_id, policy)

    async def _renewed(self, domain: str, record_id: str, policy: Policy | None) -> StsFinding:
        try:
            new = await self._fetch(domain)
        except _NotHad as error:
            if policy is not None:
                return _fallback(policy, error.result_type, error.problem)
            await self._keep(domain, record_id, None)
            return StsFinding(result_type=error.result_type, problem=error.problem)
        await self._keep(domain, record_id, new)
        return StsFinding(policy=new)

    async def _record(self, domain: str) -> str | None:
        """The id of the record; None where there is none.    Errors: Temporary, BadRecord."""
        try:
            async with asyncio.timeout(MTASTS_ASK):
                answer = await self._resolver.txt(f"{mtasts.RECORD_LABEL}.{domain}")
        except TimeoutError as error:
            raise Temporary("MTA-STS record: look-up took too long", cause=error) from error
        except (NotFound, BadName):
            return None
        return mtasts.choose_record(answer.records)

    async def _fetch(self, domain: str) -> Policy:
        """The policy as the domain serves it.    RFC 8461 §3.3.    Errors: _NotHad."""
        url = f"https://{mtasts.POLICY_HOST_LABEL}.{domain}{mtasts.POLICY_PATH}"
        try:
            async with self._room:
                answer = await self._getter.get(
                    url, max_bytes=MTASTS_POLICY, timeout_s=MTASTS_FETCH
                )
        except FetchFailed as error:
            kind = {Trouble.TLS: WEBPKI_INVALID, Trouble.SIZE: POLICY_INVALID}
            raise _NotHad(kind.get(error.trouble, FETCH_ERROR), error.public) from error
        if answer.status != 200:
            # RFC 8461 §3.3: redirects are not followed; anything but 200 is no policy.
            raise _NotHad(FETCH_ERROR, f"HTTP status {answer.status}")
        try:
            return mtasts.parse_policy(answer.body)
        except BadPolicy as error:
            raise _NotHad(POLICY_INVALID, error.public) from error

    async def _keep(self, domain: str, record_id: str, policy: Policy | None) -> None:
        now_ms = self._data.clock.now_ms()
        age_s = MTASTS_BACKOFF if policy is None else policy.max_age_s
        kept = Kept(
            record_id=record_id,
            text="" if policy is None else policy.text,
            valid_until_ms=now_ms + round(age_s * 1000),
            updated_ms=now_ms,
            used_ms=now_ms,
            inserted_ms=now_ms,
        )
        await self._write(domain, kept)

    # -------------------------------------------------------------- refreshing

    async def refresh(self, pause: Callable[[int], float]) -> int:
        """One round: forget what is not used, ask again for what is old; how many that were.

        Input   pause: seconds to wait before the next domain, given how many there are, so that not
                everybody is asked at once.
        """
        now_ms = self._data.clock.now_ms()
        old: list[str] = []
        batch = Batch()
        known = await self._data.in_thread(self._all)
        known.sort(key=lambda entry: entry[1].used_ms)
        surplus = len(known) - MTASTS_DOMAINS
        for at, (domain, kept) in enumerate(known):
            unused = at < surplus or kept.used_ms < now_ms - MTASTS_UNUSED * 1000
            expired = kept.valid_until_ms <= now_ms
            if unused or (expired and not kept.text):
                batch.delete(Family.KV, keys.sts_policy(domain))
            elif kept.text and kept.updated_ms < now_ms - MTASTS_STALE * 1000:
                old.append(domain)
        if len(batch):
            await self._data.write(batch)
        for at, domain in enumerate(old):
            if at:
                await self._data.clock.sleep(pause(len(old)))
            await self._refresh_one(domain)
        return len(old)

    async def _refresh_one(self, domain: str) -> None:
        """What fails leaves the old policy as it is."""
        kept = await self._read(domain)
        if kept is None or not kept.text:
            return
        try:
            record_id = await self._record(domain)
            if record_id is None:
                return
            new = kept.policy if record_id == kept.record_id else await self._fetch(domain)
        except (Temporary, BadRecord, _NotHad) as error:
            log.info("mtasts.not_refreshed", domain=domain, problem=str(error))
            return
        assert new is not None
        now_ms = self._data.clock.now_ms()
        changed = msgspec.structs.replace(
            kept,
            record_id=record_id,
            text=new.text,
            updated_ms=now_ms,
            valid_until_ms=now_ms + new.max_age_s * 1000,
        )
        await self._write(domain, changed)

    async def policies(self) -> list[tuple[str, Kept]]:
        """Everything that is kept, by domain."""
        return await self._data.in_thread(self._all)

    def _all(self) -> list[tuple[str, Kept]]:
        found = self._data.engine.scan(Family.KV, *keys.STS_POLICIES)
        return [(keys.sts_domain(key), rows.decode(Kept, value)) for key, value in found]

    async def _read(self, domain: str) -> Kept | None:
        value = await self._data.in_thread(
            self._data.engine.get, Family.KV, keys.sts_policy(domain)
        )
        return None if value is None else rows.decode(Kept, value)

    async def _write(self, domain: str, kept: Kept) -> None:
        batch = Batch()
        batch.put(Family.KV, keys.sts_policy(domain), rows.encode(kept))
        await self._data.write(batch)


class _NotHad(Exception):  # noqa: N818
    """There is a record, but no policy that can be used."""

    def __init__(self, result_type: str, problem: str) -> None:
        super().__init__(problem)
        self.result_type = result_type
        self.problem = problem


def _fallback(policy: Policy, result_type: str, problem: str) -> StsFinding:
    return StsFinding(policy=policy, result_type=result_type, problem=f"{problem}{_FALLBACK}")


def _result(finding: StsFinding) -> str:
    if finding.result_type:
        return "fallback" if finding.policy is not None else "error"
    return "none" if finding.policy is None else finding.policy.mode.value
