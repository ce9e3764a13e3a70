"""IMAP sessions over a memory shard, without sockets."""

import asyncio
import re
from collections.abc import Mapping

from mox.base.clock import FrozenClock
from mox.imapserver.errors import ConnectionClosed, TimedOut
from mox.imapserver.serve import serve
from mox.imapserver.service import NO_DELAYS, ImapService, Limiter, Listener, Login
from mox.imapserver.session import Session
from mox.sasl.mechanism import NO_BINDINGS, CramSecret, ScramSecret, Verify
from mox.store.content import NewMessage
from mox.store.messages import append
from mox.store.shard import Shard
from mox.store.verify import verify_account
from support.messages import small_message

USER = "mox@localhost"
PASSWORD = "moxmoxmox"  # noqa: S105
_LITERAL = re.compile(rb"\{([0-9]+)\+?\}\r\n\Z")
WAIT_S = 5.0  # a session that is busy for so long hangs


class PlainCredentials:
    """A password and nothing else: quick to check."""

    def __init__(self, password: str = PASSWORD) -> None:
        self._password = password

    def verify_password(self, password: str) -> bool:
        return password == self._password

    def scram(self, hash_name: str) -> ScramSecret | None:
        return None

    def cram_md5(self) -> CramSecret | None:
        return None


class Users:
    """An authenticator from a dict."""

    def __init__(self) -> None:
        self.logins = {USER: Login(account_name="mox", credentials=PlainCredentials())}

    async def lookup(self, username: str) -> Login | None:
        return self.logins.get(username)

    def identity(self, username: str) -> str:
        return username.lower()

    async def verify(self, step: Verify) -> bool:
        return step.run()


class MemoryWire:
    """A connection whose other end is a test."""

    def __init__(self, *, encrypted: bool = False, address: str = "127.0.0.1") -> None:
        self.encrypted = encrypted
        self.remote_address = address
        self.bound: Mapping[str, bytes] = NO_BINDINGS
        self.output = bytearray()
        self.held = False
        self.handshakes = 0
        self.timeout_s = 0.0  # for what the session waits
        self.quiet = asyncio.Event()  # the session waits for us, or is over
        self._input: list[bytes] = []
        self._wake: asyncio.Event = asyncio.Event()
        self._poked = False
        self._timed_out = False
        self._ended = False
        self.blocked = False  # the client reads nothing
        self._unblocked = asyncio.Event()

    def bindings(self) -> Mapping[str, bytes]:
        return self.bound

    async def receive(self, timeout_s: float) -> bytes | None:
        while True:
            if self._input:
                return self._input.pop(0)
            if self._poked:
                self._poked = False
                return None
            if self._timed_out:
                self._timed_out = False
                raise TimedOut
            if self._ended:
                raise ConnectionClosed
            self._wake.clear()
            self.timeout_s = timeout_s
            self.quiet.set()
            await self._wake.wait()

    def poke(self) -> None:
        self._poked = True
        self._stir()

    async def send(self, data: bytes) -> None:
        if self._ended:
            raise ConnectionClosed
        self.output += data
        while self.blocked:
            self.quiet.set()
            await self._unblocked.wait()
            self._unblocked.clear()

    def hold(self) -> bytes:
        self.held = True
        data = b"".join(self._input)
        self._input.clear()
        return data

    async def start_tls(self) -> None:
        assert self.held
        self.held = False
        self.handshakes += 1
        self.encrypted = True

    # The test's end

    def feed(self, data: bytes) -> None:
        self._input.append(data)
        self._stir()

    def expire(self) -> None:
        """Time runs out."""
        self._timed_out = True
        self._stir()

    def end(self) -> None:
        """The client goes away."""
        self._ended = True
        self._stir()

    def unblock(self) -> None:
        self.blocked = False
        self.quiet.clear()
        self._unblocked.set()

    def _stir(self) -> None:
        self.quiet.clear()
        self._wake.set()


class Client:
    """One session and the test's end of its wire."""

    def __init__(self, session: Session, wire: MemoryWire, *, bytewise: bool = False) -> None:
        self.session = session
        self.wire = wire
        self._bytewise = bytewise
        self._returned: list[bytes] = []
        self.task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await serve(self.session)
        finally:
            self.wire.quiet.set()

    async def quiet(self) -> None:
        """Wait until the session has nothing to do but wait."""
        await asyncio.wait_for(self.wire.quiet.wait(), WAIT_S)

    async def send(self, data: bytes) -> None:
        if not self._bytewise:
            self.wire.feed(data)
            return
        for at in range(len(data)):
            self.wire.feed(data[at : at + 1])

    async def output(self) -> bytes:
        """Everything that was written until the session waits again."""
        await self.quiet()
        data = bytes(self.wire.output)
        self.wire.output.clear()
        return data

    async def response(self) -> bytes | None:
        """The next response without its CRLF, None when there is none."""
        if self._returned:
            return self._returned.pop()
        await self.quiet()
        output = self.wire.output
        end = output.find(b"\n") + 1
        if not end:
            assert not output, bytes(output)
            return None
        while match := _LITERAL.search(output, 0, end):
            start = end + int(match[1])
            end = output.find(b"\n", start) + 1
            assert end, bytes(output)
        response = bytes(output[:end])
        del output[:end]
        assert response.endswith(b"\r\n"), response
        return response[:-2]

    def back(self, response: bytes) -> None:
        """It was not looked at after all."""
        self._returned.append(response)

    async def closed(self) -> bool:
        await self.quiet()
        return self.task.done()

    async def command(self, line: bytes) -> list[bytes]:
        """Send a line; all responses to it."""
        await self.send(line + b"\r\n")
        found = []
        while (response := await self.response()) is not None:
            found.append(response)
        return found

    async def login(self) -> None:
        found = await self.command(b"login LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
        assert found[-1].startswith(b"login OK "), found

    async def close(self) -> None:
        self.wire.unblock()
        self.wire.end()
        await asyncio.wait_for(self.task, WAIT_S)


class House:
    """A server with one account, its clients, and what a test may change before they connect."""

    def __init__(self, shard: Shard, clock: FrozenClock) -> None:
        self.shard = shard
        self.clock = clock
        self.users = Users()
        self.service = ImapService(
            accounts=shard,
            authenticator=self.users,
            clock=clock,
            limiter=Limiter.standard(clock),
            server_secret=b"secret",
            delays=NO_DELAYS,
        )
        self.listener = Listener(name="test", plaintext_auth_allowed=True)
        self.clients: list[Client] = []
        self.unhandled_expected = 0  # errors that a test provokes

    async def connect(
        self,
        *,
        login: bool = True,
        greeting: bool = True,
        bytewise: bool = False,
        encrypted: bool = False,
    ) -> Client:
        """A new client; ``greeting``: read it."""
        wire = MemoryWire(encrypted=encrypted)
        session = Session(self.service, self.listener, wire, len(self.clients) + 1)
        client = Client(session, wire, bytewise=bytewise)
        self.clients.append(client)
        if greeting:
            first = await client.response()
            assert first is not None
            assert first.startswith(b"* OK [CAPABILITY "), first
        if login:
            await client.login()
        return client

    async def put(self, mailbox: str, count: int, *, first: int = 1) -> None:
        """So many small messages."""
        account = await self.shard.account("mox")
        made = [
            NewMessage(content=small_message(f"message{number}"), received_ms=self.clock.now_ms())
            for number in range(first, first + count)
        ]
        if made:
            await append(account, account.mailbox(mailbox), made)

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        for name in await self.shard.account_names():
            assert await verify_account(await self.shard.account(name)) == []
