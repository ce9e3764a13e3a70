"""The ARC sets of a message: collect, parse, check their structure.    RFC 8617 §4, §5.2 steps 1-3."""

import re

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import ARC_SETS
from mox.mailauth.dkim.canonical import HeaderFields
from mox.mailauth.dkim.signature import Signature, domain_value, selector_value, signed_part
from mox.mailauth.dkim.taglist import (
    BadTags,
    base64_value,
    number,
    parse_tags,
    required,
    text,
)
from mox.mailauth.dkim.verify import unusable
from mox.message.authresults import AuthResults, BadAuthResults, parse

SEAL = b"arc-seal"
MESSAGE_SIGNATURE = b"arc-message-signature"
RESULTS = b"arc-authentication-results"

_INSTANCE = re.compile(rb"[ \t\r\n]*+i[ \t]*+=[ \t]*+([0-9]{1,2}+)[ \t\r\n]*+(?:;|\()")
_SEAL_ALGORITHMS = {"rsa-sha256", "ed25519-sha256"}


class BadChain(Malformed):
    """The ARC fields of a message are no chain."""

    default = "malformed ARC chain"


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """An ARC-Seal.    RFC 8617 §4.1.3."""

    instance: int
    chain_status: str  # cv=: "none", "pass", "fail"
    algorithm: str
    domain: str
    selector: str
    value: bytes  # b=

    @property
    def record_name(self) -> str:
        """Where its key is."""
        return f"{self.selector}._domainkey.{self.domain}"


class ArcSet(msgspec.Struct, frozen=True, kw_only=True):
    """What one hand added.    RFC 8617 §4.2."""

    seal: Seal
    signature: Signature  # the ARC-Message-Signature
    results: AuthResults | None  # what it found out; None where that cannot be read
    seal_index: int  # of the fields in the header section
    signature_index: int
    results_index: int


def collect(fields: HeaderFields) -> list[ArcSet]:
    """The sets by instance, first hand first; empty where there are none.

    Errors  BadChain: too many, incomplete, repeated, broken by an earlier hand, or not readable.
            Nothing is looked up for such a chain.
    """
    seals = _by_instance(fields, SEAL)
    signatures = _by_instance(fields, MESSAGE_SIGNATURE)
    results = _by_instance(fields, RESULTS)
    count = len(seals)
    # RFC 8617 §5.2 step 3 A, B: one of each, without gaps
    if not set(seals) == set(signatures) == set(results) == set(range(1, count + 1)):
        raise BadChain("incomplete ARC set")
    sets: list[ArcSet] = []
    for instance in range(1, count + 1):
        try:
            sets.append(
                ArcSet(
                    seal=_parse_seal(fields.value(seals[instance]), instance),
                    signature=_parse_signature(fields.value(signatures[instance])),
                    results=_parse_results(fields.value(results[instance])),
                    seal_index=seals[instance],
                    signature_index=signatures[instance],
                    results_index=results[instance],
                )
            )
        except BadTags as error:
            raise BadChain(f"ARC set {instance}: {error.public}", cause=error) from error
    _check_statuses(sets)
    return sets


def _by_instance(fields: HeaderFields, name: bytes) -> dict[int, int]:
    """Indexes of the fields of a name by their instance."""
    indexes = fields.find(name)
    if len(indexes) > ARC_SETS:
        raise BadChain("too many ARC sets")  # RFC 8617 §5.2 step 1
    found: dict[int, int] = {}
    for index in indexes:
        instance = _instance(fields.value(index), name)
        if not 1 <= instance <= ARC_SETS or instance in found:
            raise BadChain("ARC instance repeated or out of range")
        found[instance] = index
    return found


def _instance(value: bytes, name: bytes) -> int:
    if name == RESULTS:  # no tag list: the instance stands first (§4.1.1)
        match = _INSTANCE.match(value)
        if match is None:
            raise BadChain("ARC field without instance")
        return int(match[1])
    try:
        return number(required(_tags(value), b"i"), 2)
    except BadTags as error:
        raise BadChain("malformed ARC field", cause=error) from error


def _tags(value: bytes) -> dict[bytes, bytes]:
    return parse_tags(value.removesuffix(b"\n").removesuffix(b"\r"))


def _parse_seal(value: bytes, instance: int) -> Seal:
    tags = _tags(value)
    if b"h" in tags:
        raise BadTags("h= in a seal")  # RFC 8617 §4.1.3
    algorithm = text(required(tags, b"a")).lower()
    if algorithm not in _SEAL_ALGORITHMS:
        raise BadTags("algorithm not accepted")
    return Seal(
        instance=instance,
        chain_status=text(required(tags, b"cv")).lower(),
        algorithm=algorithm,
        domain=domain_value(required(tags, b"d")),
        selector=selector_value(required(tags, b"s")),
        value=base64_value(required(tags, b"b")),
    )


def _parse_signature(value: bytes) -> Signature:
    signature = signed_part(_tags(value))
    fault = unusable(signature)
    if fault is None and SEAL in signature.names:
        fault = "signature over seals"  # RFC 8617 §4.1.2
    if fault is None and b"from" not in signature.names:
        fault = "From is not signed"
    if fault is None and signature.body_length is not None:
        fault = "l= leaves part of the body unsigned"
    if fault is not None:
        raise BadTags(fault)
    return signature


def _parse_results(value: bytes) -> AuthResults | None:
    match = _INSTANCE.match(value)
    if match is None or not match[0].endswith(b";"):
        return None
    try:
        return parse(value[match.end() :])
    except BadAuthResults:
        return None  # the chain does not depend on it; whoever reads the results sees none


def _check_statuses(sets: list[ArcSet]) -> None:
    """RFC 8617 §5.2 steps 2 and 3 C."""
    if sets and sets[-1].seal.chain_status == "fail":
        raise BadChain("chain failed before")
    for one in sets:
        wanted = "none" if one.seal.instance == 1 else "pass"
        if one.seal.chain_status != wanted:
            raise BadChain("wrong chain status in a seal")
