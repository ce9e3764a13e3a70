"""Verifying an ARC chain.    RFC 8617 §5.2.

Notes
- All failures are permanent, those of DNS too (§5.2.1); a failed chain counts as none.
- A chain that passes proves who handled the message, not that they are honest: whom to trust is
  the receiver's choice.
"""

import hashlib
from enum import StrEnum

import msgspec

from mox.dns.base import Kind, Resolver
from mox.mailauth.arc.chain import ArcSet, BadChain, collect
from mox.mailauth.dkim.canonical import BadHeader, BodyHashes, Canon, HeaderFields, hash_input
from mox.mailauth.dkim.keyrecord import BadKey, KeyRecord, PublicKey, load_key
from mox.mailauth.dkim.signature import Signature, without_value
from mox.mailauth.dkim.verify import KeyAnswer, is_signed_by, key_for, look_up_key
from mox.message.authresults import AuthResults, Method, Property
from mox.message.buffer import Buffer

_PIECE = 1 << 20  # bytes of a body hashed at a time


class Status(StrEnum):
    """Chain Validation Status.    RFC 8617 §4.4."""

    NONE = "none"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"


class Hand(msgspec.Struct, frozen=True, kw_only=True):
    """Who sealed, and what they said they had found out."""

    domain: str
    selector: str
    results: AuthResults | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement on a chain."""

    status: Status
    hands: tuple[Hand, ...] = ()  # first one first; only of a chain that passes
    oldest_pass: int | None = None  # RFC 8617 §5.2 step 5: the message as it is was seen so early
    authentic: bool = False  # every key was proven by DNSSEC
    reason: str = ""  # of a failure


class Verification:
    """The chain of one message, judged while it arrives; used as ``dkim.verify.Verification``."""

    __slots__ = ("_bodies", "_fields", "_now_s", "_sets", "body_offset", "fault")

    def __init__(self, header: Buffer, *, now_s: int) -> None:
        """``header``: a header section, or a message."""
        self._now_s = now_s
        self.fault = ""  # why the chain fails without asking anybody
        self._sets: list[ArcSet] = []
        self._fields: HeaderFields | None = None
        self.body_offset = 0
        try:
            fields = self._fields = HeaderFields(header)
            self.body_offset = fields.body_offset
            self._sets = collect(fields)
        except (BadHeader, BadChain) as error:
            self.fault = error.public
        self._bodies = BodyHashes({Canon(one.signature.body_canon) for one in self._sets})

    @property
    def names(self) -> list[str]:
        """Where the keys are; each name once, the newest hand's first."""
        found: list[str] = []
        for one in reversed(self._sets):
            found += (one.signature.record_name, one.seal.record_name)
        return list(dict.fromkeys(found))

    @property
    def sealers(self) -> tuple[str, ...]:
        """The domains whose seals it carries, the first hand's first."""
        return tuple(one.seal.domain for one in self._sets)

    @property
    def needs_body(self) -> bool:
        """Whether there is a chain to judge; if not, the body need not be fed."""
        return bool(self._sets)

    def prefetch(self, resolver: Resolver) -> None:
        """Have the look-ups of the keys begin, side by side."""
        for name in self.names:
            resolver.prefetch(name, Kind.TXT)

    def feed_body(self, data: Buffer) -> None:
        """Take the next piece of the body."""
        self._bodies.feed(data)

    async def result(self, resolver: Resolver) -> Result:
        """The judgement; call it once, after the whole body was fed."""
        self.prefetch(resolver)
        answers = {name: await look_up_key(resolver, name) for name in self.names}
        return self.judge(answers)

    def judge(self, answers: dict[str, KeyAnswer]) -> Result:
        """The same with the answers at hand, one for each of ``names``."""
        self._bodies.finish()
        if self.fault:
            return Result(status=Status.FAIL, reason=self.fault)
        if not self._sets or self._fields is None:
            return Result(status=Status.NONE)
        newest = len(self._sets)
        fault = self._signature_fault(self._fields, self._sets[-1], answers)
        if fault:
            return Result(status=Status.FAIL, reason=f"message signature {newest}: {fault}")
        fault = self._seal_fault(self._fields, answers)
        if fault:
            return Result(status=Status.FAIL, reason=fault)
        return Result(
            status=Status.PASS,
            hands=tuple(
                Hand(domain=one.seal.domain, selector=one.seal.selector, results=one.results)
                for one in self._sets
            ),
            oldest_pass=self._oldest_pass(self._fields, answers),
            authentic=all(answer.authentic for answer in answers.values()),
        )

    def _signature_fault(
        self, fields: HeaderFields, one: ArcSet, answers: dict[str, KeyAnswer]
    ) -> str:
        """What is wrong with an ARC-Message-Signature, or nothing.    RFC 8617 §5.2 step 4."""
        signature = one.signature
        if signature.expires_at is not None and signature.expires_at < self._now_s:
            return "signature expired"  # RFC 8617 §4.1.2: what DKIM says of x= holds
        try:
            key = _key(answers[signature.record_name], signature)
        except BadKey as error:
            return error.public
        signed = hash_input(
            fields,
            signature.names,
            Canon(signature.header_canon),
            without_value(fields.raw(one.signature_index)),
            without=one.signature_index,
        )
        if not is_signed_by(key, signature.value, hashlib.sha256(signed).digest()):
            return "does not verify"
        if self._bodies.digest(Canon(signature.body_canon)) != signature.body_hash:
            return "body hash does not match"
        return ""

    def _seal_fault(self, fields: HeaderFields, answers: dict[str, KeyAnswer]) -> str:
        """What is wrong with the seals, or nothing.    RFC 8617 §5.2 step 6.

        A seal covers all sets up to its own, in order, itself last (§5.1.1): one running hash
        serves all of them.
        """
        running = hashlib.sha256()
        for one in self._sets:
            for index in (one.results_index, one.signature_index):
                running.update(fields.canonical(index, Canon.RELAXED))
            unsigned = without_value(fields.raw(one.seal_index))
            sealed = running.copy()
            sealed.update(hash_input(fields, (), Canon.RELAXED, unsigned))
            running.update(fields.canonical(one.seal_index, Canon.RELAXED))
            try:
                key = _seal_key(answers[one.seal.record_name], one)
            except BadKey as error:
                return f"seal {one.seal.instance}: {error.public}"
            if not is_signed_by(key, one.seal.value, sealed.digest()):
                return f"seal {one.seal.instance}: does not verify"
        return ""

    def _oldest_pass(self, fields: HeaderFields, answers: dict[str, KeyAnswer]) -> int:
        """RFC 8617 §5.2 step 5; the newest signature has passed."""
        for one in reversed(self._sets[:-1]):
            if self._signature_fault(fields, one, answers):
                return one.seal.instance + 1
        return 0


def _record(answer: KeyAnswer) -> KeyRecord:
    if answer.record is None:
        raise BadKey(answer.reason)
    return answer.record


def _key(answer: KeyAnswer, signature: Signature) -> PublicKey:
    return key_for(signature, _record(answer))


def _seal_key(answer: KeyAnswer, one: ArcSet) -> PublicKey:
    record = _record(answer)
    if record.hashes and "sha256" not in record.hashes:
        raise BadKey("key is not for this hash")
    if record.kind != one.seal.algorithm.partition("-")[0]:
        raise BadKey("key is not for this algorithm")
    if not record.is_for_mail:
        raise BadKey("key is not for mail")
    return load_key(record)


async def verify(resolver: Resolver, message: Buffer, *, now_s: int) -> Result:
    """The judgement on the chain of a message at hand."""
    verification = Verification(message, now_s=now_s)
    verification.prefetch(resolver)
    if verification.needs_body:
        for start in range(verification.body_offset, len(message), _PIECE):
            verification.feed_body(message[start : start + _PIECE])
    return await verification.result(resolver)


def method(result: Result, *, remote_ip: str | None = None) -> Method:
    """The result for Authentication-Results.    RFC 8617 §6."""
    properties: list[Property] = []
    if remote_ip is not None:
        properties.append(Property(type="smtp", name="remote-ip", value=remote_ip))
    if result.oldest_pass is not None:
        properties.append(
            Property(type="header", name="oldest-pass", value=str(result.oldest_pass))
        )
    return Method(
        method="arc",
        result=result.status.value,
        comment=f"{len(result.hands)} sealed" if result.hands else "",
        reason=result.reason,
        properties=tuple(properties),
    )
