"""Mail from strangers, when it is here as a whole: judged for each recipient, then stored or refused.

Accounts are worked on side by side, the recipients of one account in their order.  Strangers wait once
for the whole message.  What was accepted is on disk when the outcome is told.

Source  spec/smtp-server.md sections 8, 8.2 and 8.3.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

from mox.base import metrics
from mox.base.clock import Clock
from mox.base.errors import MoxError, Refused
from mox.base.log import Logger
from mox.config.live import AliasTarget, Live, Target
from mox.inbound import authres, posting, trace
from mox.inbound.analysis import Analysis, Case, Place, analyse
from mox.inbound.copies import Copies
from mox.inbound.decide import Reason
from mox.inbound.deliver import Delivery, Recipient
from mox.inbound.evidence import Evidence, Origin
from mox.inbound.hooks import (
    Arrived,
    Bounce,
    Bouncer,
    Evaluated,
    EvaluationStore,
    ReportTaker,
    Undelivered,
)
from mox.inbound.keeping import Keeper
from mox.inbound.knowledge import Knowledge
from mox.inbound.letter import Letter
from mox.mailauth.spf import Identity
from mox.mailauth.spf import Status as SPFStatus
from mox.smtp import replies
from mox.smtp.address import parse_address
from mox.smtp.reply import Reply
from mox.store.account import Account

AT_ONCE: Final = 8  # accounts worked on at one time; each may hold a message in memory


class OpenAccounts(Protocol):
    """The accounts, as configured and stored."""

    def using(self, name: str) -> AbstractAsyncContextManager[Account]:
        """An account that is not removed meanwhile.    Errors: those of the store."""
        ...


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the client is told of one recipient."""

    reply: Reply
    refused: bool = False  # judged so; whoever sends such mail is slowed down


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What judging needs, the same for all messages of a listener."""

    accounts: OpenAccounts
    live: Live
    knowledge: Knowledge
    keeper: Keeper
    clock: Clock
    random: Callable[[], float]  # in [0, 1)
    reports: ReportTaker | None = None
    evaluations: EvaluationStore | None = None
    bouncer: Bouncer | None = None


class Client(Protocol):
    """Who waits for the reply."""

    @property
    def lost(self) -> bool:
        """The connection is gone."""
        ...

    @property
    def over(self) -> bool:
        """Nothing more comes from the client, who may be gone."""
        ...


class Hearing(msgspec.Struct, frozen=True, kw_only=True):
    """What the SMTP session brings along."""

    pause: Callable[[float], Awaitable[None]]  # ends early when the server stops
    first_time_delay_s: float
    reply_to: Callable[[Exception], Reply]  # to an error of the store
    log: Logger
    client: Client
    require_tls: bool | None = None
    envid: str = ""


async def deliver(
    desk: Desk, evidence: Evidence, delivery: Delivery, hearing: Hearing
) -> list[Outcome]:
    """Judge and store; the outcome for each recipient, in their order.

    The content is consumed in every case.
    Errors  none on purpose: what goes wrong for a recipient is that one's outcome.
    """
    run = _Run(desk, evidence, delivery, hearing)
    try:
        return await run.run()
    finally:
        await run.copies.close()


class _Member(msgspec.Struct):
    """One account's part in one recipient."""

    place: Place
    gets_copy: bool = True
    analysis: Analysis | None = None
    failure: Exception | None = None
    stored: bool = False


class _Addressee(msgspec.Struct):
    """One recipient and whoever is behind it."""

    recipient: Recipient
    members: list[_Member]
    reply: Reply | None = None  # said before anybody judged

    @property
    def accepted(self) -> bool:
        """Somebody takes it."""
        return any(one.analysis is not None and one.analysis.accepted for one in self.members)


class _Run:
    """One message."""

    def __init__(
        self, desk: Desk, evidence: Evidence, delivery: Delivery, hearing: Hearing
    ) -> None:
        self.desk = desk
        self.evidence = evidence
        self.delivery = delivery
        self.hearing = hearing
        self.copies = Copies(delivery.received.content)
        self.room = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> list[Outcome]:
        desk = self.desk
        origin = await self.evidence.origin(desk.random())
        arrival = msgspec.structs.replace(
            self.delivery.arrival, reverse_name=origin.iprev.facts.name
        )
        self.delivery = msgspec.structs.replace(self.delivery, arrival=arrival)
        case = Case(
            evidence=self.evidence,
            origin=origin,
            letter=Letter(self.delivery.received.content, origin.heading),
            arrival=arrival,
            mail_from=self.delivery.sender,
            clock=desk.clock,
            knowledge=desk.knowledge,
            random=desk.random,
            reports=desk.reports,
            first_time_delay_s=self.hearing.first_time_delay_s,
        )
        addressees = self._addressees(origin)
        members = [member for one in addressees for member in one.members]
        await self._by_account(members, lambda account, member: _judge(case, account, member))
        if not await self._store(case, addressees):
            # Without a reply the message is still the client's (RFC 5321 §4.2.5): it comes again, for
            # everybody.  So nobody is told of anything now.
            self.hearing.log.info("delivery.client_gone")
            metrics.SMTP_DELIVERIES.labels("clientgone", "").inc(len(addressees))
            return [Outcome(reply=replies.CLIENT_GONE) for _ in addressees]
        outcomes = [self._outcome(one) for one in addressees]
        await self._report(case, addressees)
        return await self._told(case, addressees, outcomes)

    def _addressees(self, origin: Origin) -> list[_Addressee]:
        """Everybody who may get a copy.    Who has an address of their own here gets only that one."""
        explicit = {
            one.target.address for one in self.delivery.recipients if isinstance(one.target, Target)
        }
        return [self._addressee(one, origin, explicit) for one in self.delivery.recipients]

    def _addressee(self, recipient: Recipient, origin: Origin, taken: set[str]) -> _Addressee:
        """``taken``: addresses that get a copy already; those of members are added."""
        accounts = self.desk.live.config.domains.accounts
        target = recipient.target
        if target is None:
            return _Addressee(recipient, [], replies.NO_SUCH_USER)
        if isinstance(target, Target):
            account = accounts.get(target.account)
            if account is None:  # the configuration changed meanwhile
                return _Addressee(recipient, [], replies.PROCESSING)
            place = Place(recipient=recipient.address, target=target, account=account)
            return _Addressee(recipient, [_Member(place)])
        author = origin.heading.author
        if not posting.may_post(target, author):
            return _Addressee(recipient, [], posting.NOT_ALLOWED)
        members = []
        for member, gets_copy in posting.members(target, author, taken):
            account = accounts.get(member.account)
            if account is None:
                continue
            place = Place(
                recipient=recipient.address, target=member, account=account, is_member=True
            )
            members.append(_Member(place, gets_copy))
        return _Addressee(recipient, members, None if members else replies.PROCESSING)

    async def _by_account(
        self,
        members: Sequence[_Member],
        work: Callable[[Account, _Member], Awaitable[None]],
    ) -> None:
        """Accounts side by side, their members in order; what fails is noted with the member."""
        groups: dict[str, list[_Member]] = {}
        for member in members:
            groups.setdefault(member.place.target.account, []).append(member)

        async def one(name: str, group: list[_Member]) -> None:
            async with self.room:
                try:
                    async with self.desk.accounts.using(name) as account:
                        for member in group:
                            await self._guarded(member, work(account, member))
                except Exception as error:
                    self._note(error, group[0])
                    for member in group:
                        member.failure = member.failure or error

        if len(groups) == 1:
            await one(*groups.popitem())  # most mail: no task, no group of them
            return
        async with asyncio.TaskGroup() as tasks:
            for name, group in groups.items():
                tasks.create_task(one(name, group))

    async def _guarded(self, member: _Member, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            member.failure = error
            self._note(error, member)

    def _note(self, error: Exception, member: _Member) -> None:
        to, account = str(member.place.recipient), member.place.target.account
        if isinstance(error, Refused):
            self.hearing.log.info("delivery.not_taken", to=to, account=account, why=error.public)
            return
        if not isinstance(error, (MoxError, OSError)):
            metrics.unhandled("inbound")
        self.hearing.log.error("delivery.failed", error, to=to, account=account)

    async def _store(self, case: Case, addressees: Sequence[_Addressee]) -> bool:
        """Those who need not wait first; then strangers, after one pause for all of them.

        False: the client did not wait for it, and what was not stored by then is not.
        """
        client = self.hearing.client
        if client.lost:
            return False
        now: list[_Member] = []
        later: list[_Member] = []
        for addressee in addressees:
            for member in addressee.members:
                if member.analysis is None or not member.gets_copy:
                    continue
                (later if member.analysis.delay_s else now).append(member)

        async def work(account: Account, member: _Member) -> None:
            await self._store_one(case, account, member)

        await self._by_account(now, work)
        if later:
            await self.hearing.pause(max(one.analysis.delay_s for one in later if one.analysis))
            # In clear a client that is gone looks like one that only sends nothing more.  Who listens
            # nevertheless hears that it was not delivered.
            if client.over:
                return False
            await self._by_account(later, work)
        return True

    async def _store_one(self, case: Case, account: Account, member: _Member) -> None:
        """Into its mailbox, or into Rejects; and the verdict is kept."""
        analysis, keeper = member.analysis, self.desk.keeper
        assert analysis is not None
        kept, prefix = "", self._prefix(case, analysis)
        try:
            if analysis.accepted:
                if analysis.report is not None and case.reports is not None:
                    await case.reports.keep(analysis.report)
                await keeper.accept(account, analysis, await self.copies.one(), prefix, case)
                kept, member.stored = analysis.mailbox, True
            elif analysis.reason != Reason.HIGH_RATE and analysis.place.account.rejects_mailbox:
                kept = await keeper.reject(account, analysis, await self.copies.one(), prefix, case)
        except Exception as error:
            keeper.remember(account, analysis, case, kept="", error=error)
            raise
        if kept and not analysis.is_forward:
            sender = case.origin.sender
            size = len(prefix) + case.letter.size
            await case.knowledge.count(account, sender, size, case.arrival.received_ms)
        keeper.remember(account, analysis, case, kept=kept)
        self._log(case, analysis, kept)

    def _prefix(self, case: Case, analysis: Analysis) -> bytes:
        """The fields that go before the content, newest first.    Section 8.2."""
        arrival, sender = case.arrival, self.delivery.sender
        place = analysis.place
        to = parse_address(place.target.address) if place.is_member else place.recipient
        single = place.recipient if len(self.delivery.recipients) == 1 else None
        fields = [
            analysis.fields,
            trace.delivered_to(arrival, to),
            trace.return_path(arrival, sender),
            authres.authentication_results(
                case.origin, arrival, sender, override=analysis.override
            ),
            authres.received_spf(case.origin, arrival),
            trace.received(arrival, single),
            self.delivery.added_fields,
        ]
        if self.delivery.received.lacks_separator:
            fields.append(b"\r\n")
        return b"".join(fields)

    def _log(self, case: Case, analysis: Analysis, kept: str) -> None:
        """One line for each decision, without what the message says."""
        result = "delivered" if analysis.accepted else "reject"
        if analysis.reason == Reason.HIGH_RATE:
            result = "highrate"
        metrics.series(metrics.SMTP_DELIVERIES, result, analysis.reason).inc()
        self.hearing.log.info(
            f"delivery.{'accepted' if analysis.accepted else 'refused'}",
            to=str(analysis.place.recipient),
            account=analysis.verdict.account,
            reason=analysis.reason,
            mailbox=kept,
            code=analysis.verdict.code,
            message_id=analysis.verdict.message_id,
            size=case.letter.size,
            ms=analysis.verdict.took_ms,
        )

    def _outcome(self, addressee: _Addressee) -> Outcome:
        """Of one recipient: good where anybody has a copy, or needs none."""
        if addressee.reply is not None:
            unknown = addressee.recipient.target is None
            result = "unknownuser" if unknown else "reject"
            metrics.SMTP_DELIVERIES.labels(result, "" if unknown else "alias").inc()
            return Outcome(reply=addressee.reply, refused=not unknown)
        judged = [one.analysis for one in addressee.members if one.analysis is not None]
        if judged and not addressee.accepted:
            return Outcome(reply=judged[0].reply, refused=True)
        wanted = [one for one in addressee.members if one.gets_copy and _is_wanted(one, judged)]
        if any(one.stored for one in wanted) or not wanted:
            return Outcome(reply=replies.DELIVERED)
        failure = next((one.failure for one in wanted if one.failure is not None), None)
        metrics.SMTP_DELIVERIES.labels("accounterror" if not judged else "delivererror", "").inc()
        if failure is None:
            return Outcome(reply=replies.PROCESSING)
        return Outcome(reply=self.hearing.reply_to(failure))

    async def _report(self, case: Case, addressees: Sequence[_Addressee]) -> None:
        """What the author's domain is told in our next DMARC report."""
        store, evaluation = self.desk.evaluations, case.origin.dmarc
        if store is None or evaluation is None:
            return
        record = evaluation.facts.found.record
        if record is None or not record.aggregate:
            return
        for addressee in addressees:
            judged = [one for one in addressee.members if one.analysis is not None]
            chosen = next(
                (one for one in judged if one.analysis is not None and one.analysis.accepted),
                judged[0] if judged else None,
            )
            if chosen is None or chosen.analysis is None:
                continue
            analysis = chosen.analysis
            by_policy = analysis.reason == Reason.DMARC_POLICY
            if not (chosen.stored and not analysis.is_reject) and not by_policy:
                continue  # what is refused for other reasons is nobody's business
            try:
                await store.add(await self._evaluated(case, analysis, by_policy=by_policy))
            except MoxError as error:
                self.hearing.log.error("dmarc.not_recorded", error)

    async def _evaluated(self, case: Case, analysis: Analysis, *, by_policy: bool) -> Evaluated:
        evaluation = case.origin.dmarc
        assert evaluation is not None
        overrides = [analysis.override] if analysis.override else []
        if not evaluation.facts.is_sampled:
            overrides.append("sampled_out")
        target = analysis.place.target
        optional = target.dmarc_reports or target.tls_reports
        if by_policy and not optional:
            async with self.desk.accounts.using(target.account) as account:
                optional = not await self.desk.keeper.knows(account, analysis, case)
        return Evaluated(
            at_ms=case.arrival.received_ms,
            evaluation=evaluation.facts,
            spf=case.origin.spf.facts,
            signatures=case.origin.dkim.facts,
            source_ip=case.arrival.remote_ip,
            envelope_to=analysis.place.recipient.domain,
            envelope_from=self.delivery.sender.domain,
            rejected=by_policy,
            overrides=tuple(overrides),
            optional=optional,
        )

    async def _told(
        self, case: Case, addressees: Sequence[_Addressee], outcomes: list[Outcome]
    ) -> list[Outcome]:
        """Where some have the message and others not, the sender is told by a notification.

        So is one who asked to be told of success.  Until there is somebody to queue it, the client hears
        of failures: the whole message is refused.
        """
        bouncer = self.desk.bouncer
        pairs = [(one.recipient, two.reply) for one, two in zip(addressees, outcomes, strict=True)]
        arrived = [recipient for recipient, reply in pairs if reply.is_positive]
        failed = [(recipient, reply) for recipient, reply in pairs if not reply.is_positive]
        # Nobody is told of mail that somebody else sent in their name.
        checked = case.origin.spf.facts
        proven = checked.status is SPFStatus.PASS and checked.identity is Identity.MAILFROM
        if bouncer is None or not arrived or not proven:
            return outcomes
        bounce = Bounce(
            sender=self.delivery.sender,
            failed=[
                Undelivered(address=one.address, reply=reply, orcpt=one.orcpt)
                for one, reply in failed
                if one.wants_failure
            ],
            arrived=[
                Arrived(
                    address=one.address,
                    orcpt=one.orcpt,
                    is_alias=isinstance(one.target, AliasTarget),
                )
                for one in arrived
                if one.wants_success
            ],
            header=self.delivery.received.header,
            message_id=case.origin.heading.message_id,
            smtputf8=case.arrival.smtputf8,
            require_tls=self.hearing.require_tls,
            envid=self.hearing.envid,
            hostname=case.arrival.hostname,
            remote_name=case.arrival.hello,
        )
        if bounce.failed or bounce.arrived:
            try:
                await bouncer.bounce(bounce)
            except MoxError as error:
                self.hearing.log.error("delivery.not_bounced", error)
                return outcomes
        return [Outcome(reply=replies.DELIVERED, refused=outcome.refused) for outcome in outcomes]


async def _judge(case: Case, account: Account, member: _Member) -> None:
    member.analysis = await analyse(case, member.place, account)


def _is_wanted(member: _Member, judged: Sequence[Analysis]) -> bool:
    """It takes the message, or nobody knows whether it would."""
    return member.analysis.accepted if member.analysis is not None else not judged
