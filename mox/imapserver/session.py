"""One client's session: who it is, which mailbox it has selected, what it enabled.

It is what commands are given.  Reading and running commands is ``serve.py``; sockets are
``connection.py``.
"""

from collections.abc import Iterable

from mox.base.limits import (
    IMAP_LINE_AFTER_LOGIN,
    IMAP_TIMEOUT_AFTER_LOGIN,
    IMAP_TIMEOUT_BEFORE_LOGIN,
)
from mox.base.log import Logger, get_logger
from mox.imap import mailboxname, writer
from mox.imapserver.command import State
from mox.imapserver.input import Input
from mox.imapserver.service import ImapService, Listener, Login
from mox.imapserver.wire import Wire
from mox.store.account import Account
from mox.store.changes import Feed
from mox.store.mailbox import Mailbox
from mox.store.view import View

SLOW_AFTER = 3  # failed logins on a connection

Ranges = list[tuple[int, int]]


class Session:
    """Made per connection; one command runs at a time."""

    def __init__(self, service: ImapService, listener: Listener, wire: Wire, cid: int = 0) -> None:
        self.service = service
        self.listener = listener
        self.wire = wire
        self.log: Logger = get_logger("imapserver").bind(cid=cid, remote=wire.remote_address)
        self.input = Input(wire, self.write, self.drain, self._before_read, lambda: self.farewell)
        self.dismissed = False  # the account is being removed
        self.account: Account | None = None
        self.login: Login | None = None
        self.username = ""
        self.feed = Feed(self._changed)
        self.view: View | None = None
        self.keywords_told = 0  # how many of the selected mailbox's keywords FLAGS has named
        self.enabled: set[bytes] = set()  # upper case
        self.search_result: Ranges = []  # "$" as UIDs, RFC 5182
        self.tag = b""  # of the command that runs
        self.failures = 0  # logins that failed on this connection
        self.spoken = False  # a command we know was received
        self.ended = False  # nothing more is read after the reply
        self.starting_tls = False  # after the reply the handshake begins
        self.idling = False
        self._out: list[bytes] = []

    # Who and where

    @property
    def state(self) -> State:
        """Where the connection is.    RFC 9051 §3."""
        if self.view is not None:
            return State.SELECTED
        return State.NOT_AUTHENTICATED if self.account is None else State.AUTHENTICATED

    @property
    def owner(self) -> Account:
        """The account, in a command that needs a login."""
        assert self.account is not None
        return self.account

    @property
    def selected(self) -> View:
        """The view, in a command that needs a mailbox."""
        assert self.view is not None
        return self.view

    @property
    def timeout_s(self) -> float:
        """How long we wait for a command.    RFC 9051 §5.4."""
        return IMAP_TIMEOUT_BEFORE_LOGIN if self.account is None else IMAP_TIMEOUT_AFTER_LOGIN

    @property
    def plaintext_auth_allowed(self) -> bool:
        """May a password be shown on this connection?    RFC 9051 §6.2.3, §11.1."""
        return self.wire.encrypted or self.listener.plaintext_auth_allowed

    @property
    def capabilities_disabled(self) -> frozenset[bytes]:
        """Upper-case capabilities taken away from this account."""
        return self.login.capabilities_disabled if self.login is not None else frozenset()

    @property
    def farewell(self) -> str:
        """Why the session ends after the command at hand; empty: it goes on."""
        if self.service.stopping:
            return "shutting down"
        return "account removed" if self.dismissed else ""

    def logged_in(self, account: Account, login: Login, username: str) -> None:
        """The client is known now."""
        self.account = account
        self.login = login
        self.username = username
        self.failures = 0
        self.log = self.log.bind(account=account.name)
        self.input.reader.line_limit = IMAP_LINE_AFTER_LOGIN
        account.register(self.feed)

    def leave(self) -> None:
        """The connection ends: let go of everything."""
        self.close_view()
        if self.account is not None:
            self.account.unregister(self.feed)
            self.account = None

    # What is enabled

    @property
    def qresync(self) -> bool:
        """RFC 7162 §3.2."""
        return b"QRESYNC" in self.enabled

    @property
    def condstore(self) -> bool:
        """RFC 7162 §3.1."""
        return b"CONDSTORE" in self.enabled

    @property
    def rev2(self) -> bool:
        """IMAP4rev2 was enabled.    RFC 9051 §6.3.1."""
        return b"IMAP4REV2" in self.enabled

    @property
    def utf8(self) -> bool:
        """Strings may be UTF-8: UTF8=ACCEPT (RFC 6855 §3) or IMAP4rev2 was enabled."""
        return b"UTF8=ACCEPT" in self.enabled or self.rev2

    async def enable_condstore(self, *, announce: bool = True) -> None:
        """Any command that shows the client knows of modseqs.    RFC 7162 §3.1.

        ``announce``: with a mailbox selected HIGHESTMODSEQ is written at the first time.
        """
        if self.condstore:
            return
        self.enabled.add(b"CONDSTORE")
        # Decision 0007: no modseq leaves the process before it is synced.
        await self.owner.settle()
        if announce and self.view is not None:
            # RFC 7162 §3.1: the first enabling command gives HIGHESTMODSEQ, whichever it is.
            line = b"* OK [HIGHESTMODSEQ %d] from here on\r\n" % self.view.modseq
            self.write(line)

    # The selected mailbox

    async def open_view(self, mailbox: Mailbox, *, read_only: bool) -> View:
        """Select a mailbox; none is selected now.    Errors: MailboxMissing."""
        assert self.view is None
        self.view = await self.owner.open_view(mailbox, read_only=read_only)
        self.search_result = []  # RFC 5182 §2.1: SELECT and EXAMINE reset it
        return self.view

    def close_view(self) -> None:
        """No mailbox is selected any more."""
        if self.view is not None:
            self.view.close()
            self.view = None
            self.search_result = []

    # Names

    def decode_name(self, raw: bytes) -> str:
        """A mailbox name from the client.    Errors: BadMailboxName."""
        return mailboxname.decode(raw, utf8=self.utf8)

    def encode_name(self, name: str, *, bare: bool = True) -> bytes:
        """A mailbox name for the client: atom (where ``bare``), quoted or literal."""
        if bare:
            return mailboxname.encode(name, utf8=self.utf8)
        raw = name.encode("utf-8") if self.utf8 else mailboxname.encode_utf7(name)
        return writer.string(raw, utf8=self.utf8)

    # Output

    def write(self, data: bytes) -> None:
        """Response bytes; ``drain`` sends them."""
        self._out.append(data)

    def writelines(self, chunks: Iterable[bytes]) -> None:
        """Response bytes in pieces."""
        self._out.extend(chunks)

    async def drain(self) -> None:
        """Send what was written; waits while the client is behind.

        Call it after each slice of about 64 KiB.    Errors: ConnectionClosed.
        """
        if not self._out:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        if self.slow:
            await self._send_slowly(data)
        else:
            await self.wire.send(data)

    @property
    def slow(self) -> bool:
        """After some failed logins everything takes its time."""
        return self.failures >= SLOW_AFTER

    async def _send_slowly(self, data: bytes) -> None:
        for at in range(len(data)):
            await self.wire.send(data[at : at + 1])
            await self.service.clock.sleep(self.service.delays.slow_byte)

    async def _before_read(self) -> None:
        if self.slow:
            await self.service.clock.sleep(self.service.delays.slow_read)

    def _changed(self) -> None:
        """The account changed; called by its feed."""
        if self.idling:
            self.wire.poke()
