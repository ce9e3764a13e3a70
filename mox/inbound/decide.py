"""From facts to a decision about one recipient: the whole order of the rules, in one place.    Pure.

Facts are gathered on demand: ``decide`` answers with a ``Need`` where the next rule wants a fact that
nobody has looked for, so that what costs something is looked for only where it matters.  Giving it
other facts tells what would have changed the outcome.

Source  spec/smtp-server.md section 8.1; spec/reputation.md section 5 (rules from the report on are
        those of ``mox.junk.decide``).
"""

from enum import StrEnum
from typing import Final

import msgspec

from mox.junk import decide as junk
from mox.junk.classify import Classification
from mox.junk.reputation import Reputation
from mox.junk.subjectpass import Result as TokenResult


class Reason(StrEnum):
    """The rules that are not those of ``mox.junk.decide`` and not methods of reputation."""

    HIGH_RATE = "high-rate"
    SEVERAL_AUTHORS = "several-authors"
    LIST_ALLOW = "list-allow"
    DMARC_POLICY = "dmarc-policy"
    AUTH_REQUIRED = "msg-auth-required"
    REPUTATION_ERROR = "reputation-error"
    SUBJECTPASS_ERROR = "subjectpass-error"
    FILTER_ERROR = "junk-filter-error"
    CLASSIFY_ERROR = "junk-classify-error"


class Need(StrEnum):
    """A fact that the next rule wants."""

    RATE = "rate"
    REPORT = "report"
    REPUTATION = "reputation"
    TOKEN = "token"  # noqa: S105 - no password
    CONTENT = "content"
    BLOCKLISTS = "blocklists"


class Failure(msgspec.Struct, frozen=True):
    """Looking for a fact failed; the message is to come again."""

    reason: Reason


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known; None where nobody has looked."""

    rate: str | None = None  # the limit that is exceeded; empty for none
    several_authors: bool = False
    list_allowed: bool = False  # a rule for a mailing list, whose domain is proven
    is_forward: bool = False  # a rule says so
    dmarc_passed: bool = False
    dmarc_rejects: bool = False  # the author's domain does not want this delivered
    dmarc_unsure: bool = False  # a temporary error kept us from knowing
    for_reports: bool = False  # the address is one for reports
    has_report: bool | None = None
    auth_required: bool = False  # the destination wants proven authors only
    from_validated: bool = False
    reputation: Reputation | Failure | None = None
    spf_failed: bool = False  # of MAIL FROM: fail or softfail
    iprev_passed: bool = True
    subjectpass: bool = False  # the account has it
    token: TokenResult | Failure | None = None
    threshold: float | None = None  # of the junk filter; None without one
    jitter: float = 0.0
    classification: Classification | Failure | None = None
    tls: bool = True
    addressed: bool = True  # in To or Cc, or needs not be
    has_lists: bool = False  # DNS lists are asked
    blocklisted: str | None = None  # the list that lists the client; empty for none


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the message."""

    accept: bool
    reason: str
    code: int = 250
    enhanced: str = "2.2.0"
    give_token: bool = False
    content: junk.Content | None = None  # as it was weighed


_PROCESSING: Final = (451, "4.3.0")


def accepted(reason: str, content: junk.Content | None = None) -> Decision:
    """It is delivered."""
    return Decision(accept=True, reason=reason, content=content)


def refused(reason: str, code: int, enhanced: str, content: junk.Content | None = None) -> Decision:
    """It is not."""
    return Decision(accept=False, reason=reason, code=code, enhanced=enhanced, content=content)


def decide(facts: Facts) -> Decision | Need:
    """The first rule that fits, or what it needs to know."""
    if facts.rate is None:
        return Need.RATE
    if facts.rate:
        return refused(Reason.HIGH_RATE, 452, "4.2.2")
    return _by_author(facts) or _by_sender(facts)


def _by_author(facts: Facts) -> Decision | Need | None:
    """What the message is, and what its author's domain wants."""
    if facts.list_allowed:
        return accepted(Reason.LIST_ALLOW)
    if facts.several_authors and not facts.is_forward:
        return refused(Reason.SEVERAL_AUTHORS, 550, "5.6.0")  # RFC 7489 §6.6.1
    if facts.dmarc_rejects and not facts.is_forward:
        return refused(Reason.DMARC_POLICY, 550, "5.7.26")  # RFC 7372 §3.3
    if facts.for_reports and facts.has_report is None:
        return Need.REPORT
    if facts.auth_required and not facts.from_validated:
        code, enhanced = (451, "4.7.26") if facts.dmarc_unsure else (550, "5.7.26")
        return refused(Reason.AUTH_REQUIRED, code, enhanced)
    return None


def _by_sender(facts: Facts) -> Decision | Need:
    """What is known of the sender, then what the message says."""
    reputation = facts.reputation
    if reputation is None:
        return Need.REPUTATION
    if isinstance(reputation, Failure):
        return refused(reputation.reason, *_PROCESSING)
    known = _known(facts)
    decision = junk.by_reputation(reputation, known)
    if decision is not None:
        return _decision(decision)
    if facts.subjectpass:
        if facts.token is None:
            return Need.TOKEN
        if isinstance(facts.token, Failure):
            return refused(facts.token.reason, *_PROCESSING)
    decision = junk.by_token(known)
    if decision is not None:
        return _decision(decision)
    return _by_content(facts, reputation, known)


def _by_content(facts: Facts, reputation: Reputation, known: junk.Facts) -> Decision | Need:
    classification = facts.classification
    if isinstance(classification, Failure):
        return refused(classification.reason, *_PROCESSING)
    if facts.threshold is not None and classification is None:
        return Need.CONTENT
    content = junk.weigh_content(
        classification,
        threshold=facts.threshold or 0.0,
        jitter=facts.jitter,
        suspicious=junk.is_suspicious(reputation, known),
        tls=facts.tls,
        addressed=facts.addressed or facts.is_forward,
    )
    if content.good and facts.blocklisted is None:
        return Need.BLOCKLISTS
    return _decision(junk.by_content(reputation, known, content), content)


def _known(facts: Facts) -> junk.Facts:
    return junk.Facts(
        has_report=bool(facts.has_report),
        spf_failed=facts.spf_failed,
        iprev_passed=facts.iprev_passed,
        token_valid=facts.token is TokenResult.VALID,
        token_available=facts.subjectpass,
        dmarc_passed=facts.dmarc_passed,
        blocklisted=bool(facts.blocklisted),
    )


def _decision(found: junk.Decision, content: junk.Content | None = None) -> Decision:
    if found.accept:
        return accepted(found.reason.value, content)
    if found.give_token:
        return Decision(
            accept=False,
            reason=found.reason.value,
            code=550,
            enhanced="5.7.1",
            give_token=True,
            content=content,
        )
    return refused(found.reason.value, *_PROCESSING, content)
