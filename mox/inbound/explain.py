"""The texts of X-Mox-Reason: how a decision came about, for people, in the order of the steps.    Pure.

Source  spec/reputation.md section 7.  Informational; the reason word before them is for programs.
"""

from typing import Final

from mox.base.limits import REASON_TEXT
from mox.inbound.decide import Decision, Facts
from mox.junk.classify import Classification, describe_words
from mox.junk.reputation import WEAK_METHODS, Kind, Method, Reputation, Signal
from mox.junk.subjectpass import Result as TokenResult
from mox.message.headerwriter import HeaderWriter

_BASED_ON: Final = {
    Method.FROM_ADDRESS: "messages from the exact address",
    Method.TO_ADDRESS: "messages sent to the address",
    Method.FROM_DOMAIN: "messages from the domain",
    Method.TO_DOMAIN: "messages sent to the domain",
    Method.FROM_ORG_DOMAIN: "messages from the organizational domain",
    Method.TO_ORG_DOMAIN: "messages sent to the organizational domain",
    Method.DKIM_SPF: "domains proven by DKIM and SPF",
    Method.NONE: "nothing",
}
_MASKS: Final = {Kind.IP1: ("/32", "/64"), Kind.IP2: ("/26", "/48"), Kind.IP3: ("/21", "/32")}


def texts(facts: Facts, decision: Decision, *, utf8: bool) -> tuple[str, ...]:
    """The steps that were taken.    Input: utf8: the message may have words in UTF-8 in its header."""
    found = [_dmarc(facts)]
    if facts.list_allowed:
        found.append("the domain of the mailing list is proven")
    if facts.is_forward:
        found.append("a rule says that it was forwarded")
    if facts.has_report:
        found.append("a report, to an address for reports")
    if isinstance(facts.reputation, Reputation):
        found.append(_reputation(facts.reputation))
        if not facts.reputation.conclusive and not facts.has_report:
            found += _sender(facts, facts.reputation)
    if facts.token is not None and facts.token is not TokenResult.ABSENT:
        valid = facts.token is TokenResult.VALID
        found.append("the word in the subject is " + ("valid" if valid else "not valid"))
    if decision.content is not None:
        found.append(_content(facts, decision, utf8=utf8))
        if facts.blocklisted and decision.content.good:
            found.append(f"listed in {facts.blocklisted}")
        elif facts.has_lists and facts.blocklisted == "" and decision.content.good:
            found.append("in no dns list")
    found.append(_final(decision))
    return tuple(found)


def _dmarc(facts: Facts) -> str:
    if facts.list_allowed or facts.is_forward:
        return "not using any dmarc result"
    if facts.dmarc_rejects:
        return "the policy of the author's domain does not want it delivered"
    return "dmarc ok" if facts.dmarc_passed else "not using any dmarc result"


def _reputation(reputation: Reputation) -> str:
    word = {True: "junk", False: "nonjunk", None: "unknown"}[reputation.junk]
    sure = "conclusive" if reputation.conclusive else "inconclusive"
    return f"reputation {word}, {sure}, based on {_basis(reputation)}"


def _basis(reputation: Reputation) -> str:
    signals = reputation.signals
    if reputation.method in (Method.IP1, Method.IP2, Method.IP3):
        return ", ".join(_network(signal) for signal in signals)
    basis = _BASED_ON[reputation.method]
    if reputation.method is Method.DKIM_SPF:
        named = [f"{one.identity.value} {one.junk}/{one.messages} junk" for one in signals]
        return f"{basis}: {', '.join(named)}"
    return f"{sum(one.messages for one in signals)} {basis}" if signals else basis


def _network(signal: Signal) -> str:
    kind, value = signal.identity
    mask = _MASKS[kind][":" in value]
    return f"network {value}{mask}, {signal.messages} messages, score {_share(signal):.2f}"


def _share(signal: Signal) -> float:
    return signal.junk / signal.messages if signal.messages else 0.0


def _sender(facts: Facts, reputation: Reputation) -> list[str]:
    """What makes a sender nobody knows suspect."""
    if reputation.method not in WEAK_METHODS:
        return []
    found = []
    if facts.spf_failed:
        found.append("spf fails for a sender not known")
    if not facts.iprev_passed:
        found.append("no reverse name for a sender not known")
    return found


def _content(facts: Facts, decision: Decision, *, utf8: bool) -> str:
    content = decision.content
    assert content is not None
    found = facts.classification
    if not isinstance(found, Classification):
        return "content ok, no junk filter configured" if found is None else "content not read"
    said = "content ok" if content.good else "content looks like junk"
    if not found.significant:
        said += ", not significant"
    said += f", score {found.probability:.2f}, threshold {content.threshold:.2f}"
    if content.strict:
        said += f" because of {_strictness(facts)}"
    for name, words in (("ham", found.ham), ("spam", found.spam)):
        if words:
            said += f", {name} words {describe_words(words, utf8=utf8)}"
    return said


def _strictness(facts: Facts) -> str:
    known = facts.reputation
    weak = isinstance(known, Reputation) and known.method in WEAK_METHODS
    if weak and not facts.iprev_passed:
        return "the missing reverse name"
    return "no tls" if not facts.tls else "the recipient being in neither to nor cc"


def _final(decision: Decision) -> str:
    if decision.accept:
        return "accepted"
    if decision.give_token:
        return "refused, with a way to come again"
    return "refused for good" if decision.code >= 500 else "refused for now"


def field(reason: str, said: tuple[str, ...]) -> bytes:
    """The whole header field, folded; one line whatever the texts hold."""
    out = HeaderWriter("X-Mox-Reason:")
    for text in (reason, *said):
        cut = text[:REASON_TEXT]
        if not cut.isprintable():
            cut = "".join(c if c.isprintable() else " " for c in cut)
        out.add(*cut.split())
        out.end_token(";")
    return out.finish()
