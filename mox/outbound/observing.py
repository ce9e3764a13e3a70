"""From what was seen of a host's TLS to the rows that TLS reports are made of.

One result for the recipient's domain, whose policy is MTA-STS, and one for the host, whose policy is
DANE.    RFC 8460 §4.4; spec/smtp-client-queue.md section 14.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from mox.tlspolicy.choose import DaneState
from mox.tlspolicy.observation import Failure as Seen
from mox.tlspolicy.observation import Observation, Observer, Session
from mox.tlspolicy.tlsreport import Failure, Policy, PolicyType, Result, ResultType

# Failures that only one of the two policies knows of; the others count for both.
_OF_STS: Final = frozenset(
    {
        ResultType.CERTIFICATE_EXPIRED,
        ResultType.CERTIFICATE_HOST_MISMATCH,
        ResultType.CERTIFICATE_NOT_TRUSTED,
    }
)
_STS_MISMATCH: Final = "mtasts-policy-mx-mismatch"
_OF_DANE: Final = frozenset(
    {ResultType.TLSA_INVALID, ResultType.DNSSEC_INVALID, ResultType.DANE_REQUIRED}
)
_DANE_MISMATCH: Final = "dane-no-match"


class Rows(Protocol):
    """Who keeps results; ``reports.results.Results`` is one."""

    def add(
        self,
        recipient_domain: str,
        policy_domain: str,
        results: Iterable[Result],
        *,
        is_host: bool,
        send_report: bool,
        at_ms: int,
    ) -> None:
        """Must not block."""
        ...


class ReportingObserver(Observer):
    """Observations become rows."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def observe(self, observation: Observation) -> None:
        """As ``Observer``."""
        has_failure = bool(observation.failures) or bool(observation.sts.result_type)
        send_report = not observation.from_tls_report and (
            has_failure or not observation.from_dmarc_report
        )
        host, domain = host_result(observation), domain_result(observation)
        if not observation.is_implicit_host:
            self._add(observation, domain, send_report, is_host=False)
            self._add(observation, host, send_report, is_host=True)
        elif host.policy.type == PolicyType.TLSA and domain.policy.type != PolicyType.STS:
            # The domain is its own host: what DANE says is the whole story.
            self._add(observation, host, send_report, is_host=False)
        else:
            self._add(observation, domain, send_report, is_host=False)

    def _add(
        self, observation: Observation, result: Result, send_report: bool, *, is_host: bool
    ) -> None:
        if not (result.success_count or result.failure_count or result.failures):
            return
        self._rows.add(
            observation.recipient_domain,
            observation.host if is_host else observation.recipient_domain,
            (result,),
            is_host=is_host,
            send_report=send_report,
            at_ms=observation.at_ms,
        )


def domain_result(observation: Observation) -> Result:
    """Under the policy of the recipient's domain."""
    sts = observation.sts
    known = sts.policy is not None
    failures = [
        seen
        for seen in observation.failures
        if not _is_of_dane(seen) and (known or not _is_of_sts(seen))
    ]
    if sts.result_type:
        failures.append(Seen(result_type=sts.result_type, reason=sts.problem))
    policy = Policy(
        type=PolicyType.STS if known or sts.result_type else PolicyType.NO_POLICY_FOUND,
        strings=tuple(sts.policy.text.splitlines()) if sts.policy is not None else (),
        domain=observation.recipient_domain,
        mx_hosts=sts.policy.mx if sts.policy is not None else (),
    )
    broke = [seen for seen in failures if seen.result_type != sts.result_type]
    return _result(observation, policy, failures, failed=bool(broke))


def host_result(observation: Observation) -> Result:
    """Under what DNS says of the host."""
    dane = observation.dane
    has_dane = dane.state is not DaneState.NONE
    failures = [
        seen
        for seen in observation.failures
        if not _is_of_sts(seen) and (has_dane or not _is_of_dane(seen))
    ]
    policy = Policy(
        type=PolicyType.TLSA if has_dane else PolicyType.NO_POLICY_FOUND,
        strings=tuple(
            f"{one.usage} {one.selector} {one.matching} {one.data.hex()}" for one in dane.records
        ),
        domain=observation.host,
    )
    return _result(observation, policy, failures, failed=bool(failures))


def _result(
    observation: Observation, policy: Policy, failures: list[Seen], *, failed: bool
) -> Result:
    """A session that was tried counts once, as good or as failed; what was not tried counts none."""
    tried = observation.session is not Session.NONE
    failed = failed or observation.session is Session.FAILED
    return Result(
        policy=policy,
        success_count=int(tried and not failed),
        failure_count=int(tried and failed),
        failures=tuple(
            Failure(
                result_type=seen.result_type,
                sending_mta_ip=observation.local_ip,
                receiving_mx_hostname=observation.host,
                receiving_mx_helo=observation.helo,
                receiving_ip=observation.remote_ip,
                failed_session_count=int(tried and failed),
                failure_reason_code=seen.reason,
            )
            for seen in failures
        ),
    )


def _is_of_sts(seen: Seen) -> bool:
    return seen.result_type in _OF_STS or seen.reason == _STS_MISMATCH


def _is_of_dane(seen: Seen) -> bool:
    return seen.result_type in _OF_DANE or seen.reason == _DANE_MISMATCH
