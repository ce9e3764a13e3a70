"""Signing with DKIM: RSA and Ed25519 with SHA-256.    RFC 6376 §5, RFC 8301, RFC 8463.

Sealing names each field once more than it occurs, so that adding one breaks the signature
(RFC 6376 §8.15).
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mox.base.errors import Refused
from mox.base.limits import DKIM_RSA_BITS_MAX, DKIM_RSA_BITS_MIN, DKIM_SIGNED_NAMES
from mox.mailauth.dkim import rsa
from mox.mailauth.dkim.canonical import BodyHashes, Canon, HeaderFields, hash_input
from mox.mailauth.dkim.signature import Signature, format_unsigned, with_value
from mox.message.buffer import Buffer

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey

DEFAULT_NAMES: tuple[bytes, ...] = (
    b"from",
    b"to",
    b"cc",
    b"bcc",
    b"reply-to",
    b"references",
    b"in-reply-to",
    b"subject",
    b"date",
    b"message-id",
    b"content-type",
)
"""The fields signed where nothing else is said."""

_PIECE = 1 << 20  # bytes of a body hashed at a time


class NotSigned(Refused):
    """The message or the key is not fit for a signature."""

    default = "message cannot be signed"


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """A selector's key and how it signs."""

    domain: str  # A-labels
    selector: str
    private: PrivateKey
    header_canon: Canon = Canon.SIMPLE
    body_canon: Canon = Canon.SIMPLE
    names: tuple[bytes, ...] = DEFAULT_NAMES  # lower case
    seals: bool = True
    lifetime_s: int | None = None  # seconds until the signature expires

    @property
    def algorithm(self) -> str:
        """a= of its signatures."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"


class Signing:
    """Signatures over one message, made while it passes.

    Errors  BadHeader; NotSigned: not exactly one From, a key that is too short, From not signed.
    """

    __slots__ = ("_bodies", "_fields", "_keys", "_local", "_now_s", "body_offset")

    def __init__(
        self,
        header: Buffer,
        keys: Sequence[SigningKey],
        *,
        now_s: int,
        local_part: str | None = None,
    ) -> None:
        """``header``: a header section, or a message.  ``local_part``: whose mail it is (i=)."""
        self._fields = HeaderFields(header)
        if len(self._fields.find(b"from")) != 1:
            raise NotSigned("message needs one From header")
        for key in keys:
            _check(key)
        self._keys = keys
        self._local = local_part
        self._now_s = now_s
        self._bodies = BodyHashes({key.body_canon for key in keys})
        self.body_offset = self._fields.body_offset

    def feed_body(self, data: Buffer) -> None:
        """Take the next piece of the body."""
        self._bodies.feed(data)

    def finish(self) -> "list[Unsigned]":
        """What is left to do for each key, in their order.    The body has ended."""
        self._bodies.finish()
        return [self._unsigned(key) for key in self._keys]

    def _unsigned(self, key: SigningKey) -> "Unsigned":
        names = self._signed_names(key)
        signature = Signature(
            algorithm=key.algorithm,
            header_canon=key.header_canon.value,
            body_canon=key.body_canon.value,
            domain=key.domain,
            selector=key.selector,
            names=names,
            body_hash=self._bodies.digest(key.body_canon),
            value=b"",
            identity_local=self._local,
            identity_domain=key.domain,
            signed_at=self._now_s,
            expires_at=None if key.lifetime_s is None else self._now_s + key.lifetime_s,
        )
        field = format_unsigned(signature)
        data = hash_input(self._fields, names, key.header_canon, field)
        return Unsigned(field=field, data=data, key=key.private)

    def _signed_names(self, key: SigningKey) -> tuple[bytes, ...]:
        more = 1 if key.seals else 0
        names = [name for name in key.names for _ in range(len(self._fields.find(name)) + more)]
        if len(names) > DKIM_SIGNED_NAMES:
            raise NotSigned("too many fields to sign")
        return tuple(names)


class Unsigned(NamedTuple):
    """A DKIM-Signature field that lacks its value."""

    field: bytes
    data: bytes  # what is signed
    key: PrivateKey

    def value(self) -> bytes:
        """The signature: the part that costs; RSA a third of a millisecond, without the GIL."""
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(hashlib.sha256(self.data).digest())  # RFC 8463 §3
        return rsa.sign(self.key, self.data)

    def signed(self, value: bytes) -> bytes:
        """The field with its value."""
        return with_value(self.field, value)


def sign(
    message: Buffer, keys: Sequence[SigningKey], *, now_s: int, local_part: str | None = None
) -> bytes:
    """The DKIM-Signature fields for a message, in the order of the keys.    Errors: see Signing."""
    signing = Signing(message, keys, now_s=now_s, local_part=local_part)
    for start in range(signing.body_offset, len(message), _PIECE):
        signing.feed_body(message[start : start + _PIECE])
    return b"".join(one.signed(one.value()) for one in signing.finish())


def _check(key: SigningKey) -> None:
    if b"from" not in key.names:
        raise NotSigned("From must be signed")  # RFC 6376 §5.4
    if isinstance(key.private, RSAPrivateKey):
        bits = key.private.key_size
        if not DKIM_RSA_BITS_MIN <= bits <= DKIM_RSA_BITS_MAX:
            raise NotSigned(f"RSA key of {bits} bits")  # RFC 8301 §3.2
