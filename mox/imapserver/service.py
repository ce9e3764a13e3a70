"""What all IMAP sessions of a process share, put together by the runtime."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import msgspec

from mox.base.clock import Clock
from mox.base.limits import (
    CONNECTION_RATE,
    CONNECTIONS_OPEN,
    LOGIN_FAILURES_DAY,
    LOGIN_FAILURES_MINUTE,
    MESSAGE_SIZE,
)
from mox.base.ratelimit import OpenCounter, RateLimiter, Window
from mox.sasl.mechanism import Credentials, Verify
from mox.store.account import Account


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a user name that somebody wants to log in with."""

    account_name: str
    credentials: Credentials | None  # None: no password was set
    disabled_text: str = ""  # not empty: nobody may log in, and this is why
    capabilities_disabled: frozenset[bytes] = frozenset()  # not announced, ignored by ENABLE


class Authenticator(Protocol):
    """Knows the users."""

    async def lookup(self, username: str) -> Login | None:
        """A user by the NFC form of the full address, None when there is none."""
        ...

    def identity(self, username: str) -> str:
        """One name for all spellings of a user name, whether there is such a user or not."""
        ...

    async def verify(self, step: Verify) -> bool:
        """Check a password, without blocking the event loop."""
        ...


class Accounts(Protocol):
    """Opens accounts: the shard that has them."""

    async def account(self, name: str) -> Account:
        """An account by name.    Errors: AccountMissing."""
        ...


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """Waits that slow down guessing, in seconds.    Tests set them to 0."""

    slow_read: float = 1.0  # before each read in slow mode
    slow_byte: float = 1.0  # between bytes written in slow mode
    failure_step: float = 1.0  # times (failures - 3), before a further try


NO_DELAYS = Delays(slow_read=0, slow_byte=0, failure_step=0)


class TlsIdentity(Protocol):
    """Certificates of a listener, as of the moment."""

    @property
    def context(self) -> ssl.SSLContext:
        """For the handshake."""
        ...

    def end_point_binding(self, connection: ssl.SSLObject) -> bytes | None:
        """Channel binding tls-server-end-point of a connection, None where there is none."""
        ...


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the ports we listen on."""

    name: str
    service: str = "imap"  # imap or imaps, for the metrics
    tls: Callable[[], TlsIdentity] | None = None  # None: no TLS here
    implicit_tls: bool = False
    plaintext_auth_allowed: bool = False


@dataclass(frozen=True, slots=True)
class Limiter:
    """Connections and failed logins per address and network.    Failures: all protocols share it."""

    connections: RateLimiter
    open: OpenCounter
    failures: RateLimiter

    @classmethod
    def standard(cls, clock: Clock) -> "Limiter":
        """With the limits of ``base/limits.py``."""
        return cls(
            connections=RateLimiter(clock, Window(60, CONNECTION_RATE)),
            open=OpenCounter(CONNECTIONS_OPEN),
            failures=RateLimiter(
                clock, Window(60, LOGIN_FAILURES_MINUTE), Window(86_400, LOGIN_FAILURES_DAY)
            ),
        )


@dataclass(slots=True, kw_only=True)
class ImapService:
    """Given to every session."""

    accounts: Accounts
    authenticator: Authenticator
    clock: Clock
    limiter: Limiter
    hostname: str = "localhost"
    server_secret: bytes = b""  # the same over restarts: salts of users who do not exist
    delays: Delays = field(default_factory=Delays)
    append_limit: int = MESSAGE_SIZE  # bytes of one message
    next_cid: Callable[[], int] = field(default_factory=lambda: count(1).__next__)
    sync_flags_at_once: bool = False  # decision 0007: sync before the OK of a pure flag change
    stopping: bool = False
