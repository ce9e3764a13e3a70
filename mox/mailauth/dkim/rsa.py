"""RSA signatures made without the GIL.    RFC 8017 §8.2 (RSASSA-PKCS1-v1_5), with SHA-256.

The package cryptography keeps the GIL while it signs: a third of a millisecond in which no connection is
answered, from whatever thread it is called.  So OpenSSL's library, which Python itself is linked with, is
called as ctypes does it; where there is none, cryptography signs.    Decision 0022.
"""

import ctypes
import hashlib
import weakref
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_NAME: Final = "libcrypto.so.3"  # of all versions 3.x of OpenSSL
_PKCS1_PADDING: Final = 1  # RSA_PKCS1_PADDING of openssl/rsa.h
_KEYS: Final = 1024  # that are kept loaded


class _Library:
    """The functions used.    ``short`` ones keep the GIL: to give it up would cost more than they do."""

    def __init__(self) -> None:
        short, long = ctypes.PyDLL(_NAME), ctypes.CDLL(_NAME)
        pointer, integer, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
        self._load = _function(
            short, "d2i_AutoPrivateKey", pointer, pointer, pointer, ctypes.c_long
        )
        self.free_key = _function(short, "EVP_PKEY_free", None, pointer)
        self._new = _function(short, "EVP_PKEY_CTX_new", pointer, pointer, pointer)
        self._free = _function(short, "EVP_PKEY_CTX_free", None, pointer)
        self._init = _function(short, "EVP_PKEY_sign_init", integer, pointer)
        self._pad = _function(short, "EVP_PKEY_CTX_set_rsa_padding", integer, pointer, integer)
        self._hash = _function(short, "EVP_PKEY_CTX_set_signature_md", integer, pointer, pointer)
        self._size = _function(short, "EVP_PKEY_get_size", integer, pointer)
        # Python's TLS looks at the errors of its thread: none of ours may be left there.
        self._clear = _function(short, "ERR_clear_error", None)
        self._sha256 = _function(short, "EVP_sha256", pointer)()
        self._sign = _function(
            long, "EVP_PKEY_sign", integer, pointer, pointer, pointer, ctypes.c_char_p, size
        )

    def load(self, der: bytes) -> int | None:
        """A key; whoever asks for it frees it."""
        start = ctypes.c_char_p(der)
        key: int | None = self._load(None, ctypes.byref(start), len(der))
        if not key:
            self._clear()
        return key

    def sign(self, key: int, digest: bytes) -> bytes | None:
        """The signature over a hash; None where the library refuses."""
        context = self._new(key, None)
        try:
            length = ctypes.c_size_t(self._size(key))
            out = ctypes.create_string_buffer(length.value)
            if (
                context
                and self._init(context) == 1
                and self._pad(context, _PKCS1_PADDING) == 1
                and self._hash(context, self._sha256) == 1
                and self._sign(context, out, ctypes.byref(length), digest, len(digest)) == 1
            ):
                return out.raw[: length.value]
            self._clear()
            return None
        finally:
            self._free(context)


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    found = library[name]
    found.restype, found.argtypes = result, arguments
    return found


def _library() -> _Library | None:
    try:
        return _Library()
    except (OSError, AttributeError):  # not there; or without one of the functions
        return None


LIBRARY: Final = _library()


class _Key:
    """A key as the library has it."""

    def __init__(self, library: _Library, address: int) -> None:
        self.address = address
        # Not at the end of the process: threads that end with it may still be signing.
        self.end = weakref.finalize(self, library.free_key, address)
        self.end.atexit = False


@lru_cache(maxsize=_KEYS)
def _loaded(key: RSAPrivateKey) -> _Key | None:
    if LIBRARY is None:
        return None
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    address = LIBRARY.load(der)
    return None if address is None else _Key(LIBRARY, address)


def sign(key: RSAPrivateKey, data: bytes) -> bytes:
    """The signature over data.    Cost: RSA 2048 a third of a millisecond; for a thread."""
    loaded = _loaded(key)
    if loaded is not None and LIBRARY is not None:
        value = LIBRARY.sign(loaded.address, hashlib.sha256(data).digest())
        if value is not None:
            return value
    return key.sign(data, PKCS1v15(), SHA256())
