"""A connection over asyncio: bytes in and out, TLS, time limits, back-pressure.

The only place of this package with sockets.  Source  engine.md section 6: a BufferedProtocol, and a
fresh protocol object for STARTTLS.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final, cast

from mox.base.limits import (
    SMTP_INPUT_QUEUE,
    SMTP_LINGER,
    SMTP_TIMEOUT_DATA_BLOCK,
    TLS_HANDSHAKE_TIMEOUT,
    WRITE_TIMEOUT,
)
from mox.sasl.mechanism import NO_BINDINGS
from mox.smtpserver.service import ServerTLS
from mox.smtpserver.wire import ConnectionLost, Stopping, TimedOut, TLSFailed, TLSState

_SLICE: Final = 64 * 1024  # bytes of the shared receive buffer

# One for all connections of the process: it is emptied before anybody else can run.  A view: asyncio
# reads into slices of it, and slices of a bytearray would be copies.
_shared = memoryview(bytearray(_SLICE))


class Connection:
    """A ``Wire`` over a transport."""

    __slots__ = (
        "_alarm", "_alarm_at", "_changed", "_drained", "_eof", "_idle", "_input", "_late", "_linger", "_loop",
        "_lost", "_paused", "_stopped", "_tls_source", "_transport", "_until", "local_ip", "peer_uid",
        "remote_ip", "stopping", "tls",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, tls_source: ServerTLS | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._tls_source = tls_source
        self._input = bytearray()
        # The time limit of what we wait for, on the clock of the loop; None: we do not wait.  One timer
        # is kept over many waits and looks then whether the limit was moved.
        self._until: float | None = None
        self._late = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._eof = False
        self._lost = False
        self._idle = False
        self._linger = False
        self._paused = False  # reading, by us
        self._changed: asyncio.Future[None] | None = None  # receive() waits for it
        self._drained: asyncio.Future[None] | None = None  # send() waits for it
        self._stopped = asyncio.Event()  # stopping or lost
        self.stopping = False
        peer = transport.get_extra_info("peername")
        self.remote_ip = _ip(peer)
        self.local_ip = _ip(transport.get_extra_info("sockname"))
        # Over TCP the socket is not asked: that costs a call of the kernel.
        self.peer_uid = (
            None if isinstance(peer, tuple) else _uid(transport.get_extra_info("socket"))
        )
        self.tls = self._tls_state()

    @property
    def has_input(self) -> bool:
        """Bytes were received that ``receive`` has not given yet."""
        return bool(self._input)

    @property
    def lost(self) -> bool:
        """The connection is gone."""
        return self._lost

    @property
    def over(self) -> bool:
        """The client sends nothing more."""
        return self._eof or self._lost

    async def receive(self, timeout_s: float, *, idle: bool) -> bytes:
        """Some bytes; empty at the end.    Errors: TimedOut, Stopping, ConnectionLost."""
        if not self._input:
            await self._wait(timeout_s, idle=idle)
        data = bytes(self._input)
        self._input.clear()
        if self._paused and not self._lost:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def _wait(self, timeout_s: float, *, idle: bool) -> None:
        self._idle = idle
        self._limit(timeout_s)
        try:
            while not self._input and not self._eof:
                if self._lost:
                    raise ConnectionLost
                if idle and self.stopping:
                    raise Stopping
                if self._late:
                    raise TimedOut
                await self._change()
        finally:
            self._idle = False
            self._until = None

    async def _change(self) -> None:
        """Wait until something is received, ends, is late, or the server stops."""
        self._changed = self._loop.create_future()
        try:
            await self._changed
        finally:
            self._changed = None

    def _limit(self, seconds: float) -> None:
        """Set the time limit.    Cost: mostly nothing, the timer is there already and is not moved."""
        self._late = False
        self._until = until = self._loop.time() + seconds
        if self._alarm is None:
            # Not later than most limits that may come, so that none of them moves it.
            self._set_alarm(min(until, self._loop.time() + SMTP_TIMEOUT_DATA_BLOCK))
        elif until < self._alarm_at:
            self._set_alarm(until)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._until is None:
            return
        if self._until > self._loop.time():
            self._set_alarm(self._until)
            return
        self._late = True
        self._wake()

    async def send(self, data: bytes) -> None:
        """Hand over bytes; waits while the client is behind.    Errors: ConnectionLost."""
        if self._lost:
            raise ConnectionLost
        self._transport.write(data)
        if self._drained is None:
            return
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self._drained
        except TimeoutError as e:
            self._transport.abort()
            raise ConnectionLost("client does not read", cause=e) from e
        if self._lost:
            raise ConnectionLost

    async def start_tls(self, go_ahead: bytes) -> None:
        """Send the go-ahead and do the handshake.    Errors: TLSFailed, ConnectionLost."""
        assert self._tls_source is not None
        if self._lost:
            raise ConnectionLost
        # Before the go-ahead, without an await in between: the first bytes of the handshake must
        # not reach the protocol that is about to be replaced.
        self._transport.pause_reading()
        self._transport.write(go_ahead)
        self._paused = False
        self._input.clear()
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self._transport,
                TLSProtocol(connection=self),
                self._tls_source.context,
                server_side=True,
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT,
            )
        except (OSError, EOFError) as e:  # ssl.SSLError and time-outs are OSErrors
            self._transport.abort()
            self.was_lost()
            raise TLSFailed(cause=e, reason=failure_reason(e)) from e
        if transport is None:
            self.was_lost()
            raise ConnectionLost
        self._transport = transport
        self.tls = self._tls_state()

    async def interrupted(self) -> None:
        """Returns when the server wants to end or the client is gone."""
        await self._stopped.wait()

    def stop(self) -> None:
        """The server wants to end: an idle client is told at once, others after their command."""
        self.stopping = True
        self._stopped.set()
        if self._idle:
            self._wake()

    def abort(self) -> None:
        """End without further words."""
        self._transport.abort()

    async def close(self, *, linger: bool = True) -> None:
        """End after all that was written has been sent.    linger: the client may still be sending."""
        if self._lost:
            return
        # Closing a socket with unread input resets it, and the client may never see the last
        # reply.  So we say that we are done, and read on for a moment.
        if linger and self.tls is None and not self.over and not self.stopping:
            self._linger = True
            self._input.clear()
            self._paused = False
            self._transport.write_eof()
            self._transport.resume_reading()
            if not await self._ends_within(SMTP_LINGER):
                self._transport.abort()
                return
        self._transport.close()

    async def _ends_within(self, seconds: float) -> bool:
        """Does the client send nothing more, before that time is over?"""
        self._limit(seconds)
        while not self.over:
            if self._late:
                return False
            await self._change()
        self._until = None
        return True

    # What the protocol objects report.

    def received(self, data: bytes | memoryview) -> None:
        """Bytes from the client."""
        if self._linger:
            return
        self._input += data
        if len(self._input) > SMTP_INPUT_QUEUE and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def ended(self) -> None:
        """The client sends nothing more."""
        self._eof = True
        self._wake()

    def was_lost(self) -> None:
        """The connection is gone from now on."""
        self._lost = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._stopped.set()
        self.resume()
        self._wake()

    def pause(self) -> None:
        """The client is behind."""
        self._drained = self._loop.create_future()

    def resume(self) -> None:
        """The client caught up."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _tls_state(self) -> TLSState | None:
        connection = self._transport.get_extra_info("ssl_object")
        if connection is None:
            return None
        cipher = connection.cipher()
        return TLSState(
            version=connection.version() or "",
            cipher=cipher[0] if cipher else "",
            bindings=_bindings(connection, self._tls_source),
        )


class _Reports(asyncio.BaseProtocol):
    """What both kinds of protocol tell their connection."""

    __slots__ = ("_begin", "_connection")

    def __init__(
        self,
        begin: Callable[[asyncio.Transport], Connection] | None = None,
        *,
        connection: Connection | None = None,
    ) -> None:
        self._begin = begin
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; not called after STARTTLS, where the connection is there already."""
        if self._begin is not None:
            self._connection = self._begin(cast(asyncio.Transport, transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        if self._connection is not None:
            self._connection.was_lost()

    def pause_writing(self) -> None:
        """The client is behind."""
        if self._connection is not None:
            self._connection.pause()

    def resume_writing(self) -> None:
        """The client caught up."""
        if self._connection is not None:
            self._connection.resume()


class _Buffered(_Reports, asyncio.BufferedProtocol):
    """Input by way of one buffer for all: what a connection takes at once is bounded."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> memoryview:
        """The buffer that all connections share."""
        return _shared

    def buffer_updated(self, nbytes: int) -> None:
        """Input."""
        if self._connection is not None:
            self._connection.received(_shared[:nbytes])


class PlainProtocol(_Buffered):
    """In clear.    ``begin`` is called with the transport and gives the connection."""

    __slots__ = ()

    def eof_received(self) -> bool:
        """The client may still be reading: the transport stays open."""
        if self._connection is not None:
            self._connection.ended()
        return True


class TLSProtocol(_Buffered):
    """Over TLS: from the start (``begin``), or in place of a plain one (``connection``)."""

    __slots__ = ()

    def eof_received(self) -> None:
        """Over TLS there is no half-closed connection."""
        if self._connection is not None:
            self._connection.ended()


def failure_reason(error: Exception) -> str:
    """Why a handshake failed, as a label of the metrics: a closed set."""
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "").upper()
        if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"}:
            return "nottls"
        if reason in {"UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "NO_PROTOCOLS_AVAILABLE"}:
            return "unsupportedversions"
        return "other"
    if isinstance(error, (EOFError, ConnectionError)):
        return "eof"
    return "other"


def _bindings(connection: ssl.SSLObject, source: ServerTLS | None) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    end_point = source.end_point_binding(connection) if source is not None else None
    if end_point is not None:
        found["tls-server-end-point"] = end_point
    # RFC 9266 §3: tls-unique is not defined for TLS 1.3; tls-exporter Python does not offer.
    if connection.version() != "TLSv1.3":
        unique = connection.get_channel_binding("tls-unique")
        if unique:
            found["tls-unique"] = unique
    return found or dict(NO_BINDINGS)


def _ip(name: object) -> str:
    if not isinstance(name, tuple) or not name:
        return "127.0.0.1"  # a Unix socket: this machine
    # A link-local IPv6 address carries its interface.
    return str(name[0]).partition("%")[0]


def _uid(connected: socket.socket | None) -> int | None:
    """Who is at the other end of a Unix socket, as the kernel knows it."""
    if connected is None or connected.family != socket.AF_UNIX:
        return None
    size = struct.calcsize("3i")  # struct ucred: process, user, group
    _, uid, _ = struct.unpack(
        "3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return int(uid)
