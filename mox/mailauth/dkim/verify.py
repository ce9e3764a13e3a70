"""Verifying DKIM signatures.    RFC 6376 §6, RFC 8301, RFC 8463.

Notes
- The body is hashed once per canonicalisation while it arrives, whatever the number of signatures.
- What is wrong with a signature without its key is found before anything is looked up.
- ``l=`` and an unsigned Subject are not accepted as proof: result ``policy`` (RFC 6376 §8.2, §8.15).
- At most limits.DKIM_SIGNATURES signatures are looked at, the first ones; ``skipped`` counts others.
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from mox.base.limits import DKIM_SIGNATURES
from mox.dns.base import Kind, NotFound, Resolver, Temporary
from mox.dns.name import BadName
from mox.mailauth.dkim.canonical import BadHeader, BodyHashes, Canon, HeaderFields, hash_input
from mox.mailauth.dkim.keyrecord import (
    BadKey,
    BadRecord,
    KeyRecord,
    PublicKey,
    SeveralRecords,
    choose_record,
    load_key,
)
from mox.mailauth.dkim.signature import Signature, parse_signature, without_value
from mox.mailauth.dkim.taglist import BadTags
from mox.mailauth.publicsuffix import PublicSuffixes, is_public_suffix
from mox.message.buffer import Buffer

FIELD = b"dkim-signature"
_PIECE = 1 << 20  # bytes of a body hashed at a time
_ALGORITHMS = {"rsa-sha256", "ed25519-sha256"}


class Status(StrEnum):
    """What became of a signature.    RFC 8601 §2.7.1."""

    NONE = "none"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What looking for a key gave: a record, or the status and reason that its absence means."""

    record: KeyRecord | None = None
    status: Status = Status.NEUTRAL  # where there is no record
    reason: str = ""
    authentic: bool = False  # proven by DNSSEC


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement on one signature."""

    status: Status
    signature: Signature | None = None  # None where it could not be read
    record: KeyRecord | None = None
    key_bits: int | None = None
    authentic: bool = False  # the key's record was proven by DNSSEC
    reason: str = ""  # of anything but a pass; fit to be shown
    is_of_other_service: bool = False  # right in all, but its key is not for mail

    @property
    def is_pass(self) -> bool:
        """It proves that ``signature.domain`` takes responsibility."""
        return self.status is Status.PASS

    def proves_for(self, service: str) -> bool:
        """It is right, and its key is for that service or for all.    RFC 6376 §3.6.1, s=."""
        if self.record is None or not (self.is_pass or self.is_of_other_service):
            return False
        return "*" in self.record.services or service in self.record.services


async def look_up_key(resolver: Resolver, name: str) -> KeyAnswer:
    """The key record at a name.    RFC 6376 §6.1.2.    Never raises for what DNS says."""
    try:
        answer = await resolver.txt(name)
    except (NotFound, BadName):
        return KeyAnswer(status=Status.PERMERROR, reason="no key for signature")
    except Temporary:
        return KeyAnswer(status=Status.TEMPERROR, reason="key unavailable")
    try:
        record = choose_record(answer.records)
    except SeveralRecords as error:
        # Which one is meant is the domain's to settle; the sender may try again until then.
        return KeyAnswer(status=Status.TEMPERROR, reason=error.public, authentic=answer.authentic)
    except BadRecord as error:
        # RFC 6376 §6.1.2 step 5
        return KeyAnswer(status=Status.PERMERROR, reason=error.public, authentic=answer.authentic)
    return KeyAnswer(record=record, authentic=answer.authentic)


class _Candidate:
    """A signature field on its way to a result."""

    __slots__ = ("index", "result", "signature")

    def __init__(self, index: int, signature: Signature | None, result: Result | None) -> None:
        self.index = index
        self.signature = signature
        self.result = result  # what was decided without the key


class Verification:
    """The signatures of one message, judged while it arrives.

    Make it when the header section is there; ``prefetch`` the keys; ``feed_body``; when the body
    has ended, ``await results(resolver)``.  ``verify`` does all of it for a message at hand.
    """

    __slots__ = ("_bodies", "_candidates", "_fields", "body_offset", "fault", "skipped")

    def __init__(
        self,
        header: Buffer,
        *,
        now_s: int,
        suffixes: PublicSuffixes,
        is_utf8: bool = False,
    ) -> None:
        """``header``: a header section, or a message.  ``is_utf8``: it came with SMTPUTF8."""
        self.fault = ""  # why the header section cannot be judged at all
        self.skipped = 0
        self._candidates: list[_Candidate] = []
        self._fields: HeaderFields | None = None
        self.body_offset = 0
        try:
            fields = self._fields = HeaderFields(header)
        except BadHeader as error:
            self.fault = error.public
        else:
            self.body_offset = fields.body_offset
            found = fields.find(FIELD)
            self.skipped = max(0, len(found) - DKIM_SIGNATURES)
            for index in found[:DKIM_SIGNATURES]:
                self._candidates.append(_candidate(fields, index, now_s, suffixes, is_utf8))
        self._bodies = BodyHashes(
            {Canon(one.signature.body_canon) for one in self._open if one.signature}
        )

    @property
    def _open(self) -> list[_Candidate]:
        return [one for one in self._candidates if one.result is None]

    @property
    def names(self) -> list[str]:
        """Where the keys are that will be needed; each name once."""
        return list(dict.fromkeys(one.signature.record_name for one in self._open if one.signature))

    @property
    def needs_body(self) -> bool:
        """Whether any result depends on the body; if not, it need not be fed."""
        return bool(self._open)

    def prefetch(self, resolver: Resolver) -> None:
        """Have the look-ups of the keys begin, side by side."""
        for name in self.names:
            resolver.prefetch(name, Kind.TXT)

    def feed_body(self, data: Buffer) -> None:
        """Take the next piece of the body."""
        self._bodies.feed(data)

    async def results(self, resolver: Resolver) -> list[Result]:
        """A result per signature, from the top; call it once, after the whole body was fed.

        A header section that cannot be judged gives one result ``none`` with the reason.
        """
        self.prefetch(resolver)
        answers = {name: await look_up_key(resolver, name) for name in self.names}
        return self.judge(answers)

    def judge(self, answers: dict[str, KeyAnswer]) -> list[Result]:
        """The same with the answers at hand, one for each of ``names``."""
        self._bodies.finish()
        if self.fault:
            return [Result(status=Status.NONE, reason=self.fault)]
        results: list[Result] = []
        for one in self._candidates:
            if one.result is not None:
                results.append(one.result)
            elif one.signature is not None and self._fields is not None:
                answer = answers[one.signature.record_name]
                results.append(_judge(self._fields, one.index, one.signature, answer, self._bodies))
        return results


async def verify(
    resolver: Resolver,
    message: Buffer,
    *,
    now_s: int,
    suffixes: PublicSuffixes,
    is_utf8: bool = False,
) -> list[Result]:
    """The results of all signatures of a message at hand; empty where there are none."""
    verification = Verification(message, now_s=now_s, suffixes=suffixes, is_utf8=is_utf8)
    verification.prefetch(resolver)
    if verification.needs_body:
        for start in range(verification.body_offset, len(message), _PIECE):
            verification.feed_body(message[start : start + _PIECE])
    return await verification.results(resolver)


def _candidate(
    fields: HeaderFields, index: int, now_s: int, suffixes: PublicSuffixes, is_utf8: bool
) -> _Candidate:
    try:
        signature = parse_signature(fields.value(index), is_utf8=is_utf8)
    except BadTags as error:
        return _Candidate(index, None, Result(status=Status.PERMERROR, reason=error.public))
    verdict = _without_key(signature, now_s, suffixes)
    if verdict is None:
        return _Candidate(index, signature, None)
    status, reason = verdict
    return _Candidate(index, signature, Result(status=status, signature=signature, reason=reason))


def _without_key(
    signature: Signature, now_s: int, suffixes: PublicSuffixes
) -> tuple[Status, str] | None:
    """What a signature's own words decide, or None."""
    fault = unusable(signature)
    if b"from" not in signature.names:
        fault = "From is not signed"  # RFC 6376 §6.1.1
    elif signature.expires_at is not None and signature.expires_at < now_s:
        fault = "signature expired"
    elif is_public_suffix(suffixes, signature.domain):
        fault = "domain is a public suffix"  # RFC 6376 §6.1.1: nobody's own
    if fault is not None:
        return Status.PERMERROR, fault
    if signature.body_length is not None:
        return Status.POLICY, "l= leaves part of the body unsigned"  # RFC 6376 §8.2
    if b"subject" not in signature.names:
        return Status.POLICY, "Subject is not signed"
    return None


def unusable(signature: Signature) -> str | None:
    """What we cannot or must not compute, or None."""
    if signature.algorithm not in _ALGORITHMS:
        return "algorithm not accepted"  # RFC 8301 §3.1: rsa-sha1 among them
    if not {signature.header_canon, signature.body_canon} <= {*Canon}:
        return "unknown canonicalisation"
    if "dns/txt" not in signature.queries:
        return "unknown query method"
    return None


def _judge(
    fields: HeaderFields,
    index: int,
    signature: Signature,
    answer: KeyAnswer,
    bodies: BodyHashes,
) -> Result:
    record = answer.record
    if record is None:
        return Result(
            status=answer.status,
            signature=signature,
            authentic=answer.authentic,
            reason=answer.reason,
        )
    key: PublicKey | None = None
    is_of_other_service = False
    try:
        key = key_for(signature, record)
    except NotForMail as error:
        # RFC 8460 §3: a key that is for TLS reports only.
        found, _ = _compute(fields, index, signature, load_key(record), bodies)
        is_of_other_service = found is Status.PASS
        status, reason = Status.PERMERROR, error.public
    except BadKey as error:
        status, reason = Status.PERMERROR, error.public
    else:
        status, reason = _compute(fields, index, signature, key, bodies)
    if record.is_testing and status is not Status.PASS:
        # RFC 6376 §3.6.1, t=y: as if it were not signed
        status, reason = Status.NONE, f"key is being tested; {reason}"
    return Result(
        status=status,
        signature=signature,
        record=record,
        key_bits=key.key_size if isinstance(key, RSAPublicKey) else None,
        authentic=answer.authentic,
        reason=reason,
        is_of_other_service=is_of_other_service,
    )


class NotForMail(BadKey):
    """The key could be used, if it were for mail."""

    default = "key is not for mail"


def key_for(signature: Signature, record: KeyRecord) -> PublicKey:
    """The key, if the record lets it make this signature.    RFC 6376 §6.1.2.

    Errors  BadKey; NotForMail only where nothing else is wrong.
    """
    if record.hashes and signature.hash_name not in record.hashes:
        raise BadKey("key is not for this hash")
    if record.kind != signature.key_kind:
        raise BadKey("key is not for this algorithm")
    if record.is_strict and signature.identity_domain != signature.domain:
        raise BadKey("key is not for subdomains")
    key = load_key(record)
    if not record.is_for_mail:
        raise NotForMail
    return key


def _compute(
    fields: HeaderFields, index: int, signature: Signature, key: PublicKey, bodies: BodyHashes
) -> tuple[Status, str]:
    signed = hash_input(
        fields,
        signature.names,
        Canon(signature.header_canon),
        without_value(fields.raw(index)),
        without=index,
    )
    if not is_signed_by(key, signature.value, hashlib.sha256(signed).digest()):
        return Status.FAIL, "signature does not verify"
    if bodies.digest(Canon(signature.body_canon)) != signature.body_hash:
        return Status.FAIL, "body hash does not match"
    return Status.PASS, ""


def is_signed_by(key: PublicKey, value: bytes, digest: bytes) -> bool:
    """Whether the value is the key's signature over data with this SHA-256."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(value, digest)  # RFC 8463 §3
        else:
            key.verify(value, digest, PKCS1v15(), Prehashed(SHA256()))  # RFC 8017 §8.2.2
    except InvalidSignature:
        return False
    return True


def passing_domains(results: Sequence[Result]) -> tuple[str, ...]:
    """The domains that take responsibility, each once, from the top."""
    return tuple(
        dict.fromkeys(
            one.signature.domain for one in results if one.is_pass and one.signature is not None
        )
    )
