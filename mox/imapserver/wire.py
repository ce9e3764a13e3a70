"""What a session needs of its connection.    ``connection.py`` has it over a socket."""

from collections.abc import Mapping
from typing import Protocol


class Wire(Protocol):
    """A connection as its session sees it.    One task uses it."""

    @property
    def remote_address(self) -> str:
        """IP address of the client."""
        ...

    @property
    def encrypted(self) -> bool:
        """TLS is on."""
        ...

    def bindings(self) -> Mapping[str, bytes]:
        """Channel bindings of this TLS connection by name (RFC 5929), none without TLS."""
        ...

    async def receive(self, timeout_s: float) -> bytes | None:
        """Some bytes; None when poked.

        Errors  TimedOut; ConnectionClosed at the end of the stream.
        """
        ...

    def poke(self) -> None:
        """Make a waiting ``receive``, or else the next one that would wait, return None."""
        ...

    async def send(self, data: bytes) -> None:
        """Hand over bytes; waits while the client is behind.    Errors: ConnectionClosed."""
        ...

    def hold(self) -> bytes:
        """Receive nothing more until ``start_tls``; what was received and not taken."""
        ...

    async def start_tls(self) -> None:
        """The TLS handshake as server.    Errors: ConnectionClosed."""
        ...
