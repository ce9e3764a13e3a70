"""SMTP sessions over fakes, without sockets: a wire, a store, users, and a client that types lines."""

from __future__ import annotations

import asyncio
import itertools
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec

from mox.base.clock import FrozenClock
from mox.base.limits import (
    CONNECTION_RATE,
    CONNECTIONS_OPEN,
    LOGIN_FAILURES_DAY,
    LOGIN_FAILURES_MINUTE,
)
from mox.base.ratelimit import OpenCounter, RateLimiter, Window
from mox.config.live import Live
from mox.config.load import load
from mox.inbound.deliver import Delivery, remove
from mox.inbound.judged import Hearing, Outcome
from mox.inbound.recipients import ConfigDirectory
from mox.mailauth.spf import Identity, Result, Sender, Status
from mox.sasl.mechanism import Credentials, Verify
from mox.sasl.secretset import Cost, SecretSet, derive
from mox.smtp.address import Address
from mox.smtp.command import Hello
from mox.smtp.replies import DELIVERED
from mox.smtp.reply import Reply, ReplyParser, format_reply
from mox.smtpserver.service import NO_DELAYS, SmtpService
from mox.smtpserver.session import Session
from mox.smtpserver.wire import ConnectionLost, Stopping, TimedOut, TLSFailed, TLSState
from mox.store.blobs.base import SpoolFile
from mox.store.content import NewMessage
from mox.store.errors import AccountMissing

WAIT_S = 60.0  # a session that is busy for so long hangs
PASSWORD = "moxmoxmox"  # noqa: S105
TLS13 = TLSState(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")

STATIC = """\
data_dir = "data"
log_level = "info"
hostname = "mail.example.org"
[postmaster]
account = "mox"
mailbox = "Postmaster"
[listeners.local]
ips = ["127.0.0.1"]
[listeners.local.smtp]
no_starttls = true
enabled = true
"""

DOMAINS = """\
[domains."example.org"]
localpart_catchall_separator = "+"
[domains."example.org".aliases.team]
addresses = ["mox@example.org", "other@example.org"]
[domains."example.org".tlsrpt]
localpart = "tlsreports"
account = "mox"
mailbox = "TLSRPT"
[domains."all.example"]
[domains."off.example"]
disabled = true
[domains."bücher.example"]
[domains.localhost]
[accounts.mox]
domain = "example.org"
[accounts.mox.destinations."mox@example.org"]
[accounts.mox.destinations."mox@localhost"]
[accounts.mox.destinations."\\"a b\\"@localhost"]
[accounts.mox.destinations."\\"\\"@localhost"]
[accounts.mox.destinations."móx@example.org"]
[accounts.mox.destinations."mox@bücher.example"]
[accounts.mox.destinations."omega-ω@example.org"]
[accounts.mox.destinations."mox@off.example"]
[accounts.mox.destinations."lists@example.org"]
mailbox = "Lists"
[accounts.mox.destinations."later@example.org"]
smtp_error = "421 come back later"
[accounts.mox.destinations."gone@example.org"]
smtp_error = "550"
[accounts.mox.destinations."@all.example"]
[accounts.other]
domain = "example.org"
[accounts.other.destinations."other@example.org"]
[accounts.closed]
domain = "example.org"
login_disabled = "please call us"
[accounts.closed.destinations."closed@example.org"]
"""


class MemoryWire:
    """A connection whose other end is a test."""

    def __init__(self, ip: str = "192.0.2.7") -> None:
        self.remote_ip = ip
        self.local_ip = "192.0.2.1"
        self.peer_uid: int | None = None
        self.tls: TLSState | None = None
        self.after_handshake = TLS13
        self.handshake_fails = False
        self.stopping = False
        self.output = bytearray()
        self.sent: list[bytes] = []
        self.quiet = asyncio.Event()  # the session waits for us, or is over
        self._input = bytearray()
        self._eof = False
        self._timed_out = False
        self._changed = asyncio.Event()
        self._interrupted = asyncio.Event()

    @property
    def has_input(self) -> bool:
        return bool(self._input)

    @property
    def lost(self) -> bool:
        return self._eof and self._interrupted.is_set()

    @property
    def over(self) -> bool:
        return self._eof

    async def receive(self, timeout_s: float, *, idle: bool) -> bytes:
        while not self._input:
            if self._eof:
                return b""
            if self._timed_out:
                raise TimedOut
            if idle and self.stopping:
                raise Stopping
            self.quiet.set()
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._input)
        self._input.clear()
        return data

    async def send(self, data: bytes) -> None:
        if self.lost:
            raise ConnectionLost
        self.sent.append(data)
        self.output += data

    async def start_tls(self, go_ahead: bytes) -> None:
        self.output += go_ahead
        if self.handshake_fails:
            raise TLSFailed(reason="nottls")
        self.tls = self.after_handshake

    async def interrupted(self) -> None:
        await self._interrupted.wait()

    # The other end.

    def feed(self, data: bytes) -> None:
        self.quiet.clear()
        self._input += data
        self._changed.set()

    def time_out(self) -> None:
        self.quiet.clear()
        self._timed_out = True
        self._changed.set()

    def hang_up(self) -> None:
        self.quiet.clear()
        self._eof = True
        self._changed.set()

    def vanish(self) -> None:
        self._interrupted.set()
        self.hang_up()

    def stop(self) -> None:
        self.quiet.clear()
        self.stopping = True
        self._interrupted.set()
        self._changed.set()


class FakeEvidence:
    """What a session told about a client, word by word.    ``passes``: SPF says so."""

    def __init__(self, passes: bool, notifies: bool) -> None:
        self.notifies = notifies
        self.told: list[str] = []
        self.header = b""
        self.content = b""
        self._result = Result(
            status=Status.PASS if passes else Status.SOFTFAIL,
            identity=Identity.MAILFROM,
            sender=Sender(ip=ip_address("192.0.2.7"), helo="client.example"),
            domain="remote.example",
        )

    def said_hello(self, hello: Hello, *, extended: bool) -> None:
        self.told.append(f"{'ehlo' if extended else 'helo'} {hello.name}")

    def now_encrypted(self) -> None:
        self.told.append("encrypted")

    def began(self, sender: Address, *, smtputf8: bool = False) -> None:
        self.told.append(f"from {sender.path()}{' utf8' if smtputf8 else ''}")

    async def spf(self) -> Result:
        self.told.append("spf?")
        return self._result

    def header_arrived(self, header: bytes) -> None:
        self.told.append("header")
        self.header, self.content = header, b""

    def body(self, chunk: bytes) -> None:
        if self.told[-1] != "body":
            self.told.append("body")
        self.content += chunk

    async def deliver(self, delivery: Delivery, hearing: Hearing) -> list[Outcome]:
        self.told.append("deliver")
        remove(delivery.received.content)
        return [Outcome(reply=DELIVERED) for _ in delivery.recipients]

    def forget(self) -> None:
        self.told.append("forget")

    async def close(self) -> None:
        self.told.append("close")


class FakeJudging:
    """Remembers what it was told of each connection."""

    def __init__(self, *, passes: bool = False, notifies: bool = False) -> None:
        self.passes = passes
        self.notifies = notifies
        self.connections: list[FakeEvidence] = []

    def connected(self, remote_ip: str, *, tls: bool) -> FakeEvidence:
        evidence = FakeEvidence(self.passes, self.notifies)
        evidence.told.append(f"connected {remote_ip}{' tls' if tls else ''}")
        self.connections.append(evidence)
        return evidence


class FakeStore:
    """A deliverer that remembers."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, NewMessage]] = []
        self.failures: dict[str, Exception] = {}  # by account

    async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
        await asyncio.sleep(0)
        content = message.content
        if isinstance(content, SpoolFile):
            raw = content.path.read_bytes()
            content.path.unlink()
            assert len(raw) == content.size
            message = msgspec.structs.replace(message, content=raw)
        if account in self.failures:
            raise self.failures[account]
        self.messages.append((account, mailbox, message))

    def text(self, index: int = -1) -> bytes:
        """A message as it is read later."""
        message = self.messages[index][2]
        assert isinstance(message.content, bytes)
        return message.prefix + message.content


class FakeLogin:
    """A user."""

    def __init__(self, account: str, credentials: Credentials | None, disabled: str = "") -> None:
        self.account = account
        self.credentials = credentials
        self.disabled = disabled


class FakeUsers:
    """An authenticator from a dict."""

    def __init__(self, secrets: SecretSet) -> None:
        self.logins = {
            "mox@example.org": FakeLogin("mox", secrets),
            "other@example.org": FakeLogin("other", secrets),
            "closed@example.org": FakeLogin("closed", secrets, "please call us"),
            "new@example.org": FakeLogin("new", None),
        }
        self.broken = False

    async def login(self, username: str) -> FakeLogin | None:
        if self.broken:
            raise AccountMissing
        return self.logins.get(username)

    def identity(self, username: str) -> str:
        return username.lower()

    async def verify(self, step: Verify) -> bool:
        return step.run()


def cheap_secrets() -> SecretSet:
    return derive(PASSWORD, lambda n: bytes(range(n)), cost=Cost(passes=1, memory_kib=8, lanes=1))


class Client:
    """The client's side of a session: lines out, replies in."""

    def __init__(self, wire: MemoryWire, session: Session) -> None:
        self.wire = wire
        self.session = session
        self.task = asyncio.create_task(session.run())
        self._taken: list[bytes] = []

    async def settle(self) -> None:
        """Let the session do everything it can."""
        quiet = asyncio.ensure_future(self.wire.quiet.wait())
        try:
            async with asyncio.timeout(WAIT_S):
                await asyncio.wait({quiet, self.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            quiet.cancel()
        if self.task.done():
            self.task.result()

    async def line(self) -> bytes | None:
        """The next line without CRLF, None when none comes."""
        if self._taken:
            return self._taken.pop()
        if b"\r\n" not in self.wire.output:
            await self.settle()
        line, end, rest = self.wire.output.partition(b"\r\n")
        if not end:
            assert not self.wire.output, f"half a line: {self.wire.output!r}"
            return None
        self.wire.output[:] = rest
        return bytes(line)

    def back(self, line: bytes) -> None:
        self._taken.append(line)

    async def reply(self) -> Reply:
        """The next reply."""
        parser = ReplyParser()
        while True:
            line = await self.line()
            assert line is not None, "no reply"
            found = parser.line(line)
            if found is not None:
                return found

    async def say(self, line: str | bytes, code: int, enhanced: str = "") -> Reply:
        """Send a line and get a reply with these codes."""
        data = line.encode() if isinstance(line, str) else line
        self.wire.feed(data + b"\r\n")
        reply = await self.reply()
        assert (reply.code, reply.enhanced) == (code, enhanced), (line, format_reply(reply))
        return reply

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.wire.feed(data)

    async def response(self) -> bytes | None:
        """For dialogues: the next line."""
        return await self.line()

    async def closed(self) -> bool:
        await self.settle()
        return self.task.done()

    async def expect_end(self) -> None:
        """Nothing more comes and the session is over."""
        assert await self.line() is None
        assert self.task.done()

    async def mail(self, *recipients: str, sender: str = "sender@remote.example") -> None:
        """A transaction up to DATA."""
        await self.say(f"MAIL FROM:<{sender}>", 250, "2.1.0")
        for recipient in recipients or ("mox@example.org",):
            await self.say(f"RCPT TO:<{recipient}>", 250, "2.1.0")

    async def data(self, content: bytes, code: int = 250, enhanced: str = "2.2.0") -> Reply:
        """DATA with content that is dot-stuffed already; the end is added."""
        await self.say("DATA", 354)
        return await self.say(content + b".", code, enhanced)


class House:
    """A service over fakes, and its connections."""

    def __init__(self, spool_folder: Path, secrets: SecretSet) -> None:
        self.clock = FrozenClock()
        self.store = FakeStore()
        self.users = FakeUsers(secrets)
        self.spool_folder = spool_folder
        self.live = Live(load(STATIC, DOMAINS))
        self._numbers = itertools.count(1)
        self.connections = RateLimiter(self.clock, Window(60, CONNECTION_RATE))
        self.open_connections = OpenCounter(CONNECTIONS_OPEN)
        self.login_failures = RateLimiter(
            self.clock, Window(60, LOGIN_FAILURES_MINUTE), Window(86_400, LOGIN_FAILURES_DAY)
        )
        self.clients: list[Client] = []

    def service(self, **changes: Any) -> SmtpService:  # noqa: ANN401  fields of the struct
        service = SmtpService(
            hostname="mail.example.org",
            submission=False,
            clock=self.clock,
            directory=ConfigDirectory(self.live),
            deliverer=self.store,
            authenticator=self.users,
            connections=self.connections,
            open_connections=self.open_connections,
            login_failures=self.login_failures,
            spool_folder=self.spool_folder,
            server_secret=b"secret of the server",
            next_number=lambda: next(self._numbers),
            make_id=lambda number: f"id{number}",
            delays=NO_DELAYS,
        )
        return msgspec.structs.replace(service, **changes)

    def local(self) -> None:
        """As localserve: everything goes to one account."""
        self.live.swap(load(STATIC, DOMAINS, fallback_account="mox"))

    async def connect(
        self,
        *,
        greeted: bool = True,
        ip: str = "192.0.2.7",
        wire_tls: TLSState | None = None,
        uid: int | None = None,
        **changes: Any,  # noqa: ANN401  fields of the service
    ) -> Client:
        """A new connection; with ``greeted`` the greeting is read."""
        wire = MemoryWire(ip)
        wire.tls = wire_tls
        wire.peer_uid = uid
        session = Session(self.service(**changes), wire)
        client = Client(wire, session)
        self.clients.append(client)
        if greeted:
            reply = await client.reply()
            protocol = "LMTP" if changes.get("lmtp") else "ESMTP"
            assert reply == Reply(code=220, lines=(f"mail.example.org {protocol} mox",))
        return client

    async def close(self) -> None:
        """End all sessions; nothing may be left behind."""
        for client in self.clients:
            client.wire.vanish()
        await asyncio.gather(*(client.task for client in self.clients))
        assert len(self.open_connections) == 0
        assert list(self.spool_folder.iterdir()) == []


class BoundTLS:
    """Certificates that a fake wire never uses."""

    context: Any = None

    def end_point_binding(self, _connection: object) -> bytes | None:
        return None
