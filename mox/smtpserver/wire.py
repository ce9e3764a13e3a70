"""What a session needs of its connection.    ``connection.py`` has it over a socket."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

import msgspec

from mox.base.errors import Unavailable
from mox.sasl.mechanism import NO_BINDINGS


class ConnectionLost(Unavailable):
    """The client is gone, or does not read."""

    default: ClassVar[str] = "connection lost"


class TimedOut(Unavailable):
    """The client sent nothing in time."""

    default: ClassVar[str] = "timeout"


class Stopping(Unavailable):
    """The server stops while the client is idle."""

    default: ClassVar[str] = "shutting down"


class TLSFailed(Unavailable):
    """No TLS came about; the connection is over.    ``fields["reason"]`` is for the metrics."""

    default: ClassVar[str] = "tls handshake failed"


class TLSState(msgspec.Struct, frozen=True, kw_only=True):
    """TLS of a connection.    ``bindings``: channel bindings by name (RFC 5929)."""

    version: str  # "TLSv1.3"
    cipher: str
    bindings: Mapping[str, bytes] = NO_BINDINGS

    @property
    def text(self) -> str:
        """For the Received field: ``TLS1.3 TLS_AES_256_GCM_SHA384``."""
        return f"{self.version.replace('TLSv', 'TLS')} {self.cipher}"


class Wire(Protocol):
    """A connection as its session sees it.    One task uses it."""

    @property
    def remote_ip(self) -> str:
        """Address of the client."""
        ...

    @property
    def peer_uid(self) -> int | None:
        """User id of the program at the other end of a Unix socket; None over TCP."""
        ...

    @property
    def local_ip(self) -> str:
        """Our own address on this connection."""
        ...

    @property
    def tls(self) -> TLSState | None:
        """None in clear."""
        ...

    @property
    def stopping(self) -> bool:
        """The server wants to end."""
        ...

    @property
    def lost(self) -> bool:
        """The connection is gone."""
        ...

    @property
    def over(self) -> bool:
        """The client sends nothing more; it may be gone."""
        ...

    @property
    def has_input(self) -> bool:
        """Bytes were received that ``receive`` has not given yet."""
        ...

    async def receive(self, timeout_s: float, *, idle: bool) -> bytes:
        """Some bytes; empty at the end of the stream.

        Input   idle: between commands, where a server that stops may end the connection.
        Errors  TimedOut, Stopping, ConnectionLost.
        """
        ...

    async def send(self, data: bytes) -> None:
        """Hand over bytes; waits while the client is behind.    Errors: ConnectionLost."""
        ...

    async def start_tls(self, go_ahead: bytes) -> None:
        """Send the go-ahead and do the handshake; no byte received before it is ever read again.

        Errors  TLSFailed, ConnectionLost.
        """
        ...

    async def interrupted(self) -> None:
        """Returns when the server wants to end or the client is gone: deliberate delays stop."""
        ...
