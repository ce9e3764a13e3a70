"""The decision table: first row that fits, and how content is weighed."""

import pytest

from mox.junk.classify import Classification
from mox.junk.decide import (
    Content,
    Decision,
    Facts,
    Reason,
    by_content,
    by_reputation,
    by_token,
    decide,
    is_suspicious,
    weigh_content,
)
from mox.junk.reputation import WEAK_METHODS, Method, Reputation


def known(method: str, junk: bool | None = None, *, conclusive: bool = False) -> Reputation:
    return Reputation(junk=junk, conclusive=conclusive, method=Method(method))


STRANGER = known("none")
GOOD = Content(good=True, strict=False, threshold=0.95, weak=True, classification=None)
NOT_WEAK = Content(good=True, strict=False, threshold=0.95, weak=False, classification=None)
BAD = Content(good=False, strict=False, threshold=0.95, weak=False, classification=None)
BAD_WEAK = Content(good=False, strict=False, threshold=0.95, weak=True, classification=None)
STRICT = Content(good=False, strict=True, threshold=0.25, weak=False, classification=None)
TOKEN = Facts(token_available=True, dmarc_passed=True)
LISTED = Facts(blocklisted=True)
LISTED_TOKEN = Facts(token_available=True, dmarc_passed=True, blocklisted=True)
EVERYTHING_BAD = Facts(spf_failed=True, iprev_passed=False, blocklisted=True)


@pytest.mark.parametrize(
    ("reputation", "facts", "content", "accept", "reason"),
    [
        # 1, 2: conclusive reputation is asked nothing more
        (known("msgtofull", False, conclusive=True), EVERYTHING_BAD, STRICT, True, "msgtofull"),
        (known("ip1", True, conclusive=True), Facts(has_report=True), GOOD, False, "ip1"),
        # 3
        (known("none", True), Facts(has_report=True, iprev_passed=False), BAD, True, "reporting"),
        # 4: only without knowledge of From
        (STRANGER, Facts(spf_failed=True, token_valid=True), GOOD, False, "spf-policy"),
        (known("dkimspf"), Facts(spf_failed=True), GOOD, False, "spf-policy"),
        (known("msgfromfull", True), Facts(spf_failed=True), GOOD, True, "no-bad-signals"),
        # 5: needs a lean to junk
        (known("ip1", True), Facts(iprev_passed=False, token_valid=True), GOOD, False, "iprev"),
        (known("ip1", False), Facts(iprev_passed=False), GOOD, True, "no-bad-signals"),
        (known("ip1"), Facts(iprev_passed=False), GOOD, True, "no-bad-signals"),
        (known("msgfromdomain", True), Facts(iprev_passed=False), GOOD, True, "no-bad-signals"),
        # 6
        (known("ip1", True), Facts(token_valid=True), STRICT, True, "subjectpass"),
        # 7, 8
        (STRANGER, TOKEN, BAD, False, "junk-content"),
        (STRANGER, LISTED_TOKEN, BAD, False, "junk-content"),
        (STRANGER, Facts(), STRICT, False, "junk-content-strict"),
        # 9, 10
        (STRANGER, LISTED, GOOD, False, "dns-blocklisted"),
        (known("ip1"), LISTED_TOKEN, GOOD, False, "dns-blocklisted"),
        (STRANGER, Facts(token_available=True, blocklisted=True), GOOD, False, "dns-blocklisted"),
        (STRANGER, Facts(dmarc_passed=True, blocklisted=True), GOOD, False, "dns-blocklisted"),
        # 11
        (STRANGER, Facts(), NOT_WEAK, True, "no-bad-signals"),
        (STRANGER, TOKEN, GOOD, True, "no-bad-signals"),
    ],
)
def test_rows_without_token(
    reputation: Reputation, facts: Facts, content: Content, accept: bool, reason: str
) -> None:
    found = decide(reputation, facts, content)
    assert (found.accept, found.reason, found.give_token) == (accept, reason, False)


@pytest.mark.parametrize(
    ("facts", "content"), [(TOKEN, BAD_WEAK), (LISTED_TOKEN, GOOD), (LISTED_TOKEN, NOT_WEAK)]
)
def test_rows_that_ask_for_a_token(facts: Facts, content: Content) -> None:
    assert decide(STRANGER, facts, content) == Decision(
        accept=False, reason=Reason.GIVE_SUBJECTPASS, give_token=True
    )
    for method in WEAK_METHODS - {Method.NONE}:
        assert not decide(known(method), facts, content).give_token


def test_steps_need_no_later_facts() -> None:
    assert by_reputation(STRANGER, Facts()) is None
    assert by_token(Facts()) is None
    assert by_content(STRANGER, Facts(), GOOD).accept


def test_only_strangers_are_suspicious() -> None:
    no_name = Facts(iprev_passed=False)
    assert {method for method in Method if is_suspicious(known(method), no_name)} == WEAK_METHODS
    assert not is_suspicious(STRANGER, Facts())


def weigh(
    probability: float,
    *,
    significant: bool = True,
    threshold: float = 0.95,
    jitter: float = 0.0,
    suspicious: bool = False,
    tls: bool = True,
    addressed: bool = True,
) -> tuple[bool, bool]:
    found = weigh_content(
        Classification(probability=probability, significant=significant),
        threshold=threshold,
        jitter=jitter,
        suspicious=suspicious,
        tls=tls,
        addressed=addressed,
    )
    return found.good, found.strict


def test_content_is_good_up_to_the_threshold() -> None:
    assert weigh(0.95) == (True, False)
    assert weigh(0.951) == (False, False)
    assert weigh(0.951, jitter=0.01) == (True, False)
    assert weigh(0.93, jitter=-0.05) == (False, False)


@pytest.mark.parametrize("why", [{"suspicious": True}, {"tls": False}, {"addressed": False}])
def test_one_doubt_makes_it_strict(why: dict[str, bool]) -> None:
    assert weigh(0.4, **why) == (False, True)
    assert weigh(0.25, **why) == (True, True)
    # a lower threshold stays
    assert weigh(0.22, threshold=0.2, **why) == (False, False)


def test_a_filter_that_knows_little_accepts_unless_suspicious() -> None:
    assert weigh(0.99, significant=False) == (True, False)
    assert weigh(0.99, significant=False, suspicious=True) == (False, True)
    assert weigh(0.99, significant=False, tls=False) == (True, True)


def test_weak_junk_is_well_below_the_threshold() -> None:
    for probability, weak in ((0.74, True), (0.76, False)):
        found = weigh_content(
            Classification(probability=probability, significant=True),
            threshold=0.95,
            jitter=0.0,
            suspicious=False,
            tls=True,
            addressed=True,
        )
        assert found.weak is weak


def test_without_a_filter_content_is_good() -> None:
    found = weigh_content(
        None, threshold=0.95, jitter=0.0, suspicious=True, tls=False, addressed=False
    )
    assert found.good
    assert not found.weak
    assert found.classification is None


def test_phisher_is_judged_by_content_alone() -> None:
    bank = known("msgfromfull", True)
    assert decide(bank, EVERYTHING_BAD, BAD).reason == "junk-content"
    clean = Facts(spf_failed=True, iprev_passed=False)
    assert decide(bank, clean, GOOD).accept


def test_spammer_at_a_known_address_needs_a_name() -> None:
    leans = known("ip1", True)
    assert decide(leans, Facts(iprev_passed=False), GOOD).reason == "iprev"
    assert decide(leans, Facts(), GOOD).accept
