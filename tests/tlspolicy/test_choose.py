"""What TLS is asked of a host: policies, records, and what the sender of a message wants."""

import pytest

from mox.dns.base import Tlsa
from mox.tlspolicy.choose import DaneFinding, DaneState, Demand, Plan, choose
from mox.tlspolicy.mtasts import Mode, Policy

HOST = "mx.example.net"
GOOD = Tlsa(3, 1, 1, b"x" * 32)
RECORDS = DaneFinding(state=DaneState.RECORDS, records=(GOOD,), names=("tlsa.example", HOST))
UNUSABLE = DaneFinding(state=DaneState.UNUSABLE, records=(Tlsa(0, 0, 1, b"x"),), names=(HOST,))
FAILED = DaneFinding(state=DaneState.FAILED, problem="server failed")
ENFORCE = Policy(mode=Mode.ENFORCE, max_age_s=60, mx=(HOST,))
OTHERS = Policy(mode=Mode.ENFORCE, max_age_s=60, mx=("other.example",))
TESTING = Policy(mode=Mode.TESTING, max_age_s=60, mx=("other.example",))


def brief(plan: Plan) -> tuple[str, str, bool, bool]:
    """Demand, what is verified, fall-back, refused."""
    verified = "+".join(["pkix"] * plan.verify_pkix + ["dane"] * bool(plan.records))
    return plan.demand.value, verified, plan.may_fall_back, bool(plan.refusal)


@pytest.mark.parametrize(
    ("policy", "found", "expected"),
    [
        (None, None, ("opportunistic", "", True, False)),
        (TESTING, None, ("opportunistic", "", True, False)),
        (ENFORCE, None, ("required", "pkix", False, False)),
        (OTHERS, None, ("required", "pkix", False, True)),
        (None, RECORDS, ("required", "dane", False, False)),
        (None, UNUSABLE, ("required", "", False, False)),
        (None, FAILED, ("opportunistic", "", True, True)),
        (ENFORCE, RECORDS, ("required", "pkix+dane", False, False)),
        (TESTING, RECORDS, ("required", "dane", False, False)),
        (ENFORCE, UNUSABLE, ("required", "pkix", False, False)),
    ],
)
def test_policies(
    policy: Policy | None, found: DaneFinding | None, expected: tuple[str, str, bool, bool]
) -> None:
    plan = choose(HOST, policy=policy, found=found or DaneFinding())
    assert brief(plan) == expected
    # RFC 8689 §5: "TLS-Required: No" takes every demand back.
    ignoring = choose(HOST, policy=policy, found=found or DaneFinding(), require_tls=False)
    assert brief(ignoring) == ("opportunistic", "", True, False)
    assert ignoring.ignores_problems
    assert "TLS-Required: No" in ignoring.why


@pytest.mark.rfc("8689 §4.2.1")
@pytest.mark.parametrize(
    ("policy", "found", "refused"),
    [
        (None, None, True),
        (TESTING, None, True),
        (None, UNUSABLE, True),
        (None, FAILED, True),
        (OTHERS, None, True),
        (ENFORCE, None, False),
        (None, RECORDS, False),
        (ENFORCE, RECORDS, False),
    ],
)
def test_requiretls(policy: Policy | None, found: DaneFinding | None, refused: bool) -> None:
    plan = choose(HOST, policy=policy, found=found or DaneFinding(), require_tls=True)
    assert bool(plan.refusal) is refused
    assert plan.demand is Demand.REQUIRED
    assert not plan.may_fall_back


def test_the_name_that_is_asked_for() -> None:
    assert choose(HOST).server_name == HOST
    plan = choose(HOST, found=RECORDS)
    assert (plan.server_name, plan.names) == ("tlsa.example", ("tlsa.example", HOST))


def test_mail_that_must_not_go_out_in_clear() -> None:
    assert not choose(HOST, may_fall_back=False).may_fall_back


def test_what_is_told_to_people() -> None:
    assert choose(HOST).why == ("no policy: TLS where offered",)
    assert choose(HOST, policy=OTHERS, found=RECORDS).why == (
        "MTA-STS enforce, which does not name mx.example.net",
        "DANE, 1 usable TLSA records",
    )
