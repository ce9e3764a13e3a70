"""What was seen of a mail host's TLS: the raw material of TLS reports.    RFC 8460 §4.

One for each session that was tried, and for each host that was not tried because of a policy.
"""

from enum import StrEnum

import msgspec

from mox.tlspolicy.choose import NO_DANE, DaneFinding
from mox.tlspolicy.mtasts import Policy


class StsFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a domain's MTA-STS policy."""

    policy: Policy | None = None
    result_type: str = ""  # what went wrong in getting it: sts-policy-fetch-error, ...
    problem: str = ""  # the same for people, and as failure reason


NO_STS = StsFinding()


class Session(StrEnum):
    """How far it came."""

    NONE = "none"  # no TLS was tried: not counted
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be reported, whether or not it kept the message back."""

    result_type: str  # RFC 8460 §4.3
    reason: str = ""  # failure-reason-code


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Of one host, at one time."""

    at_ms: int
    recipient_domain: str  # A-labels
    host: str
    remote_ip: str = ""
    local_ip: str = ""
    helo: str = ""  # what the host calls itself
    sts: StsFinding = NO_STS
    dane: DaneFinding = NO_DANE
    session: Session = Session.NONE
    failures: tuple[Failure, ...] = ()
    is_implicit_host: bool = False  # the host is the recipient's domain itself
    from_dmarc_report: bool = False
    from_tls_report: bool = False


class Observer:
    """Takes observations; this one forgets them."""

    def observe(self, observation: Observation) -> None:
        """Must not block; never raises."""
