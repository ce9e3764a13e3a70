"""The IMAP server of a process: who is let in, which sessions run, how they end.

    server = ImapServer(service)
    listening = await loop.create_server(server.protocol(listener), ...)   # ssl= for implicit TLS
    ...
    await server.stop(grace_s)

Source  spec/imap.md section 2.
"""

import asyncio
from collections.abc import Callable

from mox.base import metrics
from mox.base.log import get_logger
from mox.imapserver.connection import PlainProtocol, SocketWire, TlsProtocol
from mox.imapserver.errors import ConnectionClosed
from mox.imapserver.serve import serve
from mox.imapserver.service import ImapService, Listener
from mox.imapserver.session import Session

log = get_logger("imapserver")


class ImapServer:
    """Owns the sessions' tasks."""

    def __init__(self, service: ImapService) -> None:
        self.service = service
        self._tasks: dict[asyncio.Task[None], SocketWire] = {}
        self._sessions: dict[SocketWire, Session] = {}  # those that were let in

    def __len__(self) -> int:
        """Connections open now."""
        return len(self._tasks)

    def protocol(self, listener: Listener) -> Callable[[], asyncio.BaseProtocol]:
        """Factory for ``loop.create_server`` on a listener."""

        def made(wire: SocketWire) -> None:
            task = asyncio.get_running_loop().create_task(self._run(listener, wire))
            self._tasks[task] = wire
            task.add_done_callback(self._done)

        def make() -> asyncio.BaseProtocol:
            wire = SocketWire(listener, made)
            return TlsProtocol(wire) if listener.implicit_tls else PlainProtocol(wire)

        return make

    async def stop(self, grace_s: float) -> None:
        """Let commands in progress finish, say BYE, drop who is left after so many seconds."""
        self.service.stopping = True
        await self._end(self._tasks, grace_s)

    async def end_account(self, name: str, grace_s: float) -> None:
        """As ``stop``, for the sessions of one account; for one that can no longer log in."""
        ending: dict[asyncio.Task[None], SocketWire] = {}
        for task, wire in self._tasks.items():
            session = self._sessions.get(wire)
            if session is not None and session.account is not None and session.account.name == name:
                session.dismissed = True
                ending[task] = wire
        await self._end(ending, grace_s)

    async def _end(self, tasks: dict[asyncio.Task[None], SocketWire], grace_s: float) -> None:
        for wire in tasks.values():
            wire.poke()
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        late = {task: wire for task, wire in tasks.items() if not task.done()}
        for task, wire in late.items():
            wire.abort()
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            metrics.unhandled("imapserver")
            log.error("imap.session_failed", error)

    async def _run(self, listener: Listener, wire: SocketWire) -> None:
        limiter = self.service.limiter
        address = wire.remote_address
        metrics.IMAP_CONNECTIONS.labels(listener.service).inc()
        refusal = self._refusal(address)
        entered = not refusal and limiter.open.enter(address)
        if not refusal and not entered:
            refusal = "too many open connections from your address"
        gauge = metrics.CONNECTIONS_OPEN.labels("imap", listener.name)
        gauge.inc()
        try:
            if refusal:
                log.info("imap.turned_away", remote=address, why=refusal)
                await _turn_away(wire, refusal)
            else:
                session = Session(self.service, listener, wire, self.service.next_cid())
                self._sessions[wire] = session
                await serve(session)
            await wire.finish()
        finally:
            self._sessions.pop(wire, None)
            gauge.dec()
            if entered:
                limiter.open.leave(address)
            wire.abort()

    def _refusal(self, address: str) -> str:
        """Why somebody is not let in; empty when they are."""
        limiter = self.service.limiter
        if self.service.stopping:
            return "mox shutting down"
        if not limiter.connections.add(address):
            return "too many connections from your address, try later"
        if not limiter.failures.can_add(address):
            metrics.AUTHENTICATIONS_RATELIMITED.labels("imap").inc()
            return "too many auth failures"
        return ""


async def _turn_away(wire: SocketWire, text: str) -> None:
    try:
        await wire.send(b"* BYE %b\r\n" % text.encode("ascii"))
    except ConnectionClosed:
        log.debug("imap.gone", remote=wire.remote_address)
