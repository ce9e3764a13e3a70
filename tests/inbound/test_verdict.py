"""Verdicts: what is kept, how small it is, and whether it tells what would have made a difference."""

import msgspec
import pytest
from support.judging import Court, message

from mox.inbound.decide import Decision, Facts, Failure, Need, Reason, decide
from mox.inbound.verdict import BadVerdict, Line, Verdict, decode, encode, plain
from mox.inbound.whatif import Alternatives, would_change
from mox.junk.classify import Classification
from mox.junk.reputation import Method, Reputation
from mox.junk.subjectpass import Result as TokenResult

STRANGER = Reputation(junk=None, conclusive=False, method=Method.NONE)
SPAMMER = Reputation(junk=True, conclusive=True, method=Method.FROM_ADDRESS)
FRIEND = Reputation(junk=False, conclusive=True, method=Method.TO_ADDRESS)
BAD = Classification(probability=0.99, significant=True)
MILD = Classification(probability=0.4, significant=True)
BASE = Facts(rate="", reputation=STRANGER, threshold=0.95, classification=MILD, blocklisted="")


def facts(**changes: object) -> Facts:
    return msgspec.structs.replace(BASE, **changes)


def changes(known: Facts, other: Alternatives = Alternatives()) -> dict[str, str]:  # noqa: B008
    decision = decide(known)
    assert isinstance(decision, Decision)
    return {one.what: one.then for one in would_change(known, decision, other)}


@pytest.mark.parametrize(
    ("known", "need"),
    [
        (Facts(), Need.RATE),
        (Facts(rate=""), Need.REPUTATION),
        (Facts(rate="", for_reports=True), Need.REPORT),
        (Facts(rate="", for_reports=True, has_report=False), Need.REPUTATION),
        (Facts(rate="", reputation=STRANGER, subjectpass=True), Need.TOKEN),
        (Facts(rate="", reputation=STRANGER, threshold=0.9), Need.CONTENT),
        (Facts(rate="", reputation=STRANGER), Need.BLOCKLISTS),
    ],
)
def test_the_next_fact_that_matters(known: Facts, need: Need) -> None:
    assert decide(known) is need


@pytest.mark.parametrize(
    ("known", "reason", "code", "enhanced"),
    [
        (facts(rate="1 a minute", list_allowed=True), "high-rate", 452, "4.2.2"),
        (facts(list_allowed=True, dmarc_rejects=True), "list-allow", 250, "2.2.0"),
        (facts(list_allowed=True, several_authors=True), "list-allow", 250, "2.2.0"),
        (facts(several_authors=True, dmarc_rejects=True), "several-authors", 550, "5.6.0"),
        (facts(dmarc_rejects=True, auth_required=True), "dmarc-policy", 550, "5.7.26"),
        (facts(dmarc_rejects=True, is_forward=True), "no-bad-signals", 250, "2.2.0"),
        (facts(auth_required=True), "msg-auth-required", 550, "5.7.26"),
        (facts(auth_required=True, dmarc_unsure=True), "msg-auth-required", 451, "4.7.26"),
        (facts(auth_required=True, from_validated=True), "no-bad-signals", 250, "2.2.0"),
        (facts(reputation=SPAMMER, for_reports=True, has_report=True), "msgfromfull", 451, "4.3.0"),
        (facts(for_reports=True, has_report=True, spf_failed=True), "reporting", 250, "2.2.0"),
        (facts(spf_failed=True), "spf-policy", 451, "4.3.0"),
        (
            facts(subjectpass=True, token=TokenResult.VALID, classification=BAD),
            "subjectpass",
            250,
            "2.2.0",
        ),  # fmt: skip
        (facts(classification=BAD), "junk-content", 451, "4.3.0"),
        (facts(tls=False), "junk-content-strict", 451, "4.3.0"),
        (facts(addressed=False), "junk-content-strict", 451, "4.3.0"),
        (facts(addressed=False, is_forward=True), "no-bad-signals", 250, "2.2.0"),
        (facts(iprev_passed=False), "junk-content-strict", 451, "4.3.0"),
        (facts(blocklisted="bl"), "dns-blocklisted", 451, "4.3.0"),
        (
            facts(blocklisted="bl", subjectpass=True, token=TokenResult.ABSENT, dmarc_passed=True),
            "give-subjectpass",
            550,
            "5.7.1",
        ),  # fmt: skip
        (facts(reputation=Failure(Reason.REPUTATION_ERROR)), "reputation-error", 451, "4.3.0"),
        (
            facts(classification=Failure(Reason.CLASSIFY_ERROR)),
            "junk-classify-error",
            451,
            "4.3.0",
        ),  # fmt: skip
    ],
)
def test_the_first_rule_that_fits(known: Facts, reason: str, code: int, enhanced: str) -> None:
    decision = decide(known)
    assert isinstance(decision, Decision)
    assert (decision.reason, decision.code, decision.enhanced) == (reason, code, enhanced)
    assert decision.accept is (code == 250)


def test_what_would_have_let_it_in() -> None:
    found = changes(facts(tls=False))
    assert found["TLS"] == "accepted (no-bad-signals)"
    assert found["a junk probability of at most 0.25"] == "accepted (no-bad-signals)"
    assert "SPF not failing" not in found
    policy = changes(facts(dmarc_rejects=True))
    assert policy["a DMARC pass"] == "accepted (no-bad-signals)"
    listed = changes(facts(blocklisted="bl.example", has_lists=True))
    assert listed == {"not being listed in bl.example": "accepted (no-bad-signals)"}


def test_two_reasons_are_not_undone_by_one() -> None:
    found = changes(facts(tls=False, addressed=False))
    assert "TLS" not in found
    assert "your address in To or Cc" not in found
    assert "a junk probability of at most 0.25" in found


def test_what_history_might_have_said() -> None:
    other = Alternatives(written_to=FRIEND, marked=SPAMMER)
    found = changes(facts(reputation=SPAMMER), other)
    assert found["the author being in your sent mail"] == "accepted (msgtofull)"
    assert "a message of the author marked as not junk" not in found


def test_what_would_have_kept_it_out() -> None:
    found = changes(facts(has_lists=True), Alternatives(marked=SPAMMER))
    assert found == {
        "a message of the author marked as junk": "refused (msgfromfull)",
        "SPF failing": "refused (spf-policy)",
        "the client's address without a name that leads back": "refused (junk-content-strict)",
        "no TLS": "refused (junk-content-strict)",
        "your address not in To or Cc": "refused (junk-content-strict)",
        "being on a DNS list": "refused (dns-blocklisted)",
        "a junk probability above 0.95": "refused (junk-content)",
    }
    # A friend is let in whatever the rest says.
    assert changes(facts(reputation=FRIEND)) == {}


def test_a_fact_that_nobody_looked_for_is_not_invented() -> None:
    known = Facts(rate="", dmarc_rejects=True)
    assert changes(known)["a DMARC pass"] == "judged by what is known of the sender"


async def test_what_is_kept_is_small_and_complete(court: Court) -> None:
    await court.one(message())
    verdict = await court.verdict()
    assert len(encode(verdict)) < 1000
    assert decode(encode(verdict)) == verdict
    assert [line.check for line in verdict.checks] == [
        "iprev", "spf", "dkim", "dmarc", "rate", "reputation",
    ]  # fmt: skip
    assert (verdict.mail_from, verdict.rcpt_to) == ("friend@sender.example", "me@example.org")
    assert (verdict.remote_name, verdict.connection) == ("mx.sender.example", "id1")


async def test_a_stranger_cannot_make_it_large(court: Court) -> None:
    raw = message(
        *(f"DKIM-Signature: v=1; d={'x' * 60}.example; bogus{n}" for n in range(100)),
        f"Message-ID: <{'i' * 5000}@{'y' * 60}.example>",
        author=f'"{"n" * 5000}" <{"l" * 128}@{".".join(["d" * 60] * 4)}>',
        body="word\r\n" * 1000,
    )
    await court.one(raw, hello=".".join(["h" * 60] * 4), sender=f"{'s' * 128}@sender.example")
    verdict = await court.verdict()
    assert len(encode(verdict)) < 4096
    assert len([line for line in verdict.checks if line.check == "dkim"]) == 6


def test_texts_of_strangers_are_cut_and_printable() -> None:
    assert plain("a\x00b\nc\u2028d") == "a?b?c?d"
    assert len(plain("x" * 10_000)) == 200


def test_a_record_of_another_version_is_refused() -> None:
    later = msgspec.structs.replace(Verdict(at_ms=1), version=2)
    with pytest.raises(BadVerdict, match="version 2"):
        decode(encode(later))
    with pytest.raises(BadVerdict):
        decode(b"\xff\xff")
    # Records of before a field was added are read.
    fields = msgspec.msgpack.decode(encode(Verdict(at_ms=7, checks=(Line(check="x"),))))
    assert decode(msgspec.msgpack.encode(fields[:2])).at_ms == 7
