"""Writing the verdict: from what was found and decided to the record that is kept.    Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from mox.base.limits import VERDICT_SIGNATURES, VERDICT_WORDS
from mox.config.filtering import Ruleset
from mox.inbound.checks.base import Finding
from mox.inbound.decide import Decision, Facts, Failure, Need
from mox.inbound.evidence import Origin
from mox.inbound.trace import Arrival
from mox.inbound.verdict import Content, History, Line, SignalLine, Verdict, Word, plain
from mox.inbound.whatif import Change
from mox.junk.classify import Classification, ScoredWord
from mox.junk.reputation import Reputation
from mox.mailauth import dnsbl
from mox.mailauth.arc.verify import Status
from mox.smtp.address import Address


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What is told beside the facts."""

    origin: Origin
    lists: Sequence[Finding[dnsbl.Result]] | None  # the DNS lists, where all have answered
    arrival: Arrival
    mail_from: Address
    recipient: Address
    account: str
    member: str
    size: int
    ruleset: Ruleset | None
    report: str


def verdict_of(
    material: Material,
    facts: Facts,
    decision: Decision,
    changes: tuple[Change, ...],
    took_ms: Mapping[Need, int],
    total_ms: int,
) -> Verdict:
    """The record, but for where the message is kept in the end."""
    origin, arrival = material.origin, material.arrival
    author = origin.heading.author
    return Verdict(
        at_ms=arrival.received_ms,
        took_ms=total_ms,
        connection=arrival.id,
        remote_ip=arrival.remote_ip,
        remote_name=plain(origin.iprev.facts.name),
        hello=plain(arrival.hello),
        tls=arrival.tls,
        mail_from=plain(material.mail_from.unicode()),
        rcpt_to=plain(material.recipient.unicode()),
        account=material.account,
        member=material.member,
        message_id=plain(origin.heading.message_id),
        author=plain(str(author)) if author is not None else "",
        size=material.size,
        accepted=decision.accept,
        reason=decision.reason,
        code=decision.code,
        enhanced=decision.enhanced,
        checks=(
            *_of_origin(origin),
            *_of_chain(origin),
            *_of_account(material, facts, took_ms),
            *_of_lists(material, facts, took_ms),
        ),
        history=_history(facts),
        content=_content(facts, decision),
        changes=changes,
    )


def _of_origin(origin: Origin) -> list[Line]:
    reverse, spf = origin.iprev.facts, origin.spf.facts
    lines = [
        Line(
            check="iprev",
            asked=str(reverse.ip),
            result=reverse.status,
            note=plain(reverse.name or reverse.problem),
            took_ms=origin.iprev.took_ms,
        ),
        Line(
            check="spf",
            asked=f"{spf.identity} {plain(spf.domain)}",
            result=spf.status,
            note=plain(spf.problem or spf.mechanism),
            took_ms=origin.spf.took_ms,
        ),
    ]
    lines += _of_signatures(origin)
    if origin.dmarc is None:
        lines.append(
            Line(check="dmarc", result="none", note=origin.heading.author_problem or "no author")
        )
        return lines
    evaluation = origin.dmarc.facts
    record = evaluation.found.record
    policy = f"policy {evaluation.policy} of {evaluation.found.domain}"
    note = evaluation.found.reason if record is None else policy
    if not evaluation.is_sampled:
        note += ", meant for others (pct)"
    lines.append(
        Line(
            check="dmarc",
            asked=evaluation.from_domain,
            result=evaluation.status,
            note=plain(f"{note}, author validation {origin.validation}"),
            took_ms=origin.dmarc.took_ms,
        )
    )
    return lines


def _of_signatures(origin: Origin) -> list[Line]:
    results, took_ms = origin.dkim.facts, origin.dkim.took_ms
    if not results:
        return [Line(check="dkim", result="none", note="no signatures", took_ms=took_ms)]
    lines = [
        Line(
            check="dkim",
            asked=(
                ""
                if one.signature is None
                else plain(f"{one.signature.domain} {one.signature.selector}")
            ),
            result=one.status,
            note=plain(one.reason),
            took_ms=took_ms,
        )
        for one in results[:VERDICT_SIGNATURES]
    ]
    more = len(results) - len(lines) + origin.skipped_signatures
    if more:
        lines.append(Line(check="dkim", result="more", note=f"{more} more signatures"))
    return lines


def _of_chain(origin: Origin) -> list[Line]:
    chain = origin.arc.facts
    if chain.result.status is Status.NONE:
        return []  # most mail; a record is kept of every message
    return [
        Line(
            check="arc",
            asked=plain(" ".join(chain.sealers)),
            result=chain.result.status,
            note=plain(chain.result.reason),
            took_ms=origin.arc.took_ms,
        )
    ]


def _of_account(material: Material, facts: Facts, took_ms: Mapping[Need, int]) -> list[Line]:
    lines = []
    if facts.rate is not None:
        lines.append(
            Line(
                check="rate",
                result="exceeded" if facts.rate else "ok",
                note=facts.rate,
                took_ms=took_ms.get(Need.RATE, 0),
            )
        )
    if material.ruleset is not None:
        words = [f"to {material.ruleset.mailbox}"]
        words += ["mailing list"] * facts.list_allowed + ["forward"] * facts.is_forward
        comment = material.ruleset.comment
        lines.append(
            Line(check="ruleset", asked=plain(comment), result="fits", note=", ".join(words))
        )
    if facts.has_report is not None:
        lines.append(
            Line(
                check="report",
                result="taken" if facts.has_report else "none",
                note=plain(material.report),
                took_ms=took_ms.get(Need.REPORT, 0),
            )
        )
    if facts.reputation is not None:
        lines.append(_of_reputation(facts.reputation, took_ms.get(Need.REPUTATION, 0)))
    if facts.token is not None:
        failed = isinstance(facts.token, Failure)
        result = "failed" if isinstance(facts.token, Failure) else facts.token.value
        lines.append(
            Line(
                check="subjectpass",
                result=result,
                note="the key cannot be read" if failed else "",
                took_ms=took_ms.get(Need.TOKEN, 0),
            )
        )
    if facts.classification is not None:
        lines.append(_of_content(facts, took_ms.get(Need.CONTENT, 0)))
    return lines


def _of_reputation(known: Reputation | Failure, took_ms: int) -> Line:
    if isinstance(known, Failure):
        return Line(check="reputation", result="failed", took_ms=took_ms)
    word = {True: "junk", False: "not junk", None: "unknown"}[known.junk]
    sure = "conclusive" if known.conclusive else "inconclusive"
    return Line(check="reputation", asked=known.method, result=word, note=sure, took_ms=took_ms)


def _of_content(facts: Facts, took_ms: int) -> Line:
    found = facts.classification
    if not isinstance(found, Classification):
        return Line(check="content", result="failed", took_ms=took_ms)
    notes = [] if found.significant else ["not significant"]
    notes += [] if facts.tls else ["no tls"]
    notes += [] if facts.addressed else ["recipient in neither To nor Cc"]
    return Line(
        check="content",
        result=f"{found.probability:.2f}",
        note=", ".join(notes),
        took_ms=took_ms,
    )


def _of_lists(material: Material, facts: Facts, took_ms: Mapping[Need, int]) -> list[Line]:
    if material.lists is not None:
        return [
            Line(
                check="dnsbl",
                asked=one.facts.zone,
                result=one.facts.status,
                note=plain(one.facts.explanation or one.facts.problem),
                took_ms=one.took_ms,
            )
            for one in material.lists
        ]
    if not facts.blocklisted:
        return []
    waited_ms = took_ms.get(Need.BLOCKLISTS, 0)
    return [Line(check="dnsbl", asked=facts.blocklisted, result="fail", took_ms=waited_ms)]


def _history(facts: Facts) -> History | None:
    known = facts.reputation
    if not isinstance(known, Reputation):
        return None
    return History(
        method=known.method,
        junk=known.junk,
        conclusive=known.conclusive,
        signals=tuple(
            SignalLine(
                kind=one.identity.kind.name.lower(),
                value=plain(one.identity.value),
                messages=one.messages,
                junk=one.junk,
            )
            for one in known.signals
        ),
    )


def _content(facts: Facts, decision: Decision) -> Content | None:
    found, weighed = facts.classification, decision.content
    if not isinstance(found, Classification) or weighed is None:
        return None
    return Content(
        probability=found.probability,
        threshold=weighed.threshold,
        strict=weighed.strict,
        significant=found.significant,
        ham=_words(found.ham),
        spam=_words(found.spam),
    )


def _words(found: Sequence[ScoredWord]) -> tuple[Word, ...]:
    return tuple(Word(plain(one.word.decode()), one.score) for one in found[:VERDICT_WORDS])
