"""What an attempt tells TLS reports.    RFC 8460 §4.3; spec/smtp-client-queue.md section 14."""

import msgspec

from mox.outbound.session import Opened
from mox.queue.entry import Entry
from mox.smtpclient.errors import DeliveryError, TlsUnavailable
from mox.smtpclient.secure import DANE_MISMATCH, NO_STARTTLS, VALIDATION_FAILURE
from mox.tlspolicy.choose import DaneFinding, DaneState, Demand, Plan
from mox.tlspolicy.dane import Status
from mox.tlspolicy.observation import Failure, Observation, Session, StsFinding
from mox.tlspolicy.pkix import Problem


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of a host before it was spoken to."""

    domain: str
    host: str
    sts: StsFinding
    dane: DaneFinding
    is_implicit_host: bool
    entry: Entry


def observe(
    seen: Seen, plan: Plan, opened: Opened, problem: DeliveryError | None, now_ms: int
) -> Observation:
    """An observation of one try."""
    tls_problem = problem if isinstance(problem, TlsUnavailable) else None
    session = Session.NONE
    if opened.tls_tried:
        broke = tls_problem is not None and not _is_verdict(tls_problem)
        session = Session.FAILED if broke else Session.SUCCEEDED
    return Observation(
        at_ms=now_ms,
        recipient_domain=seen.domain,
        host=seen.host,
        remote_ip=opened.ip,
        local_ip=opened.local_ip,
        helo=opened.helo,
        sts=seen.sts,
        dane=seen.dane,
        session=session,
        failures=tuple(dict.fromkeys(_failures(seen, plan, opened, tls_problem))),
        is_implicit_host=seen.is_implicit_host,
        from_dmarc_report=seen.entry.is_dmarc_report,
        from_tls_report=seen.entry.is_tls_report,
    )


def _failures(
    seen: Seen, plan: Plan, opened: Opened, problem: TlsUnavailable | None
) -> list[Failure]:
    """All that a report would name, also what was let pass."""
    found: list[Failure] = []
    if seen.sts.policy is not None and not seen.sts.policy.allows(seen.host):
        found.append(Failure(result_type=VALIDATION_FAILURE, reason="mtasts-policy-mx-mismatch"))
    if seen.dane.state is DaneState.UNUSABLE:
        found.append(Failure(result_type="tlsa-invalid", reason="all-unusable-records+ignored"))
    if seen.dane.state is DaneState.FAILED:
        found.append(Failure(result_type="dnssec-invalid", reason="tlsa-lookup-failed"))
    if problem is not None:
        found.append(Failure(result_type=problem.result_type, reason=problem.reason))
    elif _was_without_tls(opened, plan):
        found.append(Failure(result_type=NO_STARTTLS))
    secured = opened.secured
    if secured is not None:
        if secured.pkix.problem is not None and seen.sts.policy is not None:
            found.append(Failure(result_type=secured.pkix.problem.value))
        if secured.dane is not None and secured.dane.status is Status.MISMATCH:
            found.append(Failure(result_type=VALIDATION_FAILURE, reason=DANE_MISMATCH))
    return found


def _is_verdict(problem: TlsUnavailable) -> bool:
    """TLS came about, and a policy did not like the certificate: that policy counts a failure."""
    return problem.reason == DANE_MISMATCH or problem.result_type in tuple(Problem)


def _was_without_tls(opened: Opened, plan: Plan) -> bool:
    """The server was asked what it offers, and TLS was not among it."""
    greeted = opened.is_new and bool(opened.helo)
    return greeted and not opened.tls_tried and plan.demand is not Demand.NONE
