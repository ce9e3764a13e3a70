"""Chains against authorities, in the words of TLS reports.    RFC 8460 §4.3."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificates import NOW, Made

from mox.tlspolicy.pkix import Authorities, Problem

ROOT = Made("root", is_ca=True)
MIDDLE = Made("middle", ROOT, is_ca=True)
NAMES = ("mx.example.org", "*.wild.example")
LEAF = Made("leaf", MIDDLE, names=NAMES)
EXPIRED = Made("leaf", MIDDLE, names=NAMES, until=NOW - timedelta(days=1))
NAMELESS = Made("mx.example.org", MIDDLE)
SELF = Made("mx.example.org", names=NAMES)
AUTHORITIES = Authorities([x509.load_der_x509_certificate(ROOT.der)])


@pytest.mark.parametrize(
    ("chain", "name", "problem"),
    [
        ((LEAF, MIDDLE), "mx.example.org", None),
        ((LEAF, MIDDLE, ROOT), "a.wild.example", None),
        ((LEAF, MIDDLE), "a.b.wild.example", Problem.OTHER_HOST),
        ((LEAF, MIDDLE), "other.example.org", Problem.OTHER_HOST),
        ((LEAF,), "mx.example.org", Problem.NOT_TRUSTED),
        ((EXPIRED, MIDDLE), "mx.example.org", Problem.EXPIRED),
        ((NAMELESS, MIDDLE), "mx.example.org", Problem.OTHER_HOST),
        ((SELF,), "mx.example.org", Problem.NOT_TRUSTED),
        ((), "mx.example.org", Problem.NOT_TRUSTED),
        ((LEAF, MIDDLE), "under_score.example", Problem.NOT_TRUSTED),
    ],
)
def test_chains(chain: tuple[Made, ...], name: str, problem: Problem | None) -> None:
    ders = [one.der for one in chain]
    verdict = AUTHORITIES.verify(ders, name, now_s=NOW.timestamp())
    assert verdict.problem is problem
    assert verdict.is_good is (problem is None)
    assert bool(verdict.text) is (problem is not None)


def test_bytes_that_are_no_certificate() -> None:
    verdict = AUTHORITIES.verify([b"garbage"], "mx.example.org", now_s=NOW.timestamp())
    assert verdict.problem is Problem.NOT_TRUSTED


def test_authorities_of_a_file() -> None:
    pem = x509.load_der_x509_certificate(ROOT.der).public_bytes(Encoding.PEM)
    chain = [LEAF.der, MIDDLE.der]
    good = Authorities.from_pem(pem).verify(chain, "mx.example.org", now_s=NOW.timestamp())
    assert good.is_good
    none = Authorities.from_pem(b"").verify(chain, "mx.example.org", now_s=NOW.timestamp())
    assert none.text == "no authorities are configured"
