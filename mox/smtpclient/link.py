"""A connection to a server over asyncio: lines in, bytes out, TLS, time limits.

The only place of this package with transports.  Replies are small, so nothing is ever paused on the
way in: a server that sends more than limits.CLIENT_INPUT unasked is left.
"""

import asyncio
import ssl
from typing import Final, cast

import msgspec

from mox.base.limits import (
    CLIENT_INPUT,
    CLIENT_REPLY_LINE,
    TLS_HANDSHAKE_TIMEOUT,
)
from mox.smtpclient.errors import LinkLost, ProtocolBroken, TlsUnavailable

_DER: Final = 2  # _ssl.ENCODING_DER


class TlsState(msgspec.Struct, frozen=True, kw_only=True):
    """The TLS of a connection."""

    version: str  # "TLSv1.3"
    cipher: str
    chain: tuple[bytes, ...]  # DER, the server's own first, as sent and not verified


class Link:
    """Made by ``connect``, or over a transport that leads to the server."""

    __slots__ = (
        "_arrived",
        "_closed",
        "_drained",
        "_error",
        "_input",
        "_is_late",
        "_lines",
        "_since_tls",
        "_transport",
        "local_ip",
        "remote_ip",
        "tls",
    )

    def __init__(self) -> None:
        self._input = bytearray()
        self._lines = 0  # complete ones in the input
        self._transport: asyncio.Transport | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: Exception | None = None  # why the connection ended
        self._is_late = False  # what is waited for did not come in time
        self._since_tls = False  # nothing was received since the handshake
        self.local_ip = ""
        self.remote_ip = ""
        self.tls: TlsState | None = None

    @property
    def is_lost(self) -> bool:
        """The connection has ended, or the server said that it will send no more."""
        return self._error is not None

    @property
    def has_input(self) -> bool:
        """The server sent something that nobody asked for yet."""
        return bool(self._input)

    async def read_line(self, timeout_s: float) -> bytes:
        """A line without its line end.    Errors: LinkLost, ProtocolBroken, TlsUnavailable."""
        if not self._lines:  # a timer costs more than a line of a pipelined answer
            timer = self._timer(timeout_s)
            try:
                while not self._lines:
                    if len(self._input) > CLIENT_REPLY_LINE:
                        raise ProtocolBroken("the server sent an endless line")
                    await self._more()
            finally:
                timer.cancel()
        end = self._input.index(b"\n")
        line = bytes(self._input[:end]).removesuffix(b"\r")
        del self._input[: end + 1]
        self._lines -= 1
        if len(line) > CLIENT_REPLY_LINE:
            raise ProtocolBroken("the server sent an overlong line")
        return line

    async def read_exactly(self, count: int, timeout_s: float) -> bytes:
        """So many bytes, before the first line is read.    Errors: LinkLost."""
        timer = self._timer(timeout_s)
        try:
            while len(self._input) < count:
                await self._more()
        finally:
            timer.cancel()
        data = bytes(self._input[:count])
        del self._input[:count]
        self._lines -= data.count(b"\n")
        return data

    async def write(self, data: bytes, timeout_s: float) -> None:
        """Hand over bytes; waits while the server is behind.    Errors: LinkLost."""
        self._check()
        assert self._transport is not None
        self._transport.write(data)
        if self._drained is None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._drained
        except TimeoutError as error:
            self.abort()
            raise LinkLost("the server does not read", cause=error) from error
        self._check()

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsState:
        """The handshake.    Errors: TlsUnavailable, LinkLost.

        RFC 3207 §5: what came in clear behind the go-ahead is not the server's word.
        """
        self._check()
        if self._input:
            self.abort()
            raise ProtocolBroken("the server sent more before the TLS handshake")
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self._transport,
                LinkProtocol(self),
                context,
                server_hostname=server_name,
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT,
            )
        except (OSError, EOFError) as error:  # ssl.SSLError and time-outs are OSErrors
            self.abort()
            raise TlsUnavailable(
                f"TLS handshake: {handshake_reason(error)}",
                result_type="validation-failure",
                reason=handshake_reason(error),
                cause=error,
            ) from error
        if transport is None:
            raise LinkLost
        self._transport = transport
        self._since_tls = True
        self.tls = tls_state(transport)
        return self.tls

    def abort(self) -> None:
        """End without further words."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """End; returns once the transport is gone."""
        if self._transport is None:
            return
        self._transport.close()
        # A server that does not close its side of TLS must not hold us.
        done, _ = await asyncio.wait((self._closed,), timeout=1.0)
        if not done:
            self._transport.abort()
            await asyncio.wait((self._closed,), timeout=1.0)

    def _timer(self, seconds: float) -> asyncio.TimerHandle:
        """Ends the wait for the server after so long.    A bare timer costs a third of a timeout()."""
        self._is_late = False
        return asyncio.get_running_loop().call_later(seconds, self._late)

    def _late(self) -> None:
        self._is_late = True
        self._wake()

    async def _more(self) -> None:
        """Wait until something is received.    Errors: as ``read_line``."""
        self._check()
        self._arrived = asyncio.get_running_loop().create_future()
        await self._arrived
        if self._is_late:
            raise LinkLost("the server did not answer in time", cause=TimeoutError())

    def _check(self) -> None:
        if self._error is None:
            return
        if isinstance(self._error, ProtocolBroken):
            raise self._error
        if self._since_tls:
            # TLS 1.3: a server that refuses us says so after our side of the handshake is over.
            reason = handshake_reason(self._error)
            raise TlsUnavailable(
                f"TLS: {reason}",
                result_type="validation-failure",
                reason=reason,
                cause=self._error,
            )
        raise LinkLost(cause=self._error)

    # What the protocol objects report.

    def connected(self, transport: asyncio.Transport) -> None:
        """The connection is there."""
        self._transport = transport
        self.local_ip = _ip(transport.get_extra_info("sockname"))
        self.remote_ip = _ip(transport.get_extra_info("peername"))
        if transport.get_extra_info("ssl_object") is not None:
            self._since_tls = True
            self.tls = tls_state(transport)

    def received(self, data: bytes) -> None:
        """Bytes from the server."""
        self._since_tls = False
        self._input += data
        self._lines += data.count(b"\n")
        if len(self._input) > CLIENT_INPUT:
            self._error = self._error or ProtocolBroken("the server sends without end")
            self.abort()
        self._wake()

    def ended(self, error: Exception | None) -> None:
        """The server sends nothing more."""
        self._error = self._error or error or EOFError("the server closed the connection")
        self._wake()
        self.resume()

    def lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self.ended(error)
        if not self._closed.done():
            self._closed.set_result(None)

    def pause(self) -> None:
        """The server is behind."""
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """The server has caught up."""
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)


class LinkProtocol(asyncio.Protocol):
    """Reports to a ``Link``.    A new one takes over at STARTTLS."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        self._link.connected(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        self._link.received(data)

    def eof_received(self) -> bool:
        """As asyncio says; the connection is closed."""
        self._link.ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio says."""
        self._link.lost(exc)

    def pause_writing(self) -> None:
        """As asyncio says."""
        self._link.pause()

    def resume_writing(self) -> None:
        """As asyncio says."""
        self._link.resume()


def tls_state(transport: asyncio.BaseTransport) -> TlsState:
    """What was agreed on."""
    connection = transport.get_extra_info("ssl_object")
    cipher = connection.cipher()
    return TlsState(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        chain=peer_chain(connection),
    )


def peer_chain(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates the peer sent, DER, its own first.

    From Python 3.13 on this is public; before, only the object inside knows it (decision 0013).
    """
    public = getattr(connection, "get_unverified_chain", None)
    if public is not None:
        return tuple(public())
    inner = connection._sslobj  # type: ignore[attr-defined]  # noqa: SLF001
    return tuple(one.public_bytes(_DER) for one in inner.get_unverified_chain() or ())


def handshake_reason(error: BaseException) -> str:
    """A failure reason code for TLS reports.    RFC 8460 §4.3; spec/reports-autotls.md section 5."""
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return "io-timeout-during-handshake"
    if isinstance(error, ssl.SSLError):
        name = (error.reason or "").lower().replace("_", "-")
        if "alert" in name:
            return f"tls-remote-alert-{name}"
        if name in {"wrong-version-number", "http-request", "packet-length-too-long"}:
            return "tls-record-header-error"
        return f"tls-{name}" if name else "tls-error"
    return "connection-closed-during-handshake"


def _ip(address: object) -> str:
    """The host of a socket address, which is a path for a Unix socket."""
    return str(address[0]).partition("%")[0] if isinstance(address, tuple) else ""
