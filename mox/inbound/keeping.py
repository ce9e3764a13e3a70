"""Into the account's mailboxes: accepted mail, what was refused, and the verdict about it.

Source  spec/smtp-server.md section 8.2; spec of the account store, sections 9 and 10.
"""

import msgspec

from mox.base.flags import SEEN
from mox.inbound import verdict
from mox.inbound.analysis import Analysis, Case
from mox.junk.reputation import History, Identity, Kind
from mox.store import rejects, verdicts
from mox.store.account import Account
from mox.store.blobs.base import SpoolFile
from mox.store.content import NewMessage
from mox.store.layout.rows import Facts
from mox.store.mailboxes import ensure
from mox.store.messages import append

_VOTES = 50  # of an organisation that are looked at for one that is not junk


class Keeper:
    """Over the store."""

    __slots__ = ("_remembers",)

    def __init__(self, *, remembers: bool = True) -> None:
        """Input: remembers: verdicts are kept."""
        self._remembers = remembers

    async def accept(
        self,
        account: Account,
        analysis: Analysis,
        content: bytes | SpoolFile,
        prefix: bytes,
        case: Case,
    ) -> None:
        """Deliver; a missing mailbox is made.  Copies in Rejects are not needed any more.

        Errors  those of the store.
        """
        mailbox = await ensure(account, analysis.mailbox)
        seen = SEEN if analysis.is_reject or analysis.report is not None else 0
        message = _message(account, analysis, content, prefix, case)
        await append(account, mailbox, [msgspec.structs.replace(message, flags=seen)])
        name = analysis.place.account.rejects_mailbox
        if name and name != analysis.mailbox:
            await rejects.forget(account, name, case.origin.heading.message_id)

    async def reject(
        self,
        account: Account,
        analysis: Analysis,
        content: bytes | SpoolFile,
        prefix: bytes,
        case: Case,
    ) -> str:
        """Keep a refused message; the mailbox, empty where it is not kept.    Errors: of the store."""
        owner = analysis.place.account
        digest = await case.knowledge.in_thread(account, case.letter.digest)
        message = _message(account, analysis, content, prefix, case, digest)
        kept = await rejects.keep(
            account,
            owner.rejects_mailbox,
            message,
            now_ms=case.arrival.received_ms,
            keep_all=owner.keep_rejects,
        )
        return owner.rejects_mailbox if kept else ""

    def remember(
        self,
        account: Account,
        analysis: Analysis,
        case: Case,
        *,
        kept: str,
        error: Exception | None = None,
    ) -> None:
        """Keep the verdict.    Errors: StoreStopped, AccountMissing."""
        if not self._remembers:
            return
        aside = analysis.is_reject  # the client is told that it was accepted
        record = msgspec.structs.replace(
            analysis.verdict,
            code=250 if aside else analysis.verdict.code,
            enhanced="2.2.0" if aside else analysis.verdict.enhanced,
            mailbox=kept,
            destined=analysis.destined if analysis.destined != kept else "",
            is_reject=analysis.is_reject or bool(kept and not analysis.accepted),
            delayed_s=analysis.delay_s,
            error="" if error is None else verdict.plain(str(error)),
        )
        verdicts.put(
            account,
            verdict.encode(record),
            message_id=case.origin.heading.message_id,
            at_ms=record.at_ms,
        )

    async def knows(self, account: Account, analysis: Analysis, case: Case) -> bool:
        """Does the account know the author's organisation: wanted mail from it, or mail to it?"""
        return await case.knowledge.by_history(
            account, analysis.destined, lambda history: _knows(history, analysis)
        )


def _knows(history: History, analysis: Analysis) -> bool:
    domain = analysis.sender.from_org_domain
    if history.wrote_to_org_domain(domain, since_ms=0):
        return True
    return any(
        not vote.junk
        for kind in (Kind.FROM_ORG_DOMAIN, Kind.FROM_ORG_DOMAIN_VALIDATED)
        for vote in history.newest(Identity(kind, domain), since_ms=0, limit=_VOTES)
    )


def _message(
    account: Account,
    analysis: Analysis,
    content: bytes | SpoolFile,
    prefix: bytes,
    case: Case,
    digest: bytes = b"",
) -> NewMessage:
    arrival = case.arrival
    destined = account.by_name.get(analysis.destined)
    put_aside = not analysis.accepted or analysis.mailbox != analysis.destined
    return NewMessage(
        content=content,
        prefix=prefix,
        received_ms=arrival.received_ms,
        facts=Facts(
            prefix_length=len(prefix),
            message_id=case.origin.heading.message_id,
            mail_from=case.mail_from.unicode(),
            rcpt_to=analysis.place.recipient.unicode(),
            remote_ip=arrival.remote_ip,
            helo=arrival.hello,
            sender=analysis.sender,
            destined=destined.id if put_aside and destined is not None else 0,
            is_reject=analysis.is_reject,
            is_forward=analysis.is_forward,
            is_list=analysis.is_list,
            content_hash=digest,
        ),
    )
