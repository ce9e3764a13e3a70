"""Password checks that succeeded, remembered for minutes.

A client that opens many connections pays the slow hash once.  Nothing is kept from which a password
could be learned: entries are keyed hashes, the key is random and lives as long as they do.

Source  spec/store.md section 13.  Only successes; a changed password has another stored hash, so
        what was remembered of the old one does not match.
"""

import secrets
from hashlib import blake2b

from mox.base.clock import Clock
from mox.base.limits import PASSWORD_CACHE, PASSWORD_CACHE_S

_KEY_LENGTH = 32  # bytes


class PasswordCache:
    """A bounded set of (account, stored hash, password); emptied as a whole now and then."""

    __slots__ = ("_clock", "_key", "_known", "_size", "_until")

    def __init__(self, clock: Clock, *, size: int = PASSWORD_CACHE) -> None:
        self._clock = clock
        self._size = size
        self._known: dict[bytes, None] = {}  # oldest first
        self._key = b""
        self._until = 0.0
        self._renew()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def knows(self, account: str, stored: str, password: str) -> bool:
        """Did this check succeed lately?"""
        self._renew()
        return self._token(account, stored, password) in self._known

    def remember(self, account: str, stored: str, password: str) -> None:
        """The check succeeded."""
        self._renew()
        token = self._token(account, stored, password)
        if token not in self._known and len(self._known) >= self._size:
            del self._known[next(iter(self._known))]
        self._known[token] = None

    def _renew(self) -> None:
        now = self._clock.monotonic_s()
        if not self._key or now >= self._until:
            self._known.clear()
            self._key = secrets.token_bytes(_KEY_LENGTH)
            self._until = now + PASSWORD_CACHE_S

    def _token(self, account: str, stored: str, password: str) -> bytes:
        made = blake2b(key=self._key, digest_size=32)
        for part in (account, stored, password):
            raw = part.encode("utf-8", "surrogatepass")
            made.update(len(raw).to_bytes(4, "big") + raw)
        return made.digest()
