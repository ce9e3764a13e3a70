"""Signing: what is signed, how it is written, what is refused."""

from unittest.mock import Mock

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mox.mailauth.dkim.canonical import BadHeader, Canon
from mox.mailauth.dkim.sign import NotSigned, SigningKey, sign
from mox.mailauth.dkim.signature import parse_signature

NOW = 1_700_000_000
MESSAGE = b"From: a@example.com\r\nSubject: x\r\nSubject: y\r\n\r\nbody\r\n"


@pytest.fixture
def key(ed25519_key: Ed25519PrivateKey) -> SigningKey:
    return SigningKey(domain="example.com", selector="sel", private=ed25519_key)


def test_sealing_names_each_field_once_more(key: SigningKey) -> None:
    field = sign(MESSAGE, [key], now_s=NOW)
    signature = parse_signature(field.partition(b":")[2])
    assert signature.names.count(b"from") == 2
    assert signature.names.count(b"subject") == 3
    assert signature.names.count(b"cc") == 1
    assert signature.expires_at is None


def test_without_sealing_each_is_named_as_often_as_it_occurs(
    ed25519_key: Ed25519PrivateKey,
) -> None:
    key = SigningKey(
        domain="example.com",
        selector="sel",
        private=ed25519_key,
        seals=False,
        lifetime_s=3600,
        header_canon=Canon.RELAXED,
    )
    field = sign(MESSAGE, [key], now_s=NOW, local_part="a b=")
    assert field.startswith(
        b"DKIM-Signature: v=1; d=example.com; s=sel; i=a=20b=3D@example.com;\r\n"
        b"\ta=ed25519-sha256; c=relaxed/simple; t=1700000000; x=1700003600; h=from:\r\n"
        b"\tsubject: subject; "
    )
    assert field.endswith(b"==\r\n")


@pytest.mark.rfc("6376 §5.4")
@pytest.mark.parametrize("header", [b"To: x\r\n\r\n", b"From: a@b\r\nFROM: a@b\r\n\r\n"])
def test_one_from_is_needed(key: SigningKey, header: bytes) -> None:
    with pytest.raises(NotSigned, match="From"):
        sign(header, [key], now_s=NOW)


def test_from_must_be_signed(ed25519_key: Ed25519PrivateKey) -> None:
    key = SigningKey(domain="x.example", selector="s", private=ed25519_key, names=(b"subject",))
    with pytest.raises(NotSigned, match="From must be signed"):
        sign(MESSAGE, [key], now_s=NOW)


def test_a_malformed_header_section_is_not_signed(key: SigningKey) -> None:
    with pytest.raises(BadHeader):
        sign(b"From: a@b\r\nno colon\r\n\r\n", [key], now_s=NOW)


@pytest.mark.rfc("8301 §3.2")
def test_a_short_key_does_not_sign() -> None:
    private = Mock(spec=RSAPrivateKey, key_size=512)
    key = SigningKey(domain="x.example", selector="s", private=private)
    with pytest.raises(NotSigned, match="512"):
        sign(MESSAGE, [key], now_s=NOW)


def test_too_many_fields_are_not_signed(key: SigningKey) -> None:
    with pytest.raises(NotSigned, match="too many"):
        sign(b"Subject: x\r\n" * 1000 + MESSAGE, [key], now_s=NOW)
