"""What outgoing mail counts.    spec/smtp-client-queue.md section 19."""

import asyncio
from collections.abc import Collection
from typing import Final

from mox.base import metrics
from mox.base.limits import QUEUE_ATTEMPTS_COUNTED
from mox.outbound.hosts import Destination
from mox.queue.carry import Result
from mox.smtpclient.errors import DeliveryError, NoRequireTls
from mox.tlspolicy.choose import DaneFinding, DaneState, Demand, Plan
from mox.tlspolicy.observation import StsFinding

_MODES: Final = {
    Demand.IMMEDIATE: "immediate",
    Demand.REQUIRED: "requiredstarttls",
    Demand.OPTIONAL: "opportunistic",
    Demand.NONE: "skip",
}


def connected(error: BaseException | None) -> None:
    """A connection came about or did not."""
    metrics.QUEUE_CONNECTIONS.labels(
        "ok" if error is None else _interruption(error) or "error"
    ).inc()


def destination(found: Destination, dane: DaneFinding) -> None:
    """A host is turned to, and this is known of its certificates."""
    metrics.QUEUE_DESTINATIONS.inc()
    if found.authentic:
        metrics.QUEUE_DESTINATIONS_AUTHENTIC.inc()
    if dane.state in (DaneState.RECORDS, DaneState.UNUSABLE):
        metrics.QUEUE_DANE_REQUIRED.inc()
    if dane.state is DaneState.UNUSABLE:
        metrics.QUEUE_DANE_UNVERIFIED.inc()
    if dane.state is DaneState.FAILED:
        metrics.QUEUE_DANE_ERRORS.inc()


def planned(
    host: str, plan: Plan, sts: StsFinding, dane: DaneFinding, require_tls: bool | None
) -> None:
    """What is asked of a host, and what TLS-Required: No takes no notice of."""
    if require_tls and not plan.verifies:
        without_policy()
    if require_tls is False:
        if sts.policy is not None and not sts.policy.allows(host):
            ignored("mtastsmx")
        if dane.state is DaneState.FAILED:
            ignored("badtlsa")


def without_policy() -> None:
    """Nothing proves a host that REQUIRETLS wants proven."""
    metrics.QUEUE_REQUIRETLS_UNSUPPORTED.labels("nopolicy").inc()


def ignored(what: str) -> None:
    """TLS-Required: No.    Input  what: a word of the metric's help."""
    metrics.QUEUE_TLSREQUIREDNO_IGNORED.labels(what).inc()


def fell_back(require_tls: bool | None) -> None:
    """A host whose TLS failed is tried in clear."""
    metrics.QUEUE_PLAINTEXT_FALLBACKS.inc()
    if require_tls is False:
        ignored("badtls")


def tried(
    attempt: int,
    transport: str,
    mode: str,
    results: Collection[Result],
    error: BaseException | None,
    seconds: float,
) -> None:
    """A try at one host has ended.    Input  results: of the recipients that have one."""
    metrics.QUEUE_DELIVERY_SECONDS.labels(
        str(min(attempt, QUEUE_ATTEMPTS_COUNTED)),
        transport or "(direct)",
        mode,
        _result(results, error),
    ).observe(seconds)
    if isinstance(error, NoRequireTls):
        metrics.QUEUE_REQUIRETLS_UNSUPPORTED.labels("norequiretls").inc()


def mode_of(plan: Plan, *, by_policy: bool) -> str:
    """How TLS comes about.    Input  by_policy: not because of the configuration of a relay."""
    mode = _MODES[plan.demand]
    if by_policy and plan.verify_pkix:
        mode += "+mtasts"
    if plan.records:
        mode += "+dane"
    return mode


def _interruption(error: BaseException) -> str:
    """Empty for an answer that is a no."""
    if isinstance(error, asyncio.CancelledError):
        return "canceled"
    if isinstance(error, DeliveryError) and isinstance(error.cause, TimeoutError):
        return "timeout"
    return ""


def _result(results: Collection[Result], error: BaseException | None) -> str:
    if error is not None:
        if interruption := _interruption(error):
            return interruption
        if not isinstance(error, DeliveryError):
            return "error"
        return "permerror" if error.permanent else "temperror"
    delivered = sum(one is Result.DELIVERED for one in results)
    if delivered:
        return "ok" if delivered == len(results) else "okpartial"
    return "temperror" if Result.TEMPORARY in results else "permerror"
