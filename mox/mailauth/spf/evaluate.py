"""May this client send for this domain?    RFC 7208 §4, §5, §6.

Notes
- Asking is the caller's to limit in time; RFC 7208 §4.6.4 wants at least 20 seconds, and what runs
  out of time is "temperror".
- Look-ups of a record are begun side by side where they will probably be needed (``prefetch``),
  and counted and used in the order of the record.
- A target name that cannot be looked up (empty or overlong label, after expansion) does not match;
  RFC 7208 §4.8 leaves that open, and a sender who can choose its characters then gains nothing.
"""

from collections.abc import Awaitable, Sequence
from typing import Final

from mox.base.limits import SPF_EXPLANATION, SPF_LOOKUPS, SPF_NAMES, SPF_VOID_LOOKUPS
from mox.dns.base import Answer, BadName, DnsError, Kind, NotFound, Resolver, T, Temporary
from mox.dns.name import IPAddress, canonical, check_name, is_within, unmapped
from mox.mailauth.spf import macro, record
from mox.mailauth.spf.errors import RecordError
from mox.mailauth.spf.record import Mechanism, Record
from mox.mailauth.spf.result import Identity, Result, Sender, Status

_QUALIFIERS: Final = {
    "+": Status.PASS,
    "-": Status.FAIL,
    "~": Status.SOFTFAIL,
    "?": Status.NEUTRAL,
}
_DEFAULT: Final = "default"  # RFC 7208 §9.1: the mechanism where none matched


class _Stop(Exception):  # noqa: N818
    """Evaluation ends with an error for the whole tree."""

    def __init__(self, status: Status, problem: str) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem


class _Outcome:
    """Of one check_host."""

    __slots__ = ("domain", "mechanism", "problem", "record", "status")

    def __init__(
        self,
        status: Status,
        domain: str,
        mechanism: str = "",
        found: Record | None = None,
        problem: str = "",
    ) -> None:
        self.status = status
        self.domain = domain
        self.mechanism = mechanism
        self.record = found
        self.problem = problem


async def evaluate(
    resolver: Resolver, sender: Sender, *, receiver: str = "unknown", now_s: int = 0
) -> Result:
    """Check MAIL FROM, or HELO where MAIL FROM is empty.

    Input   receiver: our name, now_s: the time, both only for explanations (RFC 7208 §7.2: r, t).
    Errors  none: every trouble is a status.
    """
    identity = Identity.MAILFROM if sender.domain else Identity.HELO
    domain = sender.domain or sender.helo
    evaluation = _Evaluation(resolver, sender, domain, receiver, now_s)
    try:
        outcome = await evaluation.check_host(domain)
        problem = outcome.problem
        explanation = await evaluation.explain(outcome)
    except _Stop as e:
        outcome = _Outcome(e.status, domain, evaluation.at)
        problem = e.problem
        explanation = ""
    return Result(
        status=outcome.status,
        identity=identity,
        sender=sender,
        domain=canonical(domain),
        mechanism=outcome.mechanism,
        problem=problem,
        explanation=explanation,
        authentic=evaluation.authentic,
        lookups=evaluation.lookups,
    )


async def lookup(resolver: Resolver, domain: str) -> Answer[Record] | None:
    """The record of a domain; None where it has none.

    Errors  Temporary (the look-up failed), BadName, RecordError (several records, or a bad one).
    """
    try:
        answer = await resolver.txt(domain)
    except NotFound:
        return None
    texts = [text for text in answer.records if record.is_record(text)]
    if not texts:
        return None
    if len(texts) > 1:  # RFC 7208 §4.5
        raise RecordError("several spf records")
    parsed = record.parse(texts[0])
    return Answer(records=(parsed,), name=answer.name, authentic=answer.authentic, ttl=answer.ttl)


class _Evaluation:
    """One evaluation with its counters, which are those of the whole tree (RFC 7208 §4.1)."""

    def __init__(
        self, resolver: Resolver, sender: Sender, domain: str, receiver: str, now_s: int
    ) -> None:
        self.resolver = resolver
        self.ip: IPAddress = unmapped(sender.ip)  # RFC 7208 §5: treated as IPv4
        self.kind = Kind.A if self.ip.version == 4 else Kind.AAAA
        self.sender = sender
        # RFC 7208 §4.3: "If the <sender> has no local-part, substitute ... postmaster".
        self.localpart = (sender.localpart if sender.domain else "") or "postmaster"
        self.sender_domain = domain
        self.receiver = receiver
        self.now_s = now_s
        self.authentic = True
        self.lookups = 0
        self.voids = 0
        self.at = ""  # the outermost term under evaluation, for errors
        self.depth = 0
        self.to_prefetch = SPF_LOOKUPS - 1  # look-ups that may be begun before their turn
        self.is_limited = True  # not while explaining

    async def check_host(self, domain: str) -> _Outcome:
        """RFC 7208 §4; recursion ends by the limit of look-ups."""
        problem = _malformed(domain)
        if problem:  # RFC 7208 §4.3
            self.authentic = False
            return _Outcome(Status.NONE, domain, problem=problem)
        try:
            answer = await lookup(self.resolver, domain)
        except Temporary as e:  # RFC 7208 §4.4
            raise _Stop(Status.TEMPERROR, f"{domain}: {e.public}") from e
        except RecordError as e:
            raise _Stop(Status.PERMERROR, f"{domain}: {e.public}") from e
        if answer is None:
            self.authentic = False
            return _Outcome(Status.NONE, domain, problem=f"{domain}: no spf record")
        self.authentic = self.authentic and answer.authentic
        found = answer.records[0]
        self.prefetch(found, domain)
        for mechanism in found.mechanisms:
            if self.depth == 0:
                self.at = mechanism.text
            if await self.matches(mechanism, domain):
                status = _QUALIFIERS[mechanism.qualifier]
                return _Outcome(status, domain, mechanism.text, found)
        # RFC 7208 §6.1: "all" has matched if there is one, so it hides the redirect.
        if found.redirect is not None:
            return await self.redirect(found.redirect, domain)
        return _Outcome(Status.NEUTRAL, domain, _DEFAULT, found)  # RFC 7208 §4.7

    async def redirect(self, spec: macro.MacroString, domain: str) -> _Outcome:
        """RFC 7208 §6.1: the result of the other domain is the result."""
        if self.depth == 0:
            self.at = f"redirect={spec}"
        self.count()
        target = await self.target(spec, domain)
        if target is None:
            raise _Stop(Status.PERMERROR, f"{domain}: the target of redirect is no name")
        outcome = await self.check_host(target)
        if outcome.status is Status.NONE:
            raise _Stop(Status.PERMERROR, f"redirect: {outcome.problem}")
        return outcome

    async def matches(self, mechanism: Mechanism, domain: str) -> bool:
        """Whether a mechanism matches the client.    RFC 7208 §5."""
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            # RFC 7208 §5.6; of another version: not within
            return self.ip in mechanism.network
        self.count()
        if mechanism.domain is None:
            name: str | None = domain
        else:
            name = await self.target(mechanism.domain, domain)
        match mechanism.name:
            case "include":
                return await self.include(name, domain)
            case "a":
                return name is not None and await self.has_address(name, mechanism)
            case "mx":
                return name is not None and await self.has_exchanger(name, mechanism)
            case "ptr":
                return name is not None and await self.is_named(name)
            case _:
                return name is not None and await self.exists(name)

    async def include(self, name: str | None, domain: str) -> bool:
        """RFC 7208 §5.2."""
        if name is None:
            if self.localpart.isascii():
                raise _Stop(Status.PERMERROR, f"{domain}: the target of include is no name")
            return False  # RFC 8616 §4
        self.depth += 1
        outcome = await self.check_host(name)
        self.depth -= 1
        if outcome.status is Status.NONE:
            raise _Stop(Status.PERMERROR, f"include: {outcome.problem}")
        return outcome.status is Status.PASS

    async def has_address(self, name: str, mechanism: Mechanism) -> bool:
        """RFC 7208 §5.3; also for the names of "mx"."""
        addresses = await self.addresses(name)
        prefix = mechanism.prefix4 if self.ip.version == 4 else mechanism.prefix6
        shift = self.ip.max_prefixlen - prefix
        return any(int(self.ip) >> shift == int(address) >> shift for address in addresses)

    async def has_exchanger(self, name: str, mechanism: Mechanism) -> bool:
        """RFC 7208 §5.4: never the implicit MX."""
        answer = await self.ask(self.resolver.mx(name))
        if answer is None:
            return False
        hosts = [mx.host for mx in sorted(answer.records) if mx.host]  # RFC 7505: the null MX
        for host in hosts[:SPF_NAMES]:
            self.resolver.prefetch(host, self.kind)
        for host in hosts[:SPF_NAMES]:
            if await self.has_address(host, mechanism):
                return True
        if len(hosts) > SPF_NAMES:  # RFC 7208 §4.6.4
            raise _Stop(Status.PERMERROR, f"{name}: too many mx records")
        return False

    async def is_named(self, target: str) -> bool:
        """RFC 7208 §5.5: a validated name of the client is within the target."""
        try:
            names = await self.claimed_names()
        except Temporary:
            return False  # "If a DNS error occurs while doing the PTR RR lookup": no match
        within = [name for name in names if is_within(name, target)]
        return await self.first_validated(within) is not None

    async def exists(self, name: str) -> bool:
        """RFC 7208 §5.7: an A record, whatever the client's address is."""
        return await self.ask(self.resolver.a(name)) is not None

    async def target(self, spec: macro.MacroString, domain: str) -> str | None:
        """A domain-spec as a name to look up; None where it names nothing.    RFC 7208 §4.8."""
        if spec.uses("sl") and not self.localpart.isascii():
            return None  # RFC 8616 §4: such terms match nothing
        validated = "unknown"
        if spec.uses("p"):
            self.count()  # RFC 7208 §4.6.4: the macro counts as "ptr" does
            validated = await self.validated(domain)
        try:
            return macro.target_name(macro.expand(spec, self.values(domain, validated)))
        except RecordError as e:
            raise _Stop(Status.PERMERROR, f"{domain}: {e.public}") from e

    def values(self, domain: str, validated: str) -> macro.Values:
        """What the macro letters stand for."""
        return macro.Values(
            localpart=self.localpart,
            sender_domain=self.sender_domain,
            domain=domain,
            ip=self.ip,
            helo=self.sender.helo,
            validated=validated,
            receiver=self.receiver,
            now_s=self.now_s,
        )

    async def validated(self, domain: str) -> str:
        """The value of "p": the domain itself, else a name below it, else any.    RFC 7208 §7.3."""
        try:
            names = await self.claimed_names()
        except Temporary:
            return "unknown"
        names.sort(
            key=lambda name: (canonical(name) != canonical(domain), not is_within(name, domain))
        )
        return await self.first_validated(names) or "unknown"

    async def claimed_names(self) -> list[str]:
        """What the client's address claims to be; those after the first ten are ignored.

        Source  RFC 7208 §4.6.4.    Errors: Temporary.
        """
        try:
            answer = await self.resolver.ptr(self.ip)
        except NotFound as e:
            self.void(e)
            return []
        self.authentic = self.authentic and answer.authentic
        return list(answer.records[:SPF_NAMES])

    async def first_validated(self, names: list[str]) -> str | None:
        """The first name that leads back to the client; one whose look-up fails is skipped."""
        for name in names:
            self.resolver.prefetch(name, self.kind)
        for name in names:
            try:
                if self.ip in await self.addresses(name):
                    return name
            except _Stop as e:
                if e.status is not Status.TEMPERROR:
                    raise
        return None

    async def addresses(self, name: str) -> Sequence[IPAddress]:
        """Of the client's family.    RFC 7208 §5."""
        if self.ip.version == 4:
            answer4 = await self.ask(self.resolver.a(name))
            return () if answer4 is None else answer4.records
        answer6 = await self.ask(self.resolver.aaaa(name))
        return () if answer6 is None else answer6.records

    async def ask(self, question: Awaitable[Answer[T]]) -> Answer[T] | None:
        """The answer; None for none, which is counted."""
        try:
            answer = await question
        except NotFound as e:
            self.void(e)
            return None
        except BadName:
            return None  # a name given by an MX or PTR record
        except Temporary as e:  # RFC 7208 §5
            raise _Stop(Status.TEMPERROR, e.public) from e
        self.authentic = self.authentic and answer.authentic
        return answer

    def count(self) -> None:
        """One more term that asks the DNS.    RFC 7208 §4.6.4."""
        if self.is_limited and self.lookups >= SPF_LOOKUPS:
            raise _Stop(Status.PERMERROR, "too many dns lookups")
        self.lookups += self.is_limited

    def void(self, missing: NotFound) -> None:
        """One more look-up that found nothing.    RFC 7208 §4.6.4."""
        self.authentic = self.authentic and missing.authentic
        self.voids += 1
        if self.is_limited and self.voids > SPF_VOID_LOOKUPS:
            raise _Stop(Status.PERMERROR, "too many void dns lookups")

    def prefetch(self, found: Record, domain: str) -> None:
        """Begin the look-ups of terms that will be evaluated unless one before them matches."""
        wanted: list[tuple[str, Kind]] = []
        for mechanism in found.mechanisms:
            if mechanism.name == "all" or len(wanted) > self.to_prefetch:
                break
            if mechanism.network is not None:
                if self.ip in mechanism.network:
                    break
                continue
            kind = {"include": Kind.TXT, "mx": Kind.MX, "a": self.kind, "exists": Kind.A}.get(
                mechanism.name
            )
            spec = mechanism.domain
            if kind is None or (spec is not None and spec.parts != (spec.text,)):
                continue  # "ptr", and names with macros, which may cost a look-up themselves
            wanted.append((spec.text if spec is not None else domain, kind))
        self.to_prefetch -= max(0, len(wanted) - 1)
        for name, kind in wanted[1:]:  # the first is asked for at once
            self.resolver.prefetch(name, kind)

    async def explain(self, outcome: _Outcome) -> str:
        """What the domain says of a fail; empty where it does not, or says it badly.

        Source  RFC 7208 §6.2.  Limits do not apply, except that every list of names is cut.
        """
        if outcome.status is not Status.FAIL or outcome.record is None:
            return ""
        spec = outcome.record.explanation
        if spec is None:
            return ""
        authentic, self.is_limited = self.authentic, False
        try:
            name = await self.target(spec, outcome.domain)
            texts = () if name is None else (await self.resolver.txt(name)).records
            if len(texts) != 1:  # "or if more than one record is returned"
                return ""
            text = macro.parse_explanation(texts[0].decode("ascii"))
            validated = await self.validated(outcome.domain) if text.uses("p") else ""
            expanded = macro.expand(text, self.values(outcome.domain, validated))
        except (DnsError, BadName, RecordError, UnicodeDecodeError, _Stop):
            return ""  # "proceed as if no exp modifier was given"
        finally:
            self.authentic = authentic  # of the verdict, not of its explanation
        if not (expanded.isascii() and expanded.isprintable()):
            return ""  # "MUST be limited to [US-ASCII]"; a sender may have put it there
        return expanded[:SPF_EXPLANATION]


def _malformed(domain: str) -> str:
    """Why a domain has no record; empty where it may have one.    RFC 7208 §4.3."""
    try:
        labels = check_name(domain)
    except BadName as e:
        return e.public
    if domain.startswith("[") or (labels and labels[-1].isdigit()):
        return "an address is not a domain"
    return "" if len(labels) > 1 else "not a fully qualified domain name"
