"""One message, one recipient, one account: facts are gathered, the rules decide, the verdict is written.

Source  spec/smtp-server.md section 8.1.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import TypeVar

import msgspec

from mox.base import metrics
from mox.base.clock import Clock
from mox.base.errors import MoxError
from mox.base.log import get_logger
from mox.base.mailboxname import INBOX, normalise_mailbox_name
from mox.config import domains as config
from mox.config.filtering import JunkFilter, Ruleset
from mox.config.live import Target
from mox.inbound import explain, record, rulesets, whatif
from mox.inbound.decide import Decision, Facts, Failure, Need, Reason, decide, refused
from mox.inbound.evidence import Evidence, Origin
from mox.inbound.hooks import Report, ReportTaker
from mox.inbound.knowledge import Knowledge
from mox.inbound.letter import Letter
from mox.inbound.trace import Arrival
from mox.inbound.verdict import Verdict
from mox.junk import subjectpass
from mox.junk.classify import Classification, classify, weigh
from mox.junk.decide import JITTER
from mox.junk.decide import Reason as JunkReason
from mox.junk.parameters import Parameters
from mox.junk.reputation import History, Method, Reputation, Sender, evaluate
from mox.mailauth.dmarc.evaluate import Status as DMARCStatus
from mox.mailauth.dmarc.record import Policy
from mox.mailauth.dnsbl import Status as DNSBLStatus
from mox.mailauth.iprev import Status as IPRevStatus
from mox.mailauth.spf import Identity
from mox.mailauth.spf import Status as SPFStatus
from mox.reports.taker import NotAReport
from mox.smtp import replies
from mox.smtp.address import Address
from mox.smtp.reply import Reply, reply
from mox.store.account import Account

log = get_logger("inbound")

T = TypeVar("T")

# Names of the configuration, the same ones for every message.
_mailbox_name = lru_cache(maxsize=4096)(normalise_mailbox_name)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all recipients of a message."""

    evidence: Evidence
    origin: Origin
    letter: Letter
    arrival: Arrival
    mail_from: Address
    clock: Clock
    knowledge: Knowledge
    random: Callable[[], float]  # in [0, 1)
    reports: ReportTaker | None = None
    first_time_delay_s: float = 0.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """For whom a message is judged."""

    recipient: Address  # of RCPT; of an alias: the alias
    target: Target  # whose account it is; of an alias: one member
    account: config.Account
    is_member: bool = False  # of an alias


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the message for one account."""

    place: Place
    accepted: bool  # also where it would have been refused and a rule wants it anyway
    reason: str
    reply: Reply  # to the client, where it is not accepted
    mailbox: str  # for delivery
    destined: str  # the mailbox that the rules chose, before anything was put aside
    is_reject: bool = False  # accepted although it would have been refused
    is_forward: bool = False
    is_list: bool = False
    sender: Sender  # the identities it is remembered by
    override: str = ""  # why the policy of the author's domain was not followed
    fields: bytes = b""  # header fields: the reason, and what was wrong with a report
    report: Report | None = None
    delay_s: float = 0.0  # before it is stored
    verdict: Verdict


async def analyse(case: Case, place: Place, account: Account) -> Analysis:
    """Judge.

    Errors  those of the store where not even the rates can be read.  Another fact that cannot be had
            is a reason to refuse for now.
    """
    return await _Analyst(case, place, account).run()


class _Analyst:
    """One run of ``analyse``."""

    def __init__(self, case: Case, place: Place, account: Account) -> None:
        self.case = case
        self.place = place
        self.account = account
        self.now_ms = case.arrival.received_ms
        self.began_s = case.clock.monotonic_s()
        self.ruleset = _ruleset(case, place)
        self.sender = case.origin.sender
        if self.ruleset is not None and self.ruleset.is_forward:
            self.sender = rulesets.without_forwarder(self.sender, self.ruleset)
        chosen = place.target.destination if self.ruleset is None else self.ruleset
        self.destined = _mailbox_name(chosen.mailbox or INBOX)
        self.facts = _first_facts(case, place, self.ruleset)
        self.took_ms: dict[Need, int] = {}
        self.history: whatif.Remembered | None = None
        self.other: whatif.Alternatives | None = None
        self.report: Report | None = None
        self.error_fields = b""

    async def run(self) -> Analysis:
        """Look for facts until the rules have what they want."""
        clock = self.case.clock
        while isinstance(outcome := decide(self.facts), Need):
            began = clock.monotonic_s()
            await self._look(outcome)
            self.took_ms[outcome] = round((clock.monotonic_s() - began) * 1000)
        text = ""
        if outcome.give_token:
            outcome, text = await self._with_token(outcome)
        if self.history is not None and self.other is None:
            otherwise = partial(self._otherwise, accepted=outcome.accept)
            self.other = await self.case.knowledge.by_history(
                self.account, self.destined, otherwise
            )
        return self._analysis(outcome, text)

    def _know(self, **found: object) -> None:
        self.facts = msgspec.structs.replace(self.facts, **found)

    async def _look(self, need: Need) -> None:
        """Find one thing out."""
        match need:
            case Need.RATE:
                self._know(rate=await self._rate())
            case Need.REPORT:
                await self._read_report()
            case Need.REPUTATION:
                self._know(reputation=await self._try(self._reputation, Reason.REPUTATION_ERROR))
            case Need.TOKEN:
                self._know(token=await self._try(self._token, Reason.SUBJECTPASS_ERROR))
            case Need.CONTENT:
                self._know(classification=await self._try(self._classify, Reason.CLASSIFY_ERROR))
            case Need.BLOCKLISTS:
                self._know(blocklisted=await self._blocklisted())

    async def _try(self, look: Callable[[], Awaitable[T]], reason: Reason) -> T | Failure:
        try:
            return await look()
        except Exception as error:
            # The message is to come again: that is better than to lose it or to let it in unseen.
            if not isinstance(error, (MoxError, OSError)):
                metrics.unhandled("inbound")
            log.error("judge.failed", error, account=self.account.name, reason=reason.value)
            return Failure(reason)

    async def _rate(self) -> str:
        case = self.case
        # The client's networks, whoever forwarded it.
        found = await case.knowledge.rate_exceeded(
            self.account, case.origin.sender, case.letter.size, self.now_ms
        )
        return found or ""

    async def _read_report(self) -> None:
        """A DMARC or a TLS report.    An address may be for both."""
        case, target, taker = self.case, self.place.target, self.case.reports
        assert taker is not None, "nobody takes reports"
        author = case.origin.heading.author
        from_domain = "" if author is None else author.domain.ascii
        mail_from, content = str(case.mail_from), case.letter.source
        fields = b""
        if target.dmarc_reports:
            found = await taker.read_dmarc(
                content,
                from_domain=from_domain,
                mail_from=mail_from,
                dmarc_passed=self.facts.dmarc_passed,
                now_ms=self.now_ms,
            )
            fields += self._take(found, "X-Mox-DMARCReport-Error")
        if target.tls_reports and self.report is None:
            found = await taker.read_tls(
                content,
                from_domain=from_domain,
                mail_from=mail_from,
                signatures=case.origin.dkim.facts,
                now_ms=self.now_ms,
            )
            fields += self._take(found, "X-Mox-TLSReport-Error")
        self.error_fields = b"" if self.report is not None else fields
        self._know(has_report=self.report is not None)

    def _take(self, found: Report | NotAReport, field: str) -> bytes:
        if isinstance(found, NotAReport):
            return f"{field}: {found.problem}\r\n".encode("ascii", "replace")
        self.report = found
        return b""

    async def _reputation(self) -> Reputation:
        return await self.case.knowledge.by_history(self.account, self.destined, self._evaluate)

    def _evaluate(self, history: History) -> Reputation:
        """Maybe in a thread."""
        self.history = whatif.Remembered(history)
        found = evaluate(self.history, self.sender, self.now_ms)
        outcome = decide(msgspec.structs.replace(self.facts, reputation=found))
        if isinstance(outcome, Decision):  # while we are here
            self.other = self._otherwise(history, accepted=outcome.accept)
        return found

    def _otherwise(self, history: History, *, accepted: bool) -> whatif.Alternatives:
        """What history would have said otherwise.    Maybe in a thread."""
        assert self.history is not None, "history comes first"
        remembered = self.history.over(history)
        return whatif.alternatives(remembered, self.sender, self.now_ms, accepted=accepted)

    async def _token(self) -> subjectpass.Result:
        heading = self.case.origin.heading
        token = subjectpass.find_token(heading.subject)
        if token is None:
            return subjectpass.Result.ABSENT
        if heading.author is None:
            found = subjectpass.Result.BAD_FROM
        else:
            found = subjectpass.verify_token(
                token,
                await self._key(),
                subjectpass.sender_of(heading.author.written),
                period_s=round(self.place.account.subject_pass.period.seconds),
                now_s=self.now_ms // 1000,
            )
        metrics.SUBJECTPASS_VERIFIED.labels(
            "ok" if found is subjectpass.Result.VALID else "fail"
        ).inc()
        return found

    async def _key(self) -> str:
        return await self.case.knowledge.pass_key(self.account, self.place.target.address)

    async def _with_token(self, decision: Decision) -> tuple[Decision, str]:
        """A refusal with the word that lets the message in when it comes again."""
        author = self.case.origin.heading.author
        assert author is not None, "DMARC passed for somebody"
        key = await self._try(self._key, Reason.SUBJECTPASS_ERROR)
        if isinstance(key, Failure):
            return refused(key.reason, 451, "4.3.0"), ""
        sender = subjectpass.sender_of(author.written)
        token = subjectpass.make(key, sender, self.now_ms // 1000)
        metrics.SUBJECTPASS_GENERATED.inc()
        return decision, (
            "this message looks like spam; if it is not, please send it again with this added to"
            f" its subject: {token}"
        )

    async def _classify(self) -> Classification:
        filtering, letter = self.place.account.junk_filter, self.case.letter
        assert filtering is not None, "without a filter nobody asks"
        knowledge, parameters = self.case.knowledge, _parameters(filtering)
        if letter.is_short:  # less work than handing it over
            words = list(letter.words(parameters.grams))
            found = weigh(words, *await knowledge.counted(self.account, words), parameters)
            addressed = letter.is_addressed_to(self.place.recipient)
        else:
            call = partial(self._read_content, parameters)
            found, addressed = await knowledge.in_thread(self.account, call)
        self._know(addressed=addressed)
        return found

    def _read_content(self, parameters: Parameters) -> tuple[Classification, bool]:
        """What the words say; is the recipient in To or Cc?    In a thread."""
        letter, counts = self.case.letter, self.case.knowledge.counts(self.account)
        found = classify(letter.words(parameters.grams), counts, parameters)
        return found, letter.is_addressed_to(self.place.recipient)

    async def _blocklisted(self) -> str:
        for finding in await self.case.evidence.listed():
            if finding.facts.status is DNSBLStatus.FAIL:
                return finding.facts.zone
        return ""

    def _analysis(self, decision: Decision, text: str) -> Analysis:
        case, ruleset = self.case, self.ruleset
        accepted, mailbox, is_reject = decision.accept, self.destined, False
        if decision.accept and self._goes_to_introbox():
            mailbox = _mailbox_name(self.place.account.introbox)
        keeps_rejects = ruleset is not None and ruleset.accept_rejects_to_mailbox
        if not accepted and keeps_rejects and decision.reason != Reason.HIGH_RATE:
            accepted = is_reject = True
            mailbox = _mailbox_name(keeps_rejects)
        texts = explain.texts(self.facts, decision, utf8=case.arrival.smtputf8)
        changes = whatif.would_change(self.facts, decision, self.other or whatif.Alternatives())
        is_list = decision.reason == Reason.LIST_ALLOW
        took_ms = round((case.clock.monotonic_s() - self.began_s) * 1000)
        return Analysis(
            place=self.place,
            accepted=accepted,
            reason=decision.reason,
            reply=_reply(decision, self.place, text),
            mailbox=mailbox,
            destined=self.destined,
            is_reject=is_reject,
            is_forward=self.facts.is_forward,
            is_list=is_list,
            sender=self.sender,
            override=self._override(is_list=is_list),
            fields=explain.field(decision.reason, texts) + self.error_fields,
            report=self.report if decision.accept else None,
            delay_s=self._delay_s(decision),
            verdict=record.verdict_of(
                record.Material(
                    origin=case.origin,
                    lists=case.evidence.answered_lists(),
                    arrival=case.arrival,
                    mail_from=case.mail_from,
                    recipient=self.place.recipient,
                    account=self.account.name,
                    member=self.place.target.address if self.place.is_member else "",
                    size=case.letter.size,
                    ruleset=ruleset,
                    report="" if self.report is None else self.report.summary,
                ),
                self.facts,
                decision,
                changes,
                self.took_ms,
                took_ms,
            ),
        )

    def _goes_to_introbox(self) -> bool:
        """Mail for Inbox whose author is not known by address waits elsewhere."""
        known = self.facts.reputation
        return (
            self.destined == INBOX
            and bool(self.place.account.introbox)
            and isinstance(known, Reputation)
            and known.method not in (Method.FROM_ADDRESS, Method.TO_ADDRESS)
            and not self.facts.is_forward
            and self.report is None
        )

    def _override(self, *, is_list: bool) -> str:
        """RFC 7489 appendix C: PolicyOverrideType."""
        evaluation = self.case.origin.dmarc
        if evaluation is None or evaluation.facts.status is not DMARCStatus.FAIL:
            return ""
        if evaluation.facts.policy is Policy.NONE:
            return ""
        if is_list:
            return "mailing_list"
        return "forwarded" if self.facts.is_forward else ""

    def _delay_s(self, decision: Decision) -> float:
        """How long a stranger waits before mail is accepted."""
        waits = (
            decision.reason == JunkReason.NO_BAD_SIGNALS
            and not self.facts.is_forward
            and self.report is None
            and not self.place.account.no_first_time_sender_delay
        )
        return self.case.first_time_delay_s if waits else 0.0


def _ruleset(case: Case, place: Place) -> Ruleset | None:
    traits = rulesets.Traits(
        mail_from=case.mail_from, sender=case.origin.sender, heading=case.origin.heading
    )
    return rulesets.choose(place.target.destination.rulesets, traits)


def _first_facts(case: Case, place: Place, ruleset: Ruleset | None) -> Facts:
    """What is known before anybody looks."""
    origin, target, filtering = case.origin, place.target, place.account.junk_filter
    evaluation = None if origin.dmarc is None else origin.dmarc.facts
    checked = origin.spf.facts
    # Whatever has been answered by now costs nothing to know.
    lists = case.evidence.answered_lists()
    listed = [one.facts.zone for one in lists or () if one.facts.status is DNSBLStatus.FAIL]
    return Facts(
        several_authors=origin.heading.is_ambiguous,
        list_allowed=ruleset is not None and rulesets.comes_from_list(ruleset, origin.sender),
        is_forward=ruleset is not None and ruleset.is_forward,
        dmarc_passed=evaluation is not None and evaluation.status is DMARCStatus.PASS,
        dmarc_rejects=evaluation is not None and evaluation.rejects,
        dmarc_unsure=evaluation is not None and evaluation.status is DMARCStatus.TEMPERROR,
        for_reports=case.reports is not None and (target.dmarc_reports or target.tls_reports),
        auth_required=bool(target.destination.message_auth_required_smtp_error),
        from_validated=origin.from_validated,
        spf_failed=(
            checked.identity is Identity.MAILFROM
            and checked.status in (SPFStatus.FAIL, SPFStatus.SOFTFAIL)
        ),
        iprev_passed=origin.iprev.facts.status is IPRevStatus.PASS,
        subjectpass=bool(place.account.subject_pass.period),
        threshold=None if filtering is None else filtering.threshold,
        jitter=(2 * case.random() - 1) * JITTER,
        tls=origin.encrypted,
        has_lists=case.evidence.has_lists,
        blocklisted=None if lists is None else "".join(listed[:1]),
    )


def _parameters(filtering: JunkFilter) -> Parameters:
    return Parameters(**msgspec.structs.asdict(filtering))


def _reply(decision: Decision, place: Place, token_text: str) -> Reply:
    """What the client is told.    Most refusals say nothing: spammers shall not learn from them."""
    if token_text:
        text = token_text
    elif decision.reason == Reason.HIGH_RATE:
        text = "too much mail for this account from your network lately"
    elif decision.reason == Reason.SEVERAL_AUTHORS:
        return replies.BAD_FROM
    elif decision.reason == Reason.DMARC_POLICY:
        text = "the dmarc policy of the author's domain does not allow this message"
    elif decision.reason == Reason.AUTH_REQUIRED:
        text = place.target.destination.message_auth_required_smtp_error
    else:
        text = replies.PROCESSING.text
    return reply(decision.code, decision.enhanced, text)
