"""From facts to a verdict: accept, refuse for now, or ask for a token.

The rules are in three steps, since facts of a later step cost more and are mostly not needed:
``by_reputation``, then ``by_token``, then ``by_content``.  ``decide`` takes all facts at once.
"""

from enum import StrEnum
from typing import Final

import msgspec

from mox.junk.classify import Classification
from mox.junk.reputation import WEAK_METHODS, Method, Reputation

STRICT_THRESHOLD: Final = 0.25
JITTER: Final = 0.05  # the caller draws one from -JITTER up to JITTER: the filter is a poor oracle
_WEAK_MARGIN = 0.2  # below the threshold: weak junk


class Reason(StrEnum):
    """Why, besides the methods of reputation."""

    REPORTING = "reporting"
    SPF_POLICY = "spf-policy"
    IPREV = "iprev"
    SUBJECTPASS = "subjectpass"
    GIVE_SUBJECTPASS = "give-subjectpass"
    JUNK_CONTENT = "junk-content"
    JUNK_CONTENT_STRICT = "junk-content-strict"
    DNS_BLOCKLISTED = "dns-blocklisted"
    NO_BAD_SIGNALS = "no-bad-signals"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict of one recipient."""

    accept: bool
    reason: Reason | Method
    give_token: bool = False  # refuse for good (550 5.7.1) with a token; else 451 4.3.0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks found, beside reputation and content."""

    has_report: bool = False  # a valid DMARC or TLS report, to an address for them
    spf_failed: bool = False  # of MAIL FROM: fail or softfail
    iprev_passed: bool = True
    token_valid: bool = False  # subjectpass is on, and the Subject has a valid token
    token_available: bool = False  # subjectpass is on, and there is a key to make one
    dmarc_passed: bool = False
    blocklisted: bool = False  # in a healthy DNSBL; looked up only where content is good


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What the junk filter says, weighed for this delivery."""

    good: bool
    strict: bool  # the lower threshold was used
    threshold: float
    weak: bool  # far enough below the threshold to deserve a token
    classification: Classification | None  # None without a filter


def is_suspicious(reputation: Reputation, facts: Facts) -> bool:
    """Nothing known of the sender, and an address without a name that leads back to it."""
    return reputation.method in WEAK_METHODS and not facts.iprev_passed


def weigh_content(
    classification: Classification | None,
    *,
    threshold: float,
    jitter: float,
    suspicious: bool,
    tls: bool,
    addressed: bool,
) -> Content:
    """Whether content is good enough.

    Input  ``classification``: None where the account has no junk filter.  ``threshold``: as configured.
           ``jitter``: drawn by the caller.  ``tls``: the connection has it.  ``addressed``: the
           recipient is in To or Cc, or does not need to be (forwarding rule, empty local part).
    """
    limit = threshold + jitter
    strict = limit > STRICT_THRESHOLD and (suspicious or not tls or not addressed)
    if strict:
        limit = STRICT_THRESHOLD
    if classification is None:
        return Content(good=True, strict=False, threshold=limit, weak=False, classification=None)
    probability = classification.probability
    return Content(
        good=probability <= limit or not (classification.significant or suspicious),
        strict=strict,
        threshold=limit,
        weak=probability < limit - _WEAK_MARGIN,
        classification=classification,
    )


def by_reputation(reputation: Reputation, facts: Facts) -> Decision | None:
    """Rows 1 to 5 of the table: what needs neither token nor content.    None: go on."""
    if reputation.conclusive:
        return Decision(accept=not reputation.junk, reason=reputation.method)
    if facts.has_report:
        return Decision(accept=True, reason=Reason.REPORTING)
    if reputation.method in WEAK_METHODS and facts.spf_failed:
        return Decision(accept=False, reason=Reason.SPF_POLICY)
    if is_suspicious(reputation, facts) and reputation.junk:
        return Decision(accept=False, reason=Reason.IPREV)
    return None


def by_token(facts: Facts) -> Decision | None:
    """Row 6: the sender did as was asked."""
    return Decision(accept=True, reason=Reason.SUBJECTPASS) if facts.token_valid else None


def by_content(reputation: Reputation, facts: Facts, content: Content) -> Decision:
    """Rows 7 to 11.    ``facts.blocklisted`` counts only where content is good."""
    if not content.good:
        reason = Reason.JUNK_CONTENT_STRICT if content.strict else Reason.JUNK_CONTENT
        listed = False
    elif facts.blocklisted:
        reason, listed = Reason.DNS_BLOCKLISTED, True
    else:
        return Decision(accept=True, reason=Reason.NO_BAD_SIGNALS)
    is_stranger = facts.dmarc_passed and reputation.method is Method.NONE
    if facts.token_available and is_stranger and (listed or content.weak):
        return Decision(accept=False, reason=Reason.GIVE_SUBJECTPASS, give_token=True)
    return Decision(accept=False, reason=reason)


def decide(reputation: Reputation, facts: Facts, content: Content) -> Decision:
    """The verdict; the first row that fits."""
    return (
        by_reputation(reputation, facts)
        or by_token(facts)
        or by_content(reputation, facts, content)
    )
