"""What others do with judged mail: reports that are received, results that are reported, failures told.

Protocols only; the runtime fills them.  None in their place: nobody does it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from mox.mailauth.dkim.verify import Result as DKIMResult
from mox.mailauth.dmarc.evaluate import Evaluation
from mox.mailauth.spf import Result as SPFResult
from mox.reports.taker import NotAReport
from mox.smtp.address import Address
from mox.smtp.reply import Reply

Content: TypeAlias = bytes | Path
"""A message as it was received: its bytes, or the file that holds them, which is only read."""


class Report(Protocol):
    """A report that was understood; what is in it is known to the taker only."""

    @property
    def summary(self) -> str:
        """One line for a verdict: who reports what."""
        ...


class ReportTaker(Protocol):
    """Reads DMARC and TLS reports.    spec/reports-autotls.md sections 1 and 4.

    Reading is bounded in time and memory whatever the message is, and raises nothing on purpose.
    """

    async def read_dmarc(
        self, content: Content, *, from_domain: str, mail_from: str, dmarc_passed: bool, now_ms: int
    ) -> Report | NotAReport:
        """Input: from_domain: of the author, A-labels, empty where there is none."""
        ...

    async def read_tls(
        self,
        content: Content,
        *,
        from_domain: str,
        mail_from: str,
        signatures: Sequence[DKIMResult],
        now_ms: int,
    ) -> Report | NotAReport:
        """Input: as ``read_dmarc``; the taker decides which signatures are good enough."""
        ...

    async def keep(self, report: Report) -> None:
        """The message is accepted: store what was read.    Errors: those of its store."""
        ...


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """A DMARC evaluation that the domain's next report may tell of.    Same document, section 2."""

    at_ms: int
    evaluation: Evaluation  # its record has addresses for reports
    spf: SPFResult
    signatures: Sequence[DKIMResult]
    source_ip: str
    envelope_to: str  # domains, A-labels
    envelope_from: str
    rejected: bool
    overrides: tuple[str, ...]  # mailing_list, forwarded, sampled_out
    optional: bool  # alone it is no reason for a report


class EvaluationStore(Protocol):
    """Collects evaluations for the reports we send."""

    async def add(self, evaluated: Evaluated) -> None:
        """Errors: those of its store; the delivery is not disturbed by them."""
        ...


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient who did not get a message that others got."""

    address: Address
    reply: Reply  # as the client would have been told
    orcpt: str = ""  # RFC 3461 §4.2, as written


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient who got a message, and whose sender asked to be told.    RFC 3461 §5.2.3."""

    address: Address
    orcpt: str = ""
    is_alias: bool = False  # it stands for several


class Bounce(msgspec.Struct, frozen=True, kw_only=True):
    """One notification to the sender of a message that was accepted."""

    sender: Address  # of MAIL FROM; SPF proved it, so this is no backscatter
    failed: Sequence[Undelivered] = ()
    arrived: Sequence[Arrived] = ()
    header: bytes  # of the message
    message_id: str
    smtputf8: bool
    require_tls: bool | None
    envid: str
    hostname: str  # ours
    remote_name: str  # who gave us the message


class Bouncer(Protocol):
    """Queues notifications.    Until there is one, a message that some cannot get is refused."""

    async def bounce(self, bounce: Bounce) -> None:
        """Queue it.    Errors: those of the queue; then the message is refused instead."""
        ...
