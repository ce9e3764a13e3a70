"""What all SMTP sessions of a listener share, put together by the runtime."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from mox.base.clock import Clock
from mox.base.limits import MESSAGE_SIZE
from mox.base.ratelimit import OpenCounter, RateLimiter
from mox.dns.base import Resolver
from mox.inbound.deliver import Deliverer, Delivery
from mox.inbound.judged import Hearing, Outcome
from mox.inbound.recipients import Directory
from mox.mailauth.spf import Result as SpfResult
from mox.outbound.submit import Submitter
from mox.sasl.mechanism import Credentials, Verify
from mox.smtp.address import Address
from mox.smtp.command import Hello


class Login(Protocol):
    """Who logs in with an address."""

    @property
    def account(self) -> str:
        """Name of the account."""
        ...

    @property
    def credentials(self) -> Credentials | None:
        """None when no password was set."""
        ...

    @property
    def disabled(self) -> str:
        """Why no login is possible, or empty."""
        ...


class Authenticator(Protocol):
    """Knows the users."""

    async def login(self, username: str) -> Login | None:
        """A user by full address in NFC, None when there is none.    Errors: those of the store."""
        ...

    def identity(self, username: str) -> str:
        """One name for all spellings of a user name, whether there is such a user or not."""
        ...

    async def verify(self, step: Verify) -> bool:
        """Check a password, without blocking the event loop."""
        ...


class ServerTLS(Protocol):
    """Certificates of a listener."""

    @property
    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        ...

    def end_point_binding(self, connection: ssl.SSLObject) -> bytes | None:
        """Channel binding tls-server-end-point (RFC 5929 §4.1), None where there is none."""
        ...


class Evidence(Protocol):
    """What is found out about one connection; every look-up begins when its input is known.

    Only ``spf`` and ``deliver`` wait, and nothing raises: look-ups that fail are findings.
    """

    @property
    def notifies(self) -> bool:
        """Can a sender be told later that some recipients did not get a message?"""
        ...

    def said_hello(self, hello: Hello, *, extended: bool) -> None:
        """EHLO or HELO."""
        ...

    def now_encrypted(self) -> None:
        """STARTTLS was done."""
        ...

    def began(self, sender: Address, *, smtputf8: bool = False) -> None:
        """MAIL was accepted."""
        ...

    async def spf(self) -> SpfResult:
        """May this client send for that sender?"""
        ...

    def header_arrived(self, header: bytes) -> None:
        """The header section of the message, while the rest is on its way."""
        ...

    def body(self, chunk: bytes) -> None:
        """What follows it, in pieces."""
        ...

    async def deliver(self, delivery: Delivery, hearing: Hearing) -> list[Outcome]:
        """Judge the message that is here as a whole and store it; the outcome of each recipient.

        The content is consumed in every case.
        """
        ...

    def forget(self) -> None:
        """The transaction is over."""
        ...

    async def close(self) -> None:
        """The connection is over: what still runs is ended."""
        ...


class Judging(Protocol):
    """Judges mail of strangers."""

    def connected(self, remote_ip: str, *, tls: bool) -> Evidence:
        """Somebody connected, and was let in."""
        ...


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """Waits that slow down guessing and probing, in seconds."""

    slow_read_s: float = 1.0  # before each read in slow mode
    slow_write_s: float = 1.0  # between bytes written in slow mode
    failed_login_s: float = 1.0  # times (failures - 3), before a further try
    unknown_recipients_s: float = 5.0  # before an address is said to be nobody's
    first_time_sender_s: float = 15.0  # before mail of somebody nobody knows is accepted


NO_DELAYS = Delays(
    slow_read_s=0,
    slow_write_s=0,
    failed_login_s=0,
    unknown_recipients_s=0,
    first_time_sender_s=0,
)


class SmtpService(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of port and everything behind it."""

    hostname: str  # A-labels; in the greeting and in Received
    submission: bool  # for our users: they must log in; otherwise from other servers
    lmtp: bool = False  # from a mail server of this machine, RFC 2033; not with submission
    peers: frozenset[int] | None = (
        None  # user ids that may speak on a Unix socket; None: whoever can
    )
    clock: Clock
    directory: Directory
    deliverer: Deliverer
    authenticator: Authenticator
    connections: RateLimiter
    open_connections: OpenCounter
    login_failures: RateLimiter  # shared by all protocols
    spool_folder: Path  # of the store, on its file system
    server_secret: bytes  # the same over restarts: salts of users who do not exist
    next_number: Callable[[], int]  # of connections, unique over restarts
    make_id: Callable[[int], str]  # number of a connection → id in replies and Received
    listener: str = ""  # name, for logs and metrics
    tls: ServerTLS | None = None
    tls_required_auth: bool = False  # no password mechanisms without TLS
    tls_required_mail: bool = False  # no recipients without TLS
    max_size: int = MESSAGE_SIZE  # bytes of a message
    delays: Delays = Delays()
    submitter: Submitter | None = None  # None: mail of users stays on this server
    special_localparts: bool = False  # localserve: addresses that make errors
    judging: Judging | None = None  # None: mail is taken as it comes
    resolver: Resolver | None = None  # None: no name of a client is looked up
    requiretls: bool = True  # offer REQUIRETLS, RFC 8689
    future_release: bool = False  # offer FUTURERELEASE to users: mail can be held here, RFC 4865

    @property
    def kind(self) -> str:
        """For metrics."""
        if self.lmtp:
            return "lmtp"
        return "submit" if self.submission else "deliver"
