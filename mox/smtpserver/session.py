"""One SMTP conversation: its state, and the loop that answers one command after the other.

Source  RFC 5321 §3, §4; spec/smtp-server.md sections 3, 4 and 12.
Laws    no sockets here; one command at a time; replies go out when the client has nothing more for
        us to read (RFC 2920 §3.2), before waiting, and before the connection ends.
"""

import asyncio
from base64 import b64encode

from mox.base import metrics
from mox.base.limits import SMTP_TIMEOUT_COMMAND, WRITE_TIMEOUT
from mox.base.log import get_logger
from mox.smtp import replies
from mox.smtp.command import Command as CommandLine
from mox.smtp.command import Forwarded, Hello
from mox.smtp.errors import CommandError
from mox.smtp.reader import Event, LineTooLong, Mode, Reader, Signal
from mox.smtp.reply import Reply, format_reply
from mox.smtpserver.command import unmet
from mox.smtpserver.commands import COMMANDS
from mox.smtpserver.errors import Hangup, Rejected, is_bug, reply_to
from mox.smtpserver.service import Evidence, SmtpService
from mox.smtpserver.transaction import Transaction
from mox.smtpserver.wire import ConnectionLost, Stopping, TimedOut, TLSFailed, Wire

_AT_ONCE = 64  # commands answered before others get a turn
_RESERVE_S = 5.0  # of the write time limit: what slow mode leaves for the rest of the reply


class Session:
    """The state of one connection.    Commands read and change it."""

    __slots__ = (
        "_at_once", "_out", "_reader", "account", "answers", "auth_failures", "bad", "evidence", "extended",
        "forwarded", "good", "hello", "id", "log", "login_address", "quit", "service", "slow", "spoken", "transaction",
        "wire",
    )  # fmt: skip

    def __init__(self, service: SmtpService, wire: Wire) -> None:
        number = service.next_number()
        self.service = service
        self.wire = wire
        self.id = service.make_id(number)
        self.log = get_logger("smtpserver").bind(
            cid=number, remote=wire.remote_ip, listener=service.listener, kind=service.kind
        )
        self.hello: Hello | None = None
        self.extended = False  # EHLO
        self.account = ""  # logged in
        self.login_address = ""
        self.transaction: Transaction | None = None
        self.evidence: Evidence | None = None  # about who connected; None where nobody is judged
        self.forwarded = Forwarded()  # by XFORWARD
        self.answers = 1  # how often the reply to the running command is given
        self.auth_failures = 0
        self.slow = False
        self.quit = False  # the client said QUIT
        self.spoken = False  # a first command of ours was understood
        self.bad = 0  # transactions refused after DATA
        self.good = 0
        self._at_once = 0  # commands since the last wait
        self._reader = Reader()
        self._out: list[bytes] = []

    async def run(self) -> None:
        """From the greeting to the end.    The caller closes the connection."""
        metrics.SMTP_CONNECTIONS.labels(self.service.kind).inc()
        open_connections = self.service.open_connections
        counted = False
        try:
            counted = await self._admit()
            if self.service.judging is not None and not self.service.lmtp:
                self.evidence = self.service.judging.connected(
                    self.wire.remote_ip, tls=self.wire.tls is not None
                )
            protocol = "LMTP" if self.service.lmtp else "ESMTP"
            self.say(Reply(code=220, lines=(f"{self.service.hostname} {protocol} mox",)))
            while True:
                await self._step()
        except Hangup as e:
            self.quit = e.reply is replies.BYE
            await self._last_words(e.reply)
        except Stopping:
            await self._last_words(replies.SHUTTING_DOWN)
        except TimedOut:
            await self._last_words(replies.TIMED_OUT)
        except (ConnectionLost, TLSFailed) as e:
            self.log.debug("smtp.lost", reason=e.public)
        finally:
            if counted:
                open_connections.leave(self.wire.remote_ip)
            await self.forget()
            if self.evidence is not None:
                await self.evidence.close()

    async def _admit(self) -> bool:
        """The limits at the start, in the order of spec/smtp-server.md section 2.    Errors: Hangup.

        True: it was counted as open.
        """
        service, ip = self.service, self.wire.remote_ip
        if self.wire.stopping:
            raise Hangup(replies.SHUTTING_DOWN)
        if service.peers is not None and self.wire.peer_uid not in service.peers:
            self.log.warn("smtp.not_admitted", uid=self.wire.peer_uid)
            raise Hangup(replies.NOT_ADMITTED)
        if service.lmtp:
            return False  # one mail server of this machine, with as many connections as it wants
        if not service.connections.add(ip):
            raise Hangup(replies.TOO_MANY_CONNECTIONS)
        if service.submission and not service.login_failures.can_add(ip):
            metrics.AUTHENTICATIONS_RATELIMITED.labels("submission").inc()
            raise Hangup(replies.TOO_MANY_AUTH_FAILURES)
        if not service.open_connections.enter(ip):
            raise Hangup(replies.TOO_MANY_CONNECTIONS)
        return True

    async def _step(self) -> None:
        # Many commands in one packet must not keep everybody else waiting.
        self._at_once += 1
        if self._at_once >= _AT_ONCE:
            self._at_once = 0
            await self.flush()
            await asyncio.sleep(0)
        event = await self.next_event(SMTP_TIMEOUT_COMMAND, idle=True)
        if self.wire.stopping:
            raise Hangup(replies.SHUTTING_DOWN)
        if isinstance(event, LineTooLong):
            if not event.resumable:
                raise Hangup(replies.LINE_TOO_LONG)
            self.say(replies.AUTH_LINE_TOO_LONG)
            return
        assert isinstance(event, CommandLine)
        await self._command(event)

    async def _command(self, line: CommandLine) -> None:
        command = COMMANDS.get(line.verb)
        if command is not None and not (command.lmtp if self.service.lmtp else command.smtp):
            command = None
        began = self.service.clock.monotonic_s()
        # Told to the metrics when the connection breaks within the command.
        reply: Reply | None = None
        try:
            if command is None:
                if not self.spoken:
                    # HTTP and others pushed at this port; RFC 5321 §4.1.1 knows no such client.
                    raise Hangup(replies.NOT_SMTP)
                reply = replies.UNKNOWN_COMMAND
            else:
                self.spoken = True
                reply = unmet(self, command.needs) or await command.run(self, line.rest)
        except Hangup as e:
            reply = e.reply
            raise
        except (ConnectionLost, TimedOut, Stopping, TLSFailed):
            raise
        except Exception as e:  # noqa: BLE001  the one place: any error of a command is a reply
            reply = self._failure(e, line)
        finally:
            verb = "(unknown)" if command is None else line.verb.decode("ascii").lower()
            self._note(verb, reply, self.service.clock.monotonic_s() - began)
        if reply is not None:
            for _ in range(self.answers):
                self.say(reply)
        self.answers = 1
        # A command that paused the reader is over.
        self._reader.resume(Mode.COMMAND)

    def _failure(self, error: Exception, line: CommandLine) -> Reply:
        reply = reply_to(error)
        if isinstance(error, CommandError):
            # What was not understood is shown to our own users only.
            if self.account and error.remainder:
                rest = error.remainder[:200].decode("utf-8", "backslashreplace")
                return reply.with_suffix(f" (remaining data: {rest!r})")
        elif is_bug(error):
            metrics.unhandled("smtpserver")
            self.log.error("smtp.broken", error, cmd=line.verb)
        elif not isinstance(error, Rejected):
            self.log.warn("smtp.failed", cmd=line.verb, error=str(error))
        return reply

    def _note(self, verb: str, reply: Reply | None, seconds: float) -> None:
        code, enhanced = (str(reply.code), reply.enhanced) if reply is not None else ("", "")
        metrics.series(
            metrics.SMTP_COMMAND_SECONDS, self.service.kind, verb, code, enhanced
        ).observe(seconds)
        if self.log.enabled("debug"):
            self.log.debug("smtp.command", cmd=verb, code=code, ms=round(seconds * 1000, 3))

    def say(self, reply: Reply) -> None:
        """Queue a reply.    Errors carry the id under which our log knows this connection."""
        if reply.code >= 400:
            reply = reply.with_suffix(f" ({self.id})")
        self._out.append(format_reply(reply))

    def challenge(self, data: bytes) -> None:
        """Queue a 334 of an authentication exchange: one line, however long.    RFC 4954 §4."""
        self._out.append(b"334 " + b64encode(data) + b"\r\n")

    async def next_event(self, timeout_s: float, *, idle: bool = False) -> Event:
        """The next thing the client sends; replies go out before waiting for it.

        Input   timeout_s: until it is here as a whole, however slowly its bytes come.
        Errors  Hangup at the end of the stream; TimedOut, Stopping, ConnectionLost.
        """
        clock = self.service.clock
        until: float | None = None
        left = timeout_s
        while True:
            event = self._reader.next()
            if not isinstance(event, Signal):
                return event
            assert event is Signal.NEED_DATA, "the reader is paused: resume it first"
            await self.flush()
            if self.slow:
                await self.pause(self.service.delays.slow_read_s)
            if until is None:
                until = clock.monotonic_s() + timeout_s
            else:
                left = until - clock.monotonic_s()
                if left <= 0:
                    raise TimedOut
            data = await self.wire.receive(left, idle=idle)
            self._at_once = 0
            if not data:
                raise Hangup
            self._reader.feed(data)

    def read_as(self, mode: Mode, *, octets: int = 0) -> None:
        """How to read on after AUTH, DATA or BDAT; octets: of the chunk."""
        self._reader.resume(mode, octets=octets)

    async def forget(self) -> None:
        """End the transaction, if there is one."""
        transaction, self.transaction = self.transaction, None
        if transaction is None:
            return
        await self.end_evidence()
        if transaction.incoming is not None:
            await transaction.incoming.discard()

    async def end_evidence(self) -> None:
        """What was found out about a message and its sender is needed no more."""
        if self.evidence is None:
            return
        if not self.service.lmtp:
            self.evidence.forget()
            return
        # The next message comes from another client.
        evidence, self.evidence = self.evidence, None
        self.forwarded = Forwarded()
        await evidence.close()

    async def flush(self) -> None:
        """Send what is queued; in slow mode byte by byte.    Errors: ConnectionLost."""
        data = b"".join(self._out)
        self._out.clear()
        gap = self.service.delays.slow_write_s
        if self.slow and gap > 0:
            count = min(len(data), int((WRITE_TIMEOUT - _RESERVE_S) / gap))
            for position in range(count):
                await self.wire.send(data[position : position + 1])
                await self.pause(gap)
            data = data[count:]
        if data:
            await self.wire.send(data)

    async def pause(self, seconds: float) -> None:
        """A deliberate delay; ends early when the server stops or the client is gone."""
        if seconds <= 0:
            return
        waits = [
            asyncio.ensure_future(self.service.clock.sleep(seconds)),
            asyncio.ensure_future(self.wire.interrupted()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def start_tls(self, go_ahead: Reply) -> None:
        """Upgrade; everything said before is forgotten.    RFC 3207 §4.2.

        Errors  Hangup when more was sent in clear; TLSFailed, ConnectionLost.
        """
        await self.flush()
        # RFC 3207 §6: whatever came in clear after the command is not the client's.
        if self._reader.leftover() or self.wire.has_input:
            self.log.info("smtp.injection")
            raise Hangup
        await self.wire.start_tls(format_reply(go_ahead))
        self._reader = Reader()
        self.hello = None
        self.extended = False
        await self.forget()
        if self.evidence is not None:
            self.evidence.now_encrypted()

    async def _last_words(self, reply: Reply | None) -> None:
        if reply is not None:
            self.say(reply)
        try:
            await self.flush()
        except ConnectionLost as e:
            self.log.debug("smtp.lost", reason=e.public)
