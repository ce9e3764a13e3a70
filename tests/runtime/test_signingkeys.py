"""DKIM keys named in the configuration."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox.config.domains import Account, Domain, DomainsConfig
from mox.config.duration import Duration
from mox.config.live import Live, make_config
from mox.config.signing import DKIM, Canonicalization, Selector
from mox.config.static import Postmaster, StaticConfig
from mox.mailauth.dkim.canonical import Canon
from mox.runtime.signingkeys import SigningKeys


def write(
    path: Path, key: Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def config_of(domain: Domain, *, name: str = "example.org") -> DomainsConfig:
    return DomainsConfig(domains={name: domain}, accounts={"me": Account(domain=name)})


@pytest.fixture
def live() -> Live:
    static = StaticConfig(
        data_dir="data",
        log_level="info",
        hostname="mx.example.org",
        postmaster=Postmaster(account="me", mailbox="Postmaster"),
        listeners={},
    )
    return Live(make_config(static, config_of(Domain())))


def swap(live: Live, domains: DomainsConfig) -> None:
    live.swap(make_config(live.config.static, domains))


def test_keys_follow_the_configuration(live: Live, tmp_path: Path) -> None:
    write(tmp_path / "one.pem", Ed25519PrivateKey.generate())
    write(tmp_path / "two.pem", rsa.generate_private_key(65537, 2048))
    keys = SigningKeys(live, tmp_path)
    assert keys.of("example.org") == ()
    selectors = {
        "one": Selector(private_key_file="one.pem", dont_seal_headers=True),
        "two": Selector(
            private_key_file="two.pem",
            headers=("From", "Subject"),
            expiration=Duration("72h"),
            canonicalization=Canonicalization(header_relaxed=True, body_relaxed=True),
        ),
        "unused": Selector(private_key_file="missing.pem"),
    }
    swap(live, config_of(Domain(dkim=DKIM(selectors=selectors, sign=("two", "one")))))
    two, one = keys.of("EXAMPLE.org")
    assert (two.domain, two.selector, two.algorithm) == ("example.org", "two", "rsa-sha256")
    assert (two.names, two.lifetime_s, two.seals) == ((b"from", b"subject"), 259200, True)
    assert (two.header_canon, two.body_canon) == (Canon.RELAXED, Canon.RELAXED)
    assert (one.algorithm, one.lifetime_s, one.seals) == ("ed25519-sha256", None, False)
    swap(live, config_of(Domain()))
    assert keys.of("example.org") == ()


def test_an_international_domain(live: Live, tmp_path: Path) -> None:
    write(tmp_path / "one.pem", Ed25519PrivateKey.generate())
    dkim = DKIM(selectors={"one": Selector(private_key_file="one.pem")}, sign=("one",))
    swap(live, config_of(Domain(dkim=dkim), name="bücher.example"))
    (key,) = SigningKeys(live, tmp_path).of("xn--bcher-kva.example")
    assert key.domain == "xn--bcher-kva.example"


@pytest.mark.parametrize("content", [None, b"garbage", b"ec"], ids=["missing", "garbage", "kind"])
def test_a_key_that_cannot_be_used_is_left_out(
    live: Live, tmp_path: Path, content: bytes | None
) -> None:
    write(tmp_path / "good.pem", Ed25519PrivateKey.generate())
    if content == b"ec":
        write(tmp_path / "bad.pem", ec.generate_private_key(ec.SECP256R1()))
    elif content is not None:
        (tmp_path / "bad.pem").write_bytes(content)
    selectors = {name: Selector(private_key_file=f"{name}.pem") for name in ("bad", "good")}
    swap(live, config_of(Domain(dkim=DKIM(selectors=selectors, sign=("bad", "good")))))
    (key,) = SigningKeys(live, tmp_path).of("example.org")
    assert key.selector == "good"


def test_keys_made_by_openssl(live: Live, tmp_path: Path) -> None:
    command = ["openssl", "genpkey", "-algorithm", "RSA", "-out", str(tmp_path / "one.pem")]
    subprocess.run(command, check=True, capture_output=True)
    dkim = DKIM(selectors={"one": Selector(private_key_file="one.pem")}, sign=("one",))
    swap(live, config_of(Domain(dkim=dkim)))
    assert len(SigningKeys(live, tmp_path).of("example.org")) == 1
