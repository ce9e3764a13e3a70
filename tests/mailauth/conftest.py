"""Keys and messages for the tests of mail authentication."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def rfc_message() -> bytes:
    """RFC 8463 §A.3: signed twice."""
    return (DATA / "rfc8463.eml").read_bytes().replace(b"\n", b"\r\n")


@pytest.fixture(scope="session")
def rsa_pem() -> bytes:
    """RFC 8463 §A.1: 1024 bits."""
    return (DATA / "rfc8463-rsa.pem").read_bytes()


@pytest.fixture(scope="session")
def rsa_key(rsa_pem: bytes) -> RSAPrivateKey:
    key = load_pem_private_key(rsa_pem, None)
    assert isinstance(key, RSAPrivateKey)
    return key


@pytest.fixture(scope="session")
def ed25519_key() -> Ed25519PrivateKey:
    """RFC 8463 §A.1."""
    secret = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    return Ed25519PrivateKey.from_private_bytes(secret)
