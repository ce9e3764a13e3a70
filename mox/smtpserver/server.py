"""The connections of one kind of port: made, counted, ended.    Listening is the runtime's."""

import asyncio
from collections.abc import Callable

from mox.base import metrics
from mox.base.limits import SMTP_STOP_GRACE
from mox.base.log import get_logger
from mox.smtpserver.connection import Connection, PlainProtocol, TLSProtocol
from mox.smtpserver.service import SmtpService
from mox.smtpserver.session import Session

log = get_logger("smtpserver")


class SmtpServer:
    """Runs a session for every connection.

    For ``loop.create_server(server.protocol(), sock=...)``, and with ``ssl=`` for ports that begin
    with TLS: ``server.protocol(implicit_tls=True)``.
    """

    __slots__ = ("_open", "_running", "_service", "_sessions", "_stopping")

    def __init__(self, service: SmtpService) -> None:
        self._service = service
        self._open = metrics.CONNECTIONS_OPEN.labels("smtp", service.listener)
        self._running: dict[asyncio.Task[None], Connection] = {}
        self._sessions: dict[Connection, Session] = {}
        self._stopping = False

    def __len__(self) -> int:
        """Connections open now."""
        return len(self._running)

    def protocol(
        self, *, implicit_tls: bool = False
    ) -> Callable[[], asyncio.Protocol | asyncio.BufferedProtocol]:
        """The factory of protocol objects."""
        if implicit_tls:
            return lambda: TLSProtocol(self._begin)
        return lambda: PlainProtocol(self._begin)

    async def stop(self, grace_s: float = SMTP_STOP_GRACE) -> None:
        """Say 421 to idle clients, let commands finish for a while, then end what is left."""
        self._stopping = True
        await self._end(dict(self._running), grace_s)

    async def end_account(self, name: str, grace_s: float = SMTP_STOP_GRACE) -> None:
        """As ``stop``, for the sessions of one account; for one that can no longer log in."""
        ending = {
            task: connection
            for task, connection in self._running.items()
            if self._sessions[connection].account == name
        }
        await self._end(ending, grace_s)

    async def _end(self, connections: dict[asyncio.Task[None], Connection], grace_s: float) -> None:
        for connection in connections.values():
            connection.stop()
        if not connections:
            return
        _, late = await asyncio.wait(connections, timeout=grace_s)
        for task in late:
            connection = connections[task]
            log.warn("smtp.cut_off", remote=connection.remote_ip)
            connection.abort()
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _begin(self, transport: asyncio.Transport) -> Connection:
        connection = Connection(transport, self._service.tls)
        if self._stopping:
            connection.stop()
        session = self._sessions[connection] = Session(self._service, connection)
        task = asyncio.get_running_loop().create_task(self._run(session, connection))
        self._running[task] = connection
        task.add_done_callback(self._forget)
        return connection

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._sessions[self._running.pop(task)]

    async def _run(self, session: Session, connection: Connection) -> None:
        self._open.inc()
        try:
            await session.run()
            await connection.close(linger=not session.quit)
        except Exception as e:
            connection.abort()  # first: nobody is to wait for a reply that never comes
            metrics.unhandled("smtpserver")
            log.error("smtp.broken_connection", e, remote=connection.remote_ip)
        finally:
            self._open.dec()
