"""A key record in DNS: parse, format, load the key.    RFC 6376 §3.6.1, RFC 8301, RFC 8463."""

import base64
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from mox.base.errors import Malformed
from mox.base.limits import DKIM_RSA_BITS_MAX, DKIM_RSA_BITS_MIN, TXT_RECORDS
from mox.mailauth.dkim.taglist import (
    BadTags,
    base64_value,
    parse_tags,
    required,
    text,
    words,
)

PublicKey: TypeAlias = RSAPublicKey | Ed25519PublicKey


class BadRecord(Malformed):
    """What is in DNS is no key record, or not one."""

    default = "malformed key record"


class BadKey(Malformed):
    """The key of a record is none, or too weak to prove anything."""

    default = "unusable key"


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a key record says."""

    hashes: tuple[str, ...] = ()  # h=: the hashes allowed; empty: all
    kind: str = "rsa"  # k=
    notes: str = ""  # n=, as written
    key: bytes = b""  # p=; empty: revoked
    services: tuple[str, ...] = ("*",)  # s=
    flags: tuple[str, ...] = ()  # t=

    @property
    def is_testing(self) -> bool:
        """The domain is only trying: what does not verify counts as unsigned.    RFC 6376 §3.6.1."""
        return "y" in self.flags

    @property
    def is_strict(self) -> bool:
        """The domain of i= must be d=, not below.    RFC 6376 §3.6.1."""
        return "s" in self.flags

    @property
    def is_for_mail(self) -> bool:
        """It may be used for mail."""
        return "*" in self.services or "email" in self.services


@lru_cache(maxsize=128)  # senders come again; a record takes up to DKIM_FIELD
def parse_record(record: bytes) -> KeyRecord:
    """A key record from its TXT text, strings joined.    Errors  BadRecord."""
    try:
        tags = parse_tags(record)
        # RFC 6376 §3.6.1: v= is optional, then first and exactly this.
        if b"v" in tags and (next(iter(tags)) != b"v" or tags[b"v"] != b"DKIM1"):
            raise BadRecord("unknown version")
        return KeyRecord(
            hashes=words(tags[b"h"]) if b"h" in tags else (),
            kind=text(tags.get(b"k", b"rsa")).lower(),
            notes=text(tags.get(b"n", b"")),
            key=base64_value(required(tags, b"p")),
            services=words(tags[b"s"]) if b"s" in tags else ("*",),
            flags=words(tags[b"t"]) if b"t" in tags else (),
        )
    except BadTags as error:
        raise BadRecord(error.public, cause=error) from error


class SeveralRecords(BadRecord):
    """More than one key: which one is meant may be settled later.    RFC 6376 §3.6.2.2."""

    default = "several key records"


def choose_record(texts: Sequence[bytes]) -> KeyRecord:
    """The one key record among the texts of a name.

    Errors  SeveralRecords; BadRecord with the fault of the one that comes nearest.
    """
    found: list[KeyRecord] = []
    fault: BadRecord | None = None
    for candidate in texts[:TXT_RECORDS]:
        try:
            found.append(parse_record(candidate))
        except BadRecord as error:
            fault = fault or error
    if len(found) > 1:
        raise SeveralRecords
    if not found:
        raise fault or BadRecord("no key record")
    return found[0]


def load_key(record: KeyRecord) -> PublicKey:
    """The key itself.    Errors  BadKey: revoked, of unknown kind, broken, or too short or long."""
    if not record.key:
        raise BadKey("key revoked")  # RFC 6376 §3.6.1, p=
    if record.kind == "ed25519":
        return _load_ed25519(record.key)
    if record.kind != "rsa":
        raise BadKey("unknown kind of key")
    return _load_rsa(record.key)


@lru_cache(maxsize=512)  # a key that verified before verifies faster
def _load_rsa(octets: bytes) -> RSAPublicKey:
    try:
        # SubjectPublicKeyInfo as everybody publishes, or the bare RSAPublicKey of §3.6.1.
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey("malformed or too short key", cause=error) from error
    if not isinstance(key, RSAPublicKey):
        raise BadKey("not an RSA key")
    if not DKIM_RSA_BITS_MIN <= key.key_size <= DKIM_RSA_BITS_MAX:
        raise BadKey(f"key of {key.key_size} bits")  # RFC 8301 §3.2
    return key


def _load_ed25519(octets: bytes) -> Ed25519PublicKey:
    """RFC 8463 §4.2: the 32 octets as they are."""
    try:
        return Ed25519PublicKey.from_public_bytes(octets)
    except ValueError as error:
        raise BadKey("malformed key", cause=error) from error


def format_record(record: KeyRecord) -> str:
    """The text of a record; DNS wants it in strings of at most 255 octets."""
    tags = ["v=DKIM1"]
    if record.hashes:
        tags.append("h=" + ":".join(record.hashes))
    if record.kind != "rsa":
        tags.append("k=" + record.kind)
    if record.notes:
        tags.append("n=" + record.notes)
    if record.services != ("*",):
        tags.append("s=" + ":".join(record.services))
    if record.flags:
        tags.append("t=" + ":".join(record.flags))
    tags.append("p=" + base64.b64encode(record.key).decode())
    return ";".join(tags)


def record_of(key: PublicKey) -> KeyRecord:
    """The record that publishes a key; sha256 is the only hash we sign with."""
    if isinstance(key, Ed25519PublicKey):
        return KeyRecord(hashes=("sha256",), kind="ed25519", key=key.public_bytes_raw())
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return KeyRecord(hashes=("sha256",), key=octets)
