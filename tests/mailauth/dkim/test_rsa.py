"""RSA signatures are the same whoever makes them.    RFC 8017 §8.2.2: they depend on key and data only."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from mox.mailauth.dkim import rsa

DATA = [b"", b"x", b"from:a@example.org\r\n" * 1000]


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Iterator[None]:
    rsa._loaded.cache_clear()
    yield
    rsa._loaded.cache_clear()


def expected(key: RSAPrivateKey, data: bytes) -> bytes:
    return key.sign(data, PKCS1v15(), SHA256())


@pytest.mark.parametrize("bits", [1024, 1536, 2048, 4096])
def test_as_cryptography_signs(bits: int) -> None:
    key = generate_private_key(65537, bits)
    assert [rsa.sign(key, data) for data in DATA] == [expected(key, data) for data in DATA]


def test_the_library_is_used(key: RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rsa.LIBRARY is not None
    monkeypatch.setattr(rsa.LIBRARY, "sign", lambda _, digest: b"made of " + digest)
    assert rsa.sign(key, b"x") == b"made of " + sha256(b"x").digest()


def test_without_the_library(key: RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsa, "LIBRARY", None)
    assert rsa.sign(key, b"x") == expected(key, b"x")


def test_a_library_that_refuses(key: RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rsa.LIBRARY is not None
    # The hash is not of the length that the library was told.
    assert rsa.LIBRARY.sign(rsa._loaded(key).address, b"short") is None  # type: ignore[union-attr]
    assert rsa.LIBRARY.load(b"no key") is None
    monkeypatch.setattr(rsa.LIBRARY, "load", lambda _: None)
    rsa._loaded.cache_clear()
    assert rsa.sign(key, b"x") == expected(key, b"x")


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsa, "_NAME", "libcrypto-of-another-time.so")
    assert rsa._library() is None


def test_threads_share_a_key(key: RSAPrivateKey) -> None:
    data = [b"%d" % number for number in range(400)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda one: rsa.sign(key, one), data))
    assert found == [expected(key, one) for one in data]


def test_keys_that_are_forgotten_meanwhile(key: RSAPrivateKey) -> None:
    """A key is freed when nobody signs with it any more, not before; at the end of the process never."""
    loaded = rsa._loaded(key)
    assert loaded is not None
    assert loaded.end.alive
    assert not loaded.end.atexit

    def work(data: bytes) -> bytes:
        value = rsa.sign(key, data)
        rsa._loaded.cache_clear()
        return value

    data = [b"%d" % number for number in range(400)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, data)) == [expected(key, one) for one in data]
