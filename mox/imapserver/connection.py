"""An IMAP connection over a socket: bytes in and out, TLS, time limits, back-pressure.

The only place that knows a transport.  Source  engine.md section 6; RFC 9051 §6.2.1, §11.3.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import cast

from mox.base.limits import (
    IMAP_COMMAND_QUEUE,
    IMAP_LINE_DISCARD,
    TLS_HANDSHAKE_TIMEOUT,
    TLS_WRITE_SLICE,
    WRITE_TIMEOUT,
)
from mox.imapserver.errors import ConnectionClosed, TimedOut
from mox.imapserver.service import Listener, TlsIdentity

KEEPALIVE_S = 300  # of TCP: a dead client is noticed while it idles
# RFC 5929 §3, §4
TLS_UNIQUE = "tls-unique"
TLS_SERVER_END_POINT = "tls-server-end-point"

LINGER_S = 1.0  # what a client still sends is read for so long, so that it can read our BYE

# TLS connections take turns with it: filled and emptied within one callback.
_receive_buffer = memoryview(bytearray(64 * 1024))


class SocketWire:
    """The wire of a session, over whatever transport the connection has at the moment."""

    def __init__(self, listener: Listener, made: Callable[["SocketWire"], None]) -> None:
        self.remote_address = ""
        self.encrypted = False
        self._listener = listener
        self._made = made
        self._tls: TlsIdentity | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._reading = True
        self._writing = True
        self._poked = False
        self._expired = False
        self._ended = False  # nothing more comes
        self._lost = False  # nor goes
        self._discarded = -1  # bytes thrown away at the end; below 0: not at the end yet
        self._waiter: asyncio.Future[None] | None = None  # of receive
        self._drained: asyncio.Future[None] | None = None  # of send
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    # The protocols' side

    def connected(self, transport: asyncio.Transport) -> None:
        """The connection is there; with implicit TLS its handshake is done."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if not peer:
            transport.abort()  # gone before we looked
            return
        self.remote_address = str(peer[0])
        if self._listener.implicit_tls:
            self._encrypt(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        self._made(self)

    def received(self, data: bytes) -> None:
        """Bytes came."""
        if self._discarded >= 0:
            self._discarded += len(data)
            if self._discarded > IMAP_LINE_DISCARD:
                self.abort()
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > IMAP_COMMAND_QUEUE and self._reading:
            self._reading = False
            self._live.pause_reading()
        self._wake()

    def ended(self) -> bool:
        """The client sends nothing more; True keeps our half open."""
        self._ended = True
        self._wake()
        return not self.encrypted

    def lost(self) -> None:
        """The connection is gone."""
        self._ended = self._lost = True
        self._wake()
        self.writable(True)

    def writable(self, yes: bool) -> None:
        """The transport's buffer has room, or not."""
        self._writing = yes
        if yes and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # The session's side

    def bindings(self) -> Mapping[str, bytes]:
        """Channel bindings of this TLS connection."""
        if self._tls is None:
            return {}
        connection = self._live.get_extra_info("ssl_object")
        found: dict[str, bytes] = {}
        end_point = self._tls.end_point_binding(connection)
        if end_point is not None:
            found[TLS_SERVER_END_POINT] = end_point
        if connection.version() == "TLSv1.2":
            # RFC 8446 appendix C.5: tls-unique has no meaning with TLS 1.3.
            unique = connection.get_channel_binding("tls-unique")
            if unique:
                found[TLS_UNIQUE] = unique
        return found

    async def receive(self, timeout_s: float) -> bytes | None:
        """Some bytes; None when poked.    Errors: TimedOut, ConnectionClosed."""
        while True:
            if self._chunks:
                return self._take()
            if self._poked:
                self._poked = False
                return None
            if self._ended:
                raise ConnectionClosed
            if self._expired:
                self._expired = False
                raise TimedOut
            self._set_deadline(timeout_s)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = self._deadline = None

    def poke(self) -> None:
        """Make a waiting ``receive``, or else the next one that would wait, return None."""
        self._poked = True
        self._wake()

    async def send(self, data: bytes) -> None:
        """Hand over bytes; waits while the client is behind.    Errors: ConnectionClosed."""
        if not self.encrypted or len(data) <= TLS_WRITE_SLICE:
            self._write(data)
            if not self._writing:
                await self._room()
            return
        # A large write under TLS keeps its buffers for the life of the connection.
        view = memoryview(data)
        for at in range(0, len(data), TLS_WRITE_SLICE):
            self._write(view[at : at + TLS_WRITE_SLICE])
            if not self._writing:
                await self._room()

    def hold(self) -> bytes:
        """Receive nothing more until ``start_tls``; what was received and not taken."""
        self._reading = False
        self._live.pause_reading()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        return data

    async def start_tls(self) -> None:
        """The TLS handshake as server.    Errors: ConnectionClosed."""
        assert self._listener.tls is not None
        tls = self._listener.tls()
        try:
            # A protocol of its own: bytes of before and after the handshake never mix.
            transport = await self._loop.start_tls(
                self._live,
                TlsProtocol(self),
                tls.context,
                server_side=True,
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT,
            )
        except OSError as error:  # of the network, of TLS, or a time limit
            self.abort()
            raise ConnectionClosed from error
        if transport is None or self._lost:
            raise ConnectionClosed
        self._transport = transport
        self._encrypt(transport, tls)
        self._reading = True

    async def finish(self) -> None:
        """End the connection so that the client can still read what it was sent."""
        transport = self._transport
        if transport is None or self._lost or transport.is_closing():
            self._cancel_timer()
            return
        if not self.encrypted and not self._ended:
            await self._linger(transport)
        self._cancel_timer()
        transport.close()

    async def _linger(self, transport: asyncio.Transport) -> None:
        """Say that we are done, and read what still comes.

        Closing with unread input makes the kernel throw away what we sent last.
        """
        self._discarded = 0
        self._chunks.clear()
        until = self._loop.time() + LINGER_S
        try:
            transport.write_eof()
            if not self._reading:
                transport.resume_reading()
            while True:
                await self.receive(max(0.0, until - self._loop.time()))
        except (TimedOut, ConnectionClosed):
            return
        except OSError:
            self.abort()  # the client is gone already

    def abort(self) -> None:
        """Drop the connection at once."""
        self._cancel_timer()
        if self._transport is not None:
            self._transport.abort()
        self.lost()  # after a failed handshake nobody else says so

    @property
    def _live(self) -> asyncio.Transport:
        if self._transport is None or self._lost:
            raise ConnectionClosed
        return self._transport

    def _encrypt(self, transport: asyncio.Transport, tls: TlsIdentity | None = None) -> None:
        self.encrypted = True
        if tls is None and self._listener.tls is not None:
            tls = self._listener.tls()
        self._tls = tls if transport.get_extra_info("ssl_object") is not None else None

    def _take(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        if not self._reading:
            self._reading = True
            if not self._ended and not self._live.is_closing():
                self._live.resume_reading()
        return data

    def _write(self, data: bytes | memoryview) -> None:
        transport = self._live
        if transport.is_closing():
            raise ConnectionClosed
        transport.write(data)

    async def _room(self) -> None:
        """Wait until the client has read some.    Errors: ConnectionClosed, also when it does not."""
        transport = self._live
        left = transport.get_write_buffer_size()
        self._drained = drained = self._loop.create_future()
        try:
            while not drained.done():
                await asyncio.wait((drained,), timeout=WRITE_TIMEOUT)
                before, left = left, transport.get_write_buffer_size()
                if not drained.done() and left >= before:
                    # Slow is allowed, standing still is not.
                    self.abort()
        finally:
            self._drained = None
        if self._lost:
            raise ConnectionClosed

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # One timer serves many waits: it is set anew only when it rings too early or too late.

    def _set_deadline(self, timeout_s: float) -> None:
        self._deadline = deadline = self._loop.time() + timeout_s
        if self._timer is None or self._timer_at > deadline:
            self._cancel_timer()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._loop.time() < self._deadline:
            self._timer_at = self._deadline
            self._timer = self._loop.call_at(self._deadline, self._ring)
            return
        self._expired = True
        self._wake()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class PlainProtocol(asyncio.Protocol):
    """Without TLS, or before it."""

    __slots__ = ("_wire",)

    def __init__(self, wire: SocketWire) -> None:
        self._wire = wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is connected."""
        self._wire.connected(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._wire.received(bytes(data))

    def eof_received(self) -> bool:
        """The client closed its half."""
        return self._wire.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._wire.lost()

    def pause_writing(self) -> None:
        """The client is behind."""
        self._wire.writable(False)

    def resume_writing(self) -> None:
        """It caught up."""
        self._wire.writable(True)


class TlsProtocol(asyncio.BufferedProtocol):
    """Within TLS.    All connections share one buffer."""

    __slots__ = ("_wire",)

    def __init__(self, wire: SocketWire) -> None:
        self._wire = wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake of implicit TLS is done."""
        self._wire.connected(cast(asyncio.Transport, transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to put decrypted bytes."""
        return _receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        self._wire.received(bytes(_receive_buffer[:nbytes]))

    def eof_received(self) -> bool:
        """The client closed its half."""
        return self._wire.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._wire.lost()

    def pause_writing(self) -> None:
        """The client is behind."""
        self._wire.writable(False)

    def resume_writing(self) -> None:
        """It caught up."""
        self._wire.writable(True)
