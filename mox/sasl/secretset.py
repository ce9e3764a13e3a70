"""Everything that is stored of one password, and how it is checked.

The password itself is never stored: an Argon2id hash for mechanisms that show the password, and
for each other mechanism what its server side needs.  Source  RFC 9106 §4 (Argon2id), RFC 5802,
RFC 7677, RFC 2195.
"""

from collections.abc import Callable
from typing import Final

import argon2
import msgspec

from mox.base.errors import Malformed, Refused
from mox.base.limits import PASSWORD_MIN
from mox.sasl import md5, scram
from mox.sasl.mechanism import CramSecret, ScramSecret
from mox.sasl.prepare import prepare_password

SALT_LENGTH: Final = 16  # bytes; RFC 9106 §3.1


class PasswordUnfit(Refused):
    """A new password that cannot be taken."""

    default = "password not acceptable"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Work of one Argon2id hash; with the defaults about 30 ms and 19 MiB."""

    passes: int = 2
    memory_kib: int = 19_456
    lanes: int = 1


class SecretSet(msgspec.Struct, frozen=True, kw_only=True):
    """The stored forms of one password.    Is ``Credentials``; encodes with msgspec."""

    password_hash: str
    scram_sha1: ScramSecret
    scram_sha256: ScramSecret
    cram: CramSecret

    def verify_password(self, password: str) -> bool:
        """Is it the password?    Slow: call it in a thread."""
        return verify_hash(self.password_hash, password)

    def scram(self, hash_name: str) -> ScramSecret | None:
        """The secret for ``sha1`` or ``sha256``."""
        return {"sha1": self.scram_sha1, "sha256": self.scram_sha256}.get(hash_name)

    def cram_md5(self) -> CramSecret | None:
        """The secret for CRAM-MD5."""
        return self.cram


class Nobody:
    """Credentials that nothing matches; a password check takes as long as a real one."""

    __slots__ = ()

    # Argon2id with the default cost, of bytes that were thrown away.
    _HASH: Final = (
        "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LW5vYm9keS0hIQ"
        "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )

    def verify_password(self, password: str) -> bool:
        """Never, but not sooner than for somebody."""
        verify_hash(self._HASH, password)
        return False

    def scram(self, hash_name: str) -> ScramSecret | None:
        """None."""

    def cram_md5(self) -> CramSecret | None:
        """None."""


NOBODY: Final = Nobody()
_DEFAULT_COST: Final = Cost()


def derive(
    password: str, salt_source: Callable[[int], bytes], *, cost: Cost = _DEFAULT_COST
) -> SecretSet:
    """All stored forms of a new password.    Slow: call it in a thread.

    Input   salt_source: that many random bytes, for example ``secrets.token_bytes``.
    Errors  PasswordUnfit: too short, too long, characters that no password may have.
    """
    try:
        prepared = prepare_password(password)
    except Malformed as e:
        raise PasswordUnfit(e.public, cause=e) from e
    raw = prepared.encode("utf-8")
    if len(raw) < PASSWORD_MIN:
        raise PasswordUnfit(f"password must have at least {PASSWORD_MIN} bytes")
    hasher = argon2.PasswordHasher(
        time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes
    )
    return SecretSet(
        password_hash=hasher.hash(raw, salt=salt_source(SALT_LENGTH)),
        scram_sha1=scram.make_secret("sha1", raw, salt_source(scram.SALT_LENGTH)),
        scram_sha256=scram.make_secret("sha256", raw, salt_source(scram.SALT_LENGTH)),
        cram=md5.hmac_secret(raw),
    )


def verify_hash(password_hash: str, password: str) -> bool:
    """Does the password match?    Slow.    A hash that cannot be read matches nothing."""
    try:
        prepared = prepare_password(password)
    except Malformed:
        return False
    try:
        return argon2.PasswordHasher().verify(password_hash, prepared.encode("utf-8"))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
