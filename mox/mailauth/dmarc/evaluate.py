"""Evaluating DMARC: find the policy, compare domains, say what follows.    RFC 7489 §6.6.

Notes
- Domains are in A-labels, lower case; ``author_domain`` gives From's so.
- Chance comes from outside: a number in [0, 1), one per message.
- A temporary error of what could have been aligned never leads to a rejection.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from mox.dns.base import NotFound, Resolver, Temporary
from mox.dns.name import BadName, parse_domain
from mox.mailauth.dkim import verify as dkim
from mox.mailauth.dmarc.destinations import consents
from mox.mailauth.dmarc.record import BadRecord, Policy, Record, is_record, parse_record
from mox.mailauth.publicsuffix import PublicSuffixes, is_same_organization
from mox.message.authresults import Method, Property
from mox.message.buffer import Buffer
from mox.message.envelope import BadFrom, from_address


class Status(StrEnum):
    """What became of a message.    RFC 7489 §11.2."""

    NONE = "none"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What looking for a policy gave."""

    record: Record | None = None
    domain: str = ""  # where the record is; empty without one
    status: Status = Status.NONE  # without a record: none, temperror or permerror
    authentic: bool = False  # every answer was proven by DNSSEC
    reason: str = ""


class SpfFinding(Protocol):
    """What SPF found out, about whom; ``spf.Result`` is one."""

    @property
    def status(self) -> str:
        """RFC 7208 §2.6: "pass", "temperror", ..."""
        ...

    @property
    def domain(self) -> str:
        """Of MAIL FROM, or of HELO where that is empty."""
        ...


class SpfIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of somebody else's SPF."""

    status: str
    domain: str


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement."""

    status: Status
    from_domain: str
    found: Found
    policy: Policy = Policy.NONE  # what the domain wants done with this message
    is_sampled: bool = True  # False: the domain wants its policy applied to others only (pct)
    is_spf_aligned: bool = False
    dkim_aligned: tuple[str, ...] = ()  # the domains of signatures that passed and are aligned

    @property
    def rejects(self) -> bool:
        """The domain does not want it delivered; quarantine counts as reject.    §6.3, p."""
        return self.status is Status.FAIL and self.policy is not Policy.NONE and self.is_sampled


class FromAlignment(StrEnum):
    """How far From is proven without asking for any policy."""

    STRICT = "strict"
    RELAXED = "relaxed"
    NONE = "none"


def author_domain(header: Buffer) -> str:
    """The domain of the author, in A-labels.    RFC 7489 §6.6.1.

    Errors  BadFrom: not exactly one From field with one address with a domain name.
    """
    host = (from_address(header).host or b"").decode(errors="replace")
    try:
        return parse_domain(host, lax=True).ascii
    except BadName as error:
        raise BadFrom("bad domain in From header", cause=error) from error


async def look_up(resolver: Resolver, from_domain: str, suffixes: PublicSuffixes) -> Found:
    """The policy for a From domain: its own, or its organisational domain's.    RFC 7489 §6.6.3.

    Never raises for what DNS says.
    """
    authentic = True
    for domain in dict.fromkeys((from_domain, suffixes.organizational(from_domain))):
        try:
            answer = await resolver.txt(f"_dmarc.{domain}")
        except NotFound as error:
            authentic = authentic and error.authentic
            continue
        except BadName:
            authentic = False
            continue
        except Temporary:
            return Found(status=Status.TEMPERROR, domain=domain, reason="policy unavailable")
        authentic = authentic and answer.authentic
        records = [text for text in answer.records if is_record(text)]
        if len(records) > 1:
            # RFC 7489 §6.6.3 step 5: discovery ends, DMARC is not applied.
            return Found(authentic=authentic, reason="several DMARC records")
        if records:
            return _parsed(records[0], domain, authentic)
    return Found(authentic=authentic, reason="no DMARC record")


def _parsed(text: bytes, domain: str, authentic: bool) -> Found:
    try:
        record = parse_record(text)
    except BadRecord as error:
        return Found(
            domain=domain, status=Status.PERMERROR, authentic=authentic, reason=error.public
        )
    return Found(record=record, domain=domain, authentic=authentic)


def evaluate(
    found: Found,
    from_domain: str,
    spf: SpfFinding | None,
    signatures: Sequence[dkim.Result],
    suffixes: PublicSuffixes,
    *,
    chance: float,
) -> Evaluation:
    """The judgement on a message.    RFC 7489 §6.6.2.

    Input   chance: a random number in [0, 1); below pct/100 the policy is meant for this message.
    """
    record = found.record
    if record is None:
        return Evaluation(status=found.status, from_domain=from_domain, found=found)
    could_align = spf is not None and _is_aligned(
        spf.domain, from_domain, record.is_spf_strict, suffixes
    )
    is_spf_aligned = could_align and spf is not None and spf.status == "pass"
    dkim_aligned = tuple(
        domain
        for domain in dkim.passing_domains(signatures)
        if _is_aligned(domain, from_domain, record.is_dkim_strict, suffixes)
    )
    # Only what could have been aligned leaves it open: else anybody with a broken domain of their
    # own could take a policy out of effect.
    is_open = (could_align and spf is not None and spf.status == "temperror") or any(
        one.status is dkim.Status.TEMPERROR
        and one.signature is not None
        and _is_aligned(one.signature.domain, from_domain, record.is_dkim_strict, suffixes)
        for one in signatures
    )
    if is_spf_aligned or dkim_aligned:
        status = Status.PASS
    else:
        status = Status.TEMPERROR if is_open else Status.FAIL
    return Evaluation(
        status=status,
        from_domain=from_domain,
        found=found,
        policy=record.policy_for(is_subdomain=from_domain != found.domain),
        is_sampled=chance * 100 < record.percent,
        is_spf_aligned=is_spf_aligned,
        dkim_aligned=dkim_aligned,
    )


def _is_aligned(domain: str, from_domain: str, strict: bool, suffixes: PublicSuffixes) -> bool:
    """RFC 7489 §3.1.1, §3.1.2."""
    if domain.lower() == from_domain.lower():
        return True
    return not strict and is_same_organization(suffixes, domain, from_domain)


def from_alignment(
    from_domain: str,
    spf: SpfFinding | None,
    signatures: Sequence[dkim.Result],
    suffixes: PublicSuffixes,
) -> FromAlignment:
    """How far From is proven by what passed, whatever the domain's policy."""
    proven = list(dkim.passing_domains(signatures))
    if spf is not None and spf.status == "pass":
        proven.append(spf.domain)
    if any(_is_aligned(domain, from_domain, True, suffixes) for domain in proven):
        return FromAlignment.STRICT
    if any(_is_aligned(domain, from_domain, False, suffixes) for domain in proven):
        return FromAlignment.RELAXED
    return FromAlignment.NONE


def method(evaluation: Evaluation, *, override: str = "") -> Method:
    """The result for Authentication-Results; ``override``: why the policy was not followed."""
    comment = "with dnssec" if evaluation.found.authentic else "without dnssec"
    reasons = [override] if override else []
    if evaluation.found.record is not None and not evaluation.is_sampled:
        reasons.append("sampled_out")
    if reasons:
        comment += f", override {','.join(reasons)}"
    # Without a policy the reason says why; with one the results beside it do.
    return Method(
        method="dmarc",
        result=evaluation.status,
        comment=comment,
        reason=evaluation.found.reason,
        properties=(Property(type="header", name="from", value=evaluation.from_domain),),
    )


async def accepts_reports(
    resolver: Resolver, policy_domain: str, host: str, suffixes: PublicSuffixes
) -> bool:
    """Whether a host agreed to receive reports about a domain (where its record is).

    Source  RFC 7489 §7.1.
    Errors  Temporary: it cannot be known now.
    """
    if is_same_organization(suffixes, policy_domain, host):
        return True
    return bool(await consents(resolver, policy_domain, host))
