"""DANE for SMTP: TLSA records, and whether a server's certificates fit them.    RFC 6698, RFC 7672."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification

from mox.base.limits import CHAIN_CERTIFICATES, TLSA_RECORDS
from mox.dns.base import Tlsa
from mox.tlspolicy.pkix import CA_POLICY, LEAF_POLICY, short


class Usage(IntEnum):
    """What a record is about.    RFC 6698 §2.1.1, RFC 7218 §2.1."""

    PKIX_TA = 0
    PKIX_EE = 1
    DANE_TA = 2
    DANE_EE = 3


class Selector(IntEnum):
    """Which part of a certificate is compared.    RFC 6698 §2.1.2."""

    CERTIFICATE = 0
    PUBLIC_KEY = 1


class Matching(IntEnum):
    """How it is compared.    RFC 6698 §2.1.3."""

    EXACT = 0
    SHA256 = 1
    SHA512 = 2


class Status(StrEnum):
    """What the certificates are to the records."""

    VERIFIED = "verified"
    UNUSABLE = "unusable"  # no record can be used: TLS without authentication, RFC 7672 §2.2
    MISMATCH = "mismatch"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement on a server's certificates."""

    status: Status
    record: Tlsa | None = None  # the one that fits
    problems: tuple[str, ...] = ()  # of single records; fit to be shown


_DIGEST: Final[dict[int, int]] = {Matching.SHA256: 32, Matching.SHA512: 64}


def record_name(host: str, port: int = 25) -> str:
    """Where the records of a mail host are.    RFC 7672 §2.2.3."""
    return f"_{port}._tcp.{host.removesuffix('.')}"


def is_usable(record: Tlsa) -> bool:
    """Whether a record can authenticate a mail server.    RFC 7672 §3.1: usages 2 and 3 only."""
    if record.usage not in (Usage.DANE_TA, Usage.DANE_EE):
        return False
    if record.selector not in tuple(Selector):
        return False
    if record.matching == Matching.EXACT:
        return _parses(record)
    return len(record.data) == _DIGEST.get(record.matching)


def usable(records: Sequence[Tlsa]) -> list[Tlsa]:
    """The records that count, of the first limits.TLSA_RECORDS."""
    return [record for record in records[:TLSA_RECORDS] if is_usable(record)]


def verify(
    records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], *, now_s: float
) -> Result:
    """Judge the certificates a mail server showed.

    Input   records: all of the host, authentic.  chain: DER, the server's own first, as sent.
            names: any of them may be the server's; RFC 7672 §3.2.3.
    Errors  none: what is wrong is said in the result.
    """
    candidates = usable(records)
    if not candidates:
        return Result(status=Status.UNUSABLE)
    if not chain:
        return Result(status=Status.MISMATCH, problems=("the server showed no certificate",))
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain[:CHAIN_CERTIFICATES]]
    except ValueError:
        return Result(status=Status.MISMATCH, problems=("a certificate cannot be read",))
    problems: list[str] = []
    # RFC 7672 §3.1.1: those about the server itself first, they need nothing else.
    for record in sorted(candidates, key=lambda one: -one.usage):
        problem = _problem(record, certificates, names, now_s)
        if problem is None:
            return Result(status=Status.VERIFIED, record=record, problems=tuple(problems))
        problems.append(problem)
    return Result(status=Status.MISMATCH, problems=tuple(dict.fromkeys(problems)))


def _problem(
    record: Tlsa, chain: Sequence[x509.Certificate], names: Sequence[str], now_s: float
) -> str | None:
    """Why a record does not fit, or None."""
    if record.usage == Usage.DANE_EE:
        # RFC 7672 §3.1.1: neither names nor dates count, the record binds the key.
        return None if matches(record, chain[0]) else "the certificate is not the one in DNS"
    anchors = list(_anchors(record, chain))
    if not anchors:
        return "no certificate of the chain is the one in DNS"
    problem = ""
    for anchor in anchors:
        problem = _chain_problem(anchor, chain, names, now_s)
        if not problem:
            return None
    return problem


def _anchors(record: Tlsa, chain: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    """Certificates a record makes trusted, from the chain or, where whole, from itself."""
    yield from (certificate for certificate in chain if matches(record, certificate))
    if record.selector == Selector.CERTIFICATE and record.matching == Matching.EXACT:
        # RFC 7672 §3.1.2: a server need not send what clients have from DNS.
        yield x509.load_der_x509_certificate(record.data)


def _chain_problem(
    anchor: x509.Certificate, chain: Sequence[x509.Certificate], names: Sequence[str], now_s: float
) -> str:
    """Why there is no valid path from the server to the anchor, or empty."""
    builder = (
        verification.PolicyBuilder()
        .store(verification.Store([anchor]))
        .time(datetime.fromtimestamp(now_s, UTC))
        .extension_policies(ca_policy=CA_POLICY, ee_policy=LEAF_POLICY)
    )
    problem = "no name to compare with"
    for name in dict.fromkeys(names):
        try:
            builder.build_server_verifier(x509.DNSName(name)).verify(chain[0], list(chain[1:]))
        except verification.VerificationError as error:
            problem = short(error)
        except (ValueError, UnsupportedAlgorithm):
            problem = "the chain cannot be checked"
        else:
            return ""
    return problem


def matches(record: Tlsa, certificate: x509.Certificate) -> bool:
    """Whether a certificate is what a record says.    RFC 6698 §2.1."""
    try:
        if record.selector == Selector.CERTIFICATE:
            selected = certificate.public_bytes(Encoding.DER)
        elif record.selector == Selector.PUBLIC_KEY:
            selected = certificate.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
        else:
            return False
    except (ValueError, UnsupportedAlgorithm):
        return False  # a key of a kind nobody uses
    return _digest(record.matching, selected) == record.data


def _digest(matching: int, selected: bytes) -> bytes | None:
    match matching:
        case Matching.EXACT:
            return selected
        case Matching.SHA256:
            return hashlib.sha256(selected).digest()
        case Matching.SHA512:
            return hashlib.sha512(selected).digest()
        case _:
            return None


def _parses(record: Tlsa) -> bool:
    """Whether the data of an exact match is what it must be: a certificate, or a public key."""
    if record.selector == Selector.PUBLIC_KEY:
        return record.data[:1] == b"\x30"  # a sequence; compared as bytes, never used as a key
    try:
        x509.load_der_x509_certificate(record.data)
    except ValueError:
        return False
    return True


def suggest(public_key: bytes) -> Tlsa:
    """The record for a server's own key: ``3 1 1``.    RFC 7672 §3.1.    Input: SPKI, DER."""
    return Tlsa(
        usage=Usage.DANE_EE,
        selector=Selector.PUBLIC_KEY,
        matching=Matching.SHA256,
        data=hashlib.sha256(public_key).digest(),
    )
