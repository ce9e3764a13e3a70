"""Certificates against the authorities of the web: for MTA-STS, for smart hosts, for reports.

Every chain is judged, enforced or not, since TLS reports tell of what would have failed.
Source  RFC 8461 §4.1, RFC 5280, RFC 6125; results of RFC 8460 §4.3.
"""

import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification

from mox.base.limits import CHAIN_CERTIFICATES

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]++-----END CERTIFICATE-----")


class Problem(StrEnum):
    """What is wrong with a chain; the values are those of TLS reports."""

    NOT_TRUSTED = "certificate-not-trusted"
    EXPIRED = "certificate-expired"
    OTHER_HOST = "certificate-host-mismatch"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement; ``problem`` is None for a good chain."""

    problem: Problem | None = None
    text: str = ""  # for people

    @property
    def is_good(self) -> bool:
        """Trusted, in time, and for the name."""
        return self.problem is None


class Authorities:
    """Whom we trust.    Made once: a system has about 140."""

    def __init__(self, certificates: Sequence[x509.Certificate]) -> None:
        self._store = verification.Store(list(certificates)) if certificates else None

    @classmethod
    def from_pem(cls, pem: bytes) -> "Authorities":
        """Of a file of certificates; those that break the rules of RFC 5280 are left out."""
        found = []
        # The library warns of them, and will refuse them some day.
        with warnings.catch_warnings(category=CryptographyDeprecationWarning, action="error"):
            for block in _PEM.findall(pem):
                try:
                    found.append(x509.load_pem_x509_certificate(block))
                except (ValueError, CryptographyDeprecationWarning):
                    continue
        return cls(found)

    def verify(self, chain: Sequence[bytes], name: str, *, now_s: float) -> Verdict:
        """Judge a chain, DER, the server's own first, for a host name."""
        try:
            certificates = [
                x509.load_der_x509_certificate(der) for der in chain[:CHAIN_CERTIFICATES]
            ]
        except ValueError:
            return Verdict(problem=Problem.NOT_TRUSTED, text="a certificate cannot be read")
        if not certificates:
            return Verdict(problem=Problem.NOT_TRUSTED, text="the server showed no certificate")
        if self._store is None:
            return Verdict(problem=Problem.NOT_TRUSTED, text="no authorities are configured")
        now = datetime.fromtimestamp(now_s, UTC)
        leaf = certificates[0]
        builder = (
            verification.PolicyBuilder()
            .store(self._store)
            .time(now)
            .extension_policies(ca_policy=CA_POLICY, ee_policy=LEAF_POLICY)
        )
        try:
            verifier = builder.build_server_verifier(x509.DNSName(name))
            verifier.verify(leaf, certificates[1:])
        except verification.VerificationError as error:
            return _why(leaf, now, short(error))
        except (ValueError, UnsupportedAlgorithm):
            return Verdict(problem=Problem.NOT_TRUSTED, text="the chain cannot be checked")
        return Verdict()


# Mail hosts and private authorities rarely follow the profile of web browsers to the letter: asked
# for are signatures, times, the CA flag and the host's name (RFC 5280 §6, RFC 7672 §3.1.2).
CA_POLICY = verification.ExtensionPolicy.permit_all().require_present(
    x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
)
LEAF_POLICY = verification.ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, verification.Criticality.AGNOSTIC, None
)


def short(error: verification.VerificationError) -> str:
    """The library's reason without the certificate it prints behind it."""
    return str(error).partition(" (encountered")[0].removeprefix("validation failed: ")


def _why(leaf: x509.Certificate, now: datetime, text: str) -> Verdict:
    """The reason a report has a word for."""
    if leaf.not_valid_after_utc < now:
        return Verdict(problem=Problem.EXPIRED, text="the certificate has expired")
    if "subjectAltName" in text:
        return Verdict(problem=Problem.OTHER_HOST, text=text)
    return Verdict(problem=Problem.NOT_TRUSTED, text=text)
