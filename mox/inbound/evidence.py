"""The evidence about one connection: every question asked as soon as its input is known.

iprev and the DNS lists begin at connect, SPF at MAIL, the keys of DKIM and the policy of DMARC when
the header section is there; bodies are hashed while they arrive.  What is of the connection is found
once for all its messages, what is of a message once for all its recipients.

Laws  cheap until asked; a task is ended by whoever began it: ``forget`` and ``close``.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from mox.dns.name import IPAddress, to_unicode, unmapped
from mox.inbound import counting
from mox.inbound.checks import arc
from mox.inbound.checks.base import Finding, Running
from mox.inbound.checks.dkim import DKIM, Keys
from mox.inbound.checks.dmarc import DMARC
from mox.inbound.checks.dnsbl import DnsBlockList
from mox.inbound.checks.iprev import IPRev
from mox.inbound.checks.spf import SPF
from mox.inbound.context import Asking, Context
from mox.inbound.heading import Heading
from mox.junk.reputation import Sender
from mox.mailauth import dnsbl
from mox.mailauth.dkim.verify import Result as DKIMResult
from mox.mailauth.dkim.verify import Verification, passing_domains
from mox.mailauth.dmarc.evaluate import Evaluation, Found, FromAlignment, evaluate, from_alignment
from mox.mailauth.dmarc.evaluate import Status as DMARCStatus
from mox.mailauth.iprev import Result as IPRevResult
from mox.mailauth.spf import Identity
from mox.mailauth.spf import Result as SPFResult
from mox.mailauth.spf import Status as SPFStatus
from mox.smtp.address import Address
from mox.smtp.command import Hello

_INLINE: Final = 64 * 1024  # bytes of a header section that is judged on the event loop
_FEW: Final = 4  # signatures that are; mail has under five


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of where a message came from; the same for all its recipients."""

    iprev: Finding[IPRevResult]
    spf: Finding[SPFResult]
    dkim: Finding[Sequence[DKIMResult]]
    dmarc: Finding[Evaluation] | None  # None where no one author is named
    alignment: FromAlignment  # how far From is proven without asking for a policy
    heading: Heading
    arc: Finding[arc.Chain]  # told, and no more
    sender: Sender  # the identities it is remembered by
    encrypted: bool
    skipped_signatures: int

    @property
    def from_validated(self) -> bool:
        """SPF or DKIM stand for the author's domain or organisation."""
        return self.alignment is not FromAlignment.NONE

    @property
    def validation(self) -> str:
        """The class of the From domain: strict, dmarc, relaxed or none."""
        passed = self.dmarc is not None and self.dmarc.facts.status is DMARCStatus.PASS
        if passed and self.alignment is FromAlignment.RELAXED:
            return "dmarc"
        return self.alignment.value


class Evidence:
    """One connection.    Made by ``Judging.connected``."""

    __slots__ = ("_arc", "_context", "_dkim", "_dmarc", "_dnsbls", "_ending", "_iprev", "_spf")

    def __init__(self, asking: Asking, remote_ip: str, *, tls: bool) -> None:
        ip = unmapped(ipaddress.ip_address(remote_ip))
        self._context = Context(asking, ip, encrypted=tls)
        limits = asking.limits
        self._ending: set[Running[object]] = set()
        self._iprev = Running(IPRev(limits.check_s), self._context)
        self._dnsbls = [
            Running(DnsBlockList(zone, limits.dnsbl_s), self._context) for zone in asking.dnsbls
        ]
        self._spf: Running[SPFResult] | None = None
        self._dkim: Running[Keys] | None = None
        self._dmarc: Running[Found] | None = None
        self._arc: Running[Keys] | None = None

    def said_hello(self, hello: Hello, *, extended: bool) -> None:
        """EHLO or HELO; the transaction is over."""
        self.forget()
        self._context.hello = hello.name
        self._context.extended = extended

    def now_encrypted(self) -> None:
        """STARTTLS: whatever was said before is forgotten (RFC 3207 §4.2)."""
        self.forget()
        self._context.hello = ""
        self._context.encrypted = True

    def began(self, sender: Address, *, smtputf8: bool = False) -> None:
        """MAIL: SPF begins."""
        self.forget()
        self._context.sender = sender
        self._context.smtputf8 = smtputf8
        self._spf = Running(SPF(self._context.asking.limits.check_s), self._context)

    async def spf(self) -> SPFResult:
        """For the second recipient."""
        assert self._spf is not None, "MAIL comes first"
        return (await self._spf.finding()).facts

    def header_arrived(self, header: bytes) -> None:
        """The header section: the look-ups for DKIM and DMARC begin."""
        context, limits = self._context, self._context.asking.limits
        if context.sender is None or context.heading is not None:
            return
        heading = context.heading = Heading(header)
        context.verification = Verification(
            header,
            now_s=context.now_s,
            suffixes=context.asking.suffixes,
            is_utf8=context.smtputf8,
        )
        if not heading.is_complete and not context.verification.fault:
            context.verification.fault = "header section too large"
        self._dkim = Running(DKIM(limits.check_s), context)
        self._arc = arc.begin(context)
        if heading.author is not None:
            self._dmarc = Running(DMARC(limits.check_s), context)

    def body(self, chunk: bytes) -> None:
        """A piece of the body."""
        verification, chain = self._context.verification, self._context.chain
        if verification is not None and verification.needs_body:
            verification.feed_body(chunk)
        if chain is not None and chain.needs_body:
            chain.feed_body(chunk)

    def forget(self) -> None:
        """The transaction is over; what is asked for it is asked no more."""
        for running in (self._spf, self._dkim, self._dmarc, self._arc):
            if running is not None:
                self._end(running)
        self._spf = self._dkim = self._dmarc = self._arc = None
        self._context.forget_transaction()

    def _end(self, running: "Running[object]") -> None:
        self._ending = {one for one in self._ending if not one.is_done}
        if not running.is_done:
            running.cancel()
            self._ending.add(running)

    async def close(self) -> None:
        """The connection is over; nothing runs any more when this returns."""
        self.forget()
        for running in (self._iprev, *self._dnsbls):
            self._end(running)
        await asyncio.gather(*(running.ended() for running in self._ending))
        self._ending.clear()

    async def reverse_name(self) -> str:
        """The name that leads back to the client, empty without one.    For the Received field."""
        return (await self._iprev.finding()).facts.name

    @property
    def has_lists(self) -> bool:
        """DNS lists are asked."""
        return bool(self._dnsbls)

    async def listed(self) -> list[Finding[dnsbl.Result]]:
        """What the DNS lists say, in their order, up to the first that lists the client."""
        found: list[Finding[dnsbl.Result]] = []
        for running in self._dnsbls:
            finding = await running.finding()
            found.append(finding)
            if finding.facts.status is dnsbl.Status.FAIL:
                break
        return found

    def answered_lists(self) -> list[Finding[dnsbl.Result]] | None:
        """The same where every list has answered by now, else None."""
        if not all(running.is_done for running in self._dnsbls):
            return None
        return [running.result() for running in self._dnsbls]

    async def origin(self, chance: float) -> Origin:
        """Everything about where the message came from, once it has been read to its end.

        Input   chance: a random number in [0, 1) for the sampling of DMARC (pct).
        """
        context = self._context
        heading, verification = context.heading, context.verification
        assert heading is not None, "the message comes first"
        assert verification is not None, "the message comes first"
        assert self._spf is not None, "the message comes first"
        assert self._dkim is not None, "the message comes first"
        # They run side by side; only their results are waited for one after the other.
        found_iprev = await self._iprev.finding()
        found_spf = await self._spf.finding()
        found_keys = await self._dkim.finding()
        policy = None if self._dmarc is None else await self._dmarc.finding()
        if len(heading.block) > _INLINE or len(verification.names) > _FEW:
            # Made to be costly: a tenth of a second at worst.
            results = await asyncio.to_thread(verification.judge, found_keys.facts)
        else:
            results = verification.judge(found_keys.facts)
        alignment = FromAlignment.NONE
        evaluation: Finding[Evaluation] | None = None
        suffixes = context.asking.suffixes
        if policy is not None and heading.author is not None:
            author = heading.author.domain.ascii
            alignment = from_alignment(author, found_spf.facts, results, suffixes)
            judged = evaluate(
                policy.facts, author, found_spf.facts, results, suffixes, chance=chance
            )
            evaluation = Finding(
                check="dmarc", facts=judged, took_ms=policy.took_ms, problem=policy.problem
            )
        origin = Origin(
            iprev=found_iprev,
            spf=found_spf,
            dkim=Finding(
                check="dkim", facts=results, took_ms=found_keys.took_ms, problem=found_keys.problem
            ),
            dmarc=evaluation,
            alignment=alignment,
            heading=heading,
            arc=await arc.finding(self._arc, context),
            sender=self._sender(heading, found_spf.facts, results, alignment),
            encrypted=context.encrypted,
            skipped_signatures=verification.skipped,
        )
        for result in results:
            counting.signature(result, found_keys.took_ms / 1000)
        if evaluation is not None:
            counting.policy(evaluation.facts, evaluation.took_ms / 1000)
        return origin

    def _sender(
        self,
        heading: Heading,
        found: SPFResult,
        results: Sequence[DKIMResult],
        alignment: FromAlignment,
    ) -> Sender:
        """The identities a message is remembered by."""
        context = self._context
        sender = context.sender
        assert sender is not None, "MAIL comes first"
        author = heading.author
        passed = found.status is SPFStatus.PASS
        return Sender(
            from_localpart="" if author is None else author.localpart,
            from_domain="" if author is None else author.domain.unicode,
            from_org_domain=(
                ""
                if author is None
                else to_unicode(context.asking.suffixes.organizational(author.domain.ascii))
            ),
            from_validated=alignment is not FromAlignment.NONE,
            dkim_domains=tuple(to_unicode(one) for one in passing_domains(results)),
            mail_from_localpart=sender.localpart,
            mail_from_domain=to_unicode(sender.domain),
            mail_from_validated=passed and found.identity is Identity.MAILFROM,
            ehlo_domain="" if context.hello.startswith("[") else to_unicode(context.hello),
            ehlo_validated=passed and found.identity is Identity.HELO,
            ip1=_network(context.remote_ip, 32, 64),
            ip2=_network(context.remote_ip, 26, 48),
            ip3=_network(context.remote_ip, 21, 32),
        )


@lru_cache(maxsize=4096)
def _network(ip: IPAddress, bits_v4: int, bits_v6: int) -> str:
    """The network an address is in, by its first address.    spec/reputation.md section 2."""
    shift = 32 - bits_v4 if ip.version == 4 else 128 - bits_v6
    return str(type(ip)(int(ip) >> shift << shift))
