"""What would have changed the outcome: the same decision with one fact turned round.    Pure.

For whoever asks why a message was refused, or let in: each line names one thing, and what would have
come of it with everything else as it was.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from mox.inbound.decide import Decision, Facts, Need, decide
from mox.junk.classify import Classification
from mox.junk.reputation import History, Identity, Kind, Reputation, Sender, Vote, address, evaluate
from mox.junk.subjectpass import Result as TokenResult

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
_JUDGED_BY: Final = {
    Need.RATE: "judged further",
    Need.REPORT: "judged further",
    Need.REPUTATION: "judged by what is known of the sender",
    Need.TOKEN: "judged by its content",
    Need.CONTENT: "judged by its content",
    Need.BLOCKLISTS: "judged by the DNS lists",
}


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One thing that would have made a difference, and which."""

    what: str
    then: str


class Alternatives(msgspec.Struct, frozen=True, kw_only=True):
    """What history would have said, had one thing been otherwise; None where it was not asked."""

    written_to: Reputation | None = None  # the account had written to the author
    marked: Reputation | None = None  # one more message of the author was marked the other way
    proven: Reputation | None = None  # SPF or DKIM had stood for the author, or had not


class Remembered:
    """A history that is asked each question once."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._newest: dict[tuple[Identity, int, int], Sequence[Vote]] = {}

    def over(self, history: History) -> "Remembered":
        """The same, and what is not remembered is asked there."""
        self._history = history
        return self

    def newest(self, identity: Identity, *, since_ms: int, limit: int) -> Sequence[Vote]:
        """As ``History``."""
        key = (identity, since_ms, limit)
        if key not in self._newest:
            self._newest[key] = self._history.newest(identity, since_ms=since_ms, limit=limit)
        return self._newest[key]

    def wrote_to_address(self, localpart: str, domain: str, *, since_ms: int) -> bool:
        """As ``History``."""
        return self._history.wrote_to_address(localpart, domain, since_ms=since_ms)

    def wrote_to_domain(self, domain: str, *, since_ms: int) -> bool:
        """As ``History``."""
        return self._history.wrote_to_domain(domain, since_ms=since_ms)

    def wrote_to_org_domain(self, domain: str, *, since_ms: int) -> bool:
        """As ``History``."""
        return self._history.wrote_to_org_domain(domain, since_ms=since_ms)


class _WrittenTo(Remembered):
    """The same, had the account written to the author."""

    def wrote_to_address(self, localpart: str, domain: str, *, since_ms: int) -> bool:
        return True


class _Marked(Remembered):
    """The same, with one more and newest message of the author marked so."""

    def __init__(self, history: History, sender: Sender, vote: Vote) -> None:
        super().__init__(history)
        kind = Kind(Kind.FROM_ADDRESS + sender.from_validated)
        self._identity = Identity(kind, address(sender.from_localpart, sender.from_domain))
        self._vote = vote

    def newest(self, identity: Identity, *, since_ms: int, limit: int) -> Sequence[Vote]:
        found = super().newest(identity, since_ms=since_ms, limit=limit)
        return [self._vote, *found][:limit] if identity == self._identity else found


def alternatives(history: History, sender: Sender, now_ms: int, *, accepted: bool) -> Alternatives:
    """What history would have said otherwise.    Few more reads where it is ``Remembered``."""
    if not sender.from_domain:
        return Alternatives()
    vote = Vote(now_ms, accepted, sender.from_localpart)
    marked = evaluate(_Marked(history, sender, vote), sender, now_ms)
    if accepted:
        return Alternatives(marked=marked)
    proven = msgspec.structs.replace(sender, from_validated=not sender.from_validated)
    return Alternatives(
        written_to=evaluate(_WrittenTo(history), sender, now_ms),
        marked=marked,
        proven=None if sender.from_validated else evaluate(history, proven, now_ms),
    )


def would_change(facts: Facts, decision: Decision, other: Alternatives) -> tuple[Change, ...]:
    """Everything that, alone, would have led elsewhere."""
    return tuple(
        Change(what, then)
        for what, otherwise in _turned(facts, decision, other)
        if (then := _then(otherwise, decision)) is not None
    )


def _then(otherwise: Facts, decision: Decision) -> str | None:
    outcome = decide(otherwise)
    if isinstance(outcome, Need):
        return _JUDGED_BY[outcome]
    if outcome.accept is decision.accept:
        return None
    return f"{ACCEPTED if outcome.accept else REFUSED} ({outcome.reason})"


_Turn = tuple[bool, str, dict[str, object]]
"""Does it apply, what it is, the facts that it turns round."""


def _turned(facts: Facts, decision: Decision, other: Alternatives) -> Iterator[tuple[str, Facts]]:
    """Facts that differ in one thing, each with its name."""
    turns = _worse(facts, other) if decision.accept else _better(facts, other)
    for applies, what, changes in turns:
        if applies:
            yield what, msgspec.structs.replace(facts, **changes)
    yield from _other_content(facts, decision, probability=1.0 if decision.accept else 0.0)


def _better(facts: Facts, other: Alternatives) -> list[_Turn]:
    proven: dict[str, object] = {
        "dmarc_passed": True,
        "dmarc_rejects": False,
        "from_validated": True,
        "reputation": facts.reputation if other.proven is None else other.proven,
    }
    not_junk = "a message of the author marked as not junk"
    reverse_name = "the client's address having a name that leads back"
    has_token = facts.token is TokenResult.VALID
    return [
        (bool(facts.rate), "less mail from that network", {"rate": ""}),
        (facts.several_authors, "one author in From", {"several_authors": False}),
        (not facts.dmarc_passed, "a DMARC pass", proven),
        (
            other.written_to is not None,
            "the author being in your sent mail",
            {"reputation": other.written_to},
        ),
        (other.marked is not None, not_junk, {"reputation": other.marked}),
        (facts.spf_failed, "SPF not failing", {"spf_failed": False}),
        (not facts.iprev_passed, reverse_name, {"iprev_passed": True}),
        (not facts.tls, "TLS", {"tls": True}),
        (not facts.addressed, "your address in To or Cc", {"addressed": True}),
        (
            facts.subjectpass and not has_token,
            "a valid word in the subject",
            {"token": TokenResult.VALID},
        ),
        (
            bool(facts.blocklisted),
            f"not being listed in {facts.blocklisted}",
            {"blocklisted": ""},
        ),
    ]


def _worse(facts: Facts, other: Alternatives) -> list[_Turn]:
    no_reverse_name = "the client's address without a name that leads back"
    has_token = facts.token is TokenResult.VALID
    return [
        (facts.list_allowed, "the list's domain not being proven", {"list_allowed": False}),
        (bool(facts.has_report), "no report in it", {"has_report": False}),
        (
            other.marked is not None,
            "a message of the author marked as junk",
            {"reputation": other.marked},
        ),
        (not facts.spf_failed, "SPF failing", {"spf_failed": True}),
        (facts.iprev_passed, no_reverse_name, {"iprev_passed": False}),
        (facts.tls, "no TLS", {"tls": False}),
        (facts.addressed, "your address not in To or Cc", {"addressed": False}),
        (has_token, "no valid word in the subject", {"token": TokenResult.ABSENT}),
        (
            facts.has_lists and facts.blocklisted == "",
            "being on a DNS list",
            {"blocklisted": "a list"},
        ),
    ]


def _other_content(
    facts: Facts, decision: Decision, *, probability: float
) -> Iterator[tuple[str, Facts]]:
    """A probability on the other side of the threshold."""
    found, content = facts.classification, decision.content
    if not isinstance(found, Classification) or content is None:
        return
    side = "above" if probability else "of at most"
    # Listed only where content was good before: then it is looked at anew.
    other = msgspec.structs.replace(found, probability=probability)
    turned = msgspec.structs.replace(facts, classification=other)
    if not probability and facts.blocklisted is None:
        turned = msgspec.structs.replace(turned, blocklisted="")
    yield f"a junk probability {side} {content.threshold:.2f}", turned
