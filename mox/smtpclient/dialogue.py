"""The client's side of SMTP, from the greeting to QUIT, over anything that carries lines.

Source  RFC 5321 §3, §4; 1870, 2920, 3030, 3207, 3461, 4954, 6531, 8689, 9422;
        spec/smtp-client-queue.md section 6, where section 0 is binding.
Laws    after an error of the connection or of the protocol nothing more is said (``is_broken``);
        extensions are those of the last EHLO only; a reply that nobody waits for breaks the protocol.
"""

import re
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from mox.base.clock import Clock
from mox.base.errors import Malformed
from mox.base.limits import (
    CLIENT_AT_ONCE,
    CLIENT_BLOCK,
    CLIENT_HEARD,
    CLIENT_KEYWORDS,
    CLIENT_REPLY,
    CLIENT_TIMEOUT_BLOCK,
    CLIENT_TIMEOUT_DATA_END,
    CLIENT_TIMEOUT_DATA_START,
    CLIENT_TIMEOUT_QUIT,
    CLIENT_TIMEOUT_REPLY,
)
from mox.smtp.address import Address
from mox.smtp.keywords import parse_ehlo
from mox.smtp.reply import Reply, ReplyParser
from mox.smtpclient.content import Content, LineEnds, Stuffing, slices
from mox.smtpclient.errors import (
    BadContent,
    DeliveryError,
    LinkLost,
    NoRequireTls,
    NotSupported,
    ProtocolBroken,
    ServerRefused,
    TlsUnavailable,
)
from mox.smtpclient.link import TlsState
from mox.smtpclient.timing import TIMES

_HELO_INSTEAD: Final = frozenset({500, 501, 502, 503, 504})  # RFC 5321 §3.2: an old server
_LIMIT = re.compile(r"([A-Z][A-Z0-9-]*)=([!-~]+)")
_LIMIT_VALUE = re.compile(r"[1-9][0-9]{0,5}")


class Connection(Protocol):
    """What a dialogue needs; ``Link`` is one."""

    @property
    def tls(self) -> TlsState | None:
        """None in clear."""
        ...

    @property
    def has_input(self) -> bool:
        """The server sent something that nobody asked for yet."""
        ...

    async def read_line(self, timeout_s: float) -> bytes:
        """A line without its line end.    Errors: DeliveryError."""
        ...

    async def write(self, data: bytes, timeout_s: float) -> None:
        """Errors: DeliveryError."""
        ...

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsState:
        """Errors: TlsUnavailable, LinkLost, ProtocolBroken."""
        ...


class Extensions(msgspec.Struct, frozen=True, kw_only=True):
    """What the server offers."""

    name: str = ""
    keywords: dict[str, tuple[str, ...]] = {}

    def has(self, keyword: str) -> bool:
        """Is it announced?"""
        return keyword in self.keywords

    @property
    def max_size(self) -> int:
        """Bytes of the largest message, 0 for not said.    RFC 1870 §4."""
        value = self.keywords.get("SIZE", ("",))[:1]
        return int(value[0]) if value and value[0].isdigit() and len(value[0]) <= 20 else 0

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Of AUTH, upper case.    RFC 4954 §3."""
        return tuple(word.upper() for word in self.keywords.get("AUTH", ()))

    @property
    def limits(self) -> dict[str, int]:
        """RFC 9422 §4: MAILMAX, RCPTMAX, RCPTDOMAINMAX; a bad parameter list counts for nothing."""
        found: dict[str, int] = {}
        words = self.keywords.get("LIMITS")
        if not words:
            return found  # most servers, asked for each message
        names: set[str] = set()
        for word in words:
            limit = _LIMIT.fullmatch(word.upper())
            if limit is None or limit[1] in names:
                return {}
            names.add(limit[1])
            if _LIMIT_VALUE.fullmatch(limit[2]):
                found[limit[1]] = int(limit[2])
        return found


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a message is for, with the parameters of RFC 3461."""

    address: Address
    notify: str = ""  # value of NOTIFY
    original: str = ""  # value of ORCPT


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction."""

    sender: Address
    recipients: tuple[Recipient, ...]
    has_8bit: bool = False
    needs_8bitmime: bool = False  # do not send it to a server that did not say it takes 8 bits
    smtputf8: bool = False
    require_tls: bool = False  # RFC 8689
    ret: str = ""  # RFC 3461 §4.3
    envelope_id: str = ""  # RFC 3461 §4.4


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Of one recipient: None in ``error`` for accepted."""

    recipient: Recipient
    error: DeliveryError | None
    reply: Reply | None  # the last one about it
    is_untried: bool = False  # too many for this transaction: may follow in another at once


class Dialogue:
    """One connection's conversation."""

    def __init__(self, connection: Connection, hostname: str, clock: Clock | None = None) -> None:
        """Nothing is said yet.    Input  hostname: ours, A-labels; clock: None: nothing is timed."""
        self.connection = connection
        self.extensions = Extensions()
        self.greeting: Reply | None = None
        self.is_broken = False
        self.replies = 0  # read so far
        self.heard: deque[str] = deque(maxlen=CLIENT_HEARD)  # the last replies, one line each
        self._hostname = hostname
        self._dirty = False  # a transaction is open at the server
        self._clock = clock
        self._wrote_s = 0.0 if clock is None else clock.monotonic_s()  # when we last began to

    # -------------------------------------------------------------- session

    async def greet(self) -> None:
        """Greeting and EHLO.    Errors: DeliveryError."""
        self.greeting = await self._reply("greeting", CLIENT_TIMEOUT_REPLY)
        if self.greeting.code != 220:
            raise ServerRefused("greeting", self.greeting)
        await self._hello(may_fall_back=True)

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsState:
        """STARTTLS, handshake, EHLO again.    Errors: TlsUnavailable, DeliveryError.

        A refusal is temporary, whatever its code: another host may do it (section 0 of the spec).
        """
        reply = await self._command("STARTTLS")
        if reply.code != 220:
            raise TlsUnavailable(
                f"STARTTLS: {reply.code} {reply.text}",
                result_type="starttls-not-supported",
                reason=f"smtp-starttls-reply-code-{reply.code}",
                reply=reply,
            )
        try:
            state = await self.connection.start_tls(context, server_name)
        except DeliveryError:
            self.is_broken = True
            raise
        # RFC 3207 §4.2: what was said in clear is forgotten.
        self.extensions = Extensions()
        await self._hello(may_fall_back=False)
        return state

    async def exchange(self, line: str, *, shown: str) -> Reply:
        """A line of an authentication exchange, and the reply.    ``shown``: for errors."""
        return await self._command(line, shown=shown)

    async def quit(self) -> None:
        """Say goodbye; never raises, for nothing depends on it."""
        if self.is_broken:
            return
        try:
            await self._write(b"QUIT\r\n", CLIENT_TIMEOUT_QUIT)
            await self._reply("quit", CLIENT_TIMEOUT_QUIT)
        except DeliveryError:
            self.is_broken = True

    async def check_idle(self) -> bool:
        """Whether a connection that was kept can take another message: RSET is answered with 250."""
        if self.is_broken or self.connection.has_input:
            self.is_broken = True
            return False
        try:
            reply = await self._command("RSET")
        except DeliveryError:
            return False
        self._dirty = False
        return reply.code == 250

    async def _hello(self, *, may_fall_back: bool) -> None:
        reply = await self._command(f"EHLO {self._hostname}")
        if reply.code == 250:
            name, keywords = parse_ehlo(reply)
            some = dict(list(keywords.items())[:CLIENT_KEYWORDS])
            self.extensions = Extensions(name=name, keywords=some)
            return
        if reply.code not in _HELO_INSTEAD or not may_fall_back:
            raise ServerRefused("EHLO", reply)
        reply = await self._command(f"HELO {self._hostname}")
        if reply.code != 250:
            raise ServerRefused("HELO", reply)
        self.extensions = Extensions(name=reply.lines[0].split(" ")[0])

    # -------------------------------------------------------------- transaction

    async def send(self, envelope: Envelope, content: Content) -> list[Outcome]:
        """One transaction; an outcome for each recipient, in order.

        Errors  DeliveryError about the message as a whole: nobody got it.  Where the connection is
                lost after the final dot the server may have taken it all the same.
        """
        self._check_needs(envelope, content)
        limits = self.extensions.limits
        most = min(limits.get("RCPTMAX", len(envelope.recipients)), len(envelope.recipients))
        now, later = envelope.recipients[:most], envelope.recipients[most:]
        if self._dirty:
            reply = await self._command("RSET")
            if reply.code != 250:
                raise ServerRefused("RSET", reply)
            self._dirty = False
        self._dirty = True
        if self.extensions.has("PIPELINING"):
            outcomes = await self._pipelined(envelope, now, content)
        else:
            outcomes = await self._in_turn(envelope, now, content)
        return outcomes + [
            Outcome(recipient=one, error=None, reply=None, is_untried=True) for one in later
        ]

    def _check_needs(self, envelope: Envelope, content: Content) -> None:
        """What the message needs and the server lacks.    Errors: NotSupported."""
        has = self.extensions.has
        if envelope.require_tls and not has("REQUIRETLS"):
            raise NoRequireTls
        if envelope.smtputf8 and not has("SMTPUTF8"):
            # Another host, or the same one tomorrow, may; in the end it is returned.
            raise NotSupported("the server does not support SMTPUTF8")
        if envelope.has_8bit and envelope.needs_8bitmime and not has("8BITMIME"):
            raise NotSupported("the server does not support 8BITMIME", permanent=True)
        limit = self.extensions.max_size
        if limit and content.size > limit:
            raise NotSupported(
                f"message of {content.size} bytes is larger than the server's limit of {limit}",
                permanent=True,
            )

    def _mail(self, envelope: Envelope, content: Content) -> str:
        has = self.extensions.has
        words = [f"MAIL FROM:{self._path(envelope.sender, envelope)}"]
        if has("SIZE"):
            words.append(f"SIZE={content.size}")
        if has("8BITMIME"):
            words.append("BODY=8BITMIME" if envelope.has_8bit else "BODY=7BIT")
        if envelope.smtputf8:
            words.append("SMTPUTF8")
        if envelope.require_tls:
            words.append("REQUIRETLS")
        if has("DSN"):
            words += [f"RET={envelope.ret}"] if envelope.ret else []
            words += [f"ENVID={envelope.envelope_id}"] if envelope.envelope_id else []
        return " ".join(words)

    def _rcpt(self, recipient: Recipient, envelope: Envelope) -> str:
        words = [f"RCPT TO:{self._path(recipient.address, envelope)}"]
        if self.extensions.has("DSN"):
            words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
            words += [f"ORCPT={recipient.original}"] if recipient.original else []
        return " ".join(words)

    def _path(self, address: Address, envelope: Envelope) -> str:
        return f"<{address.unicode()}>" if envelope.smtputf8 else address.path()

    async def _pipelined(
        self, envelope: Envelope, recipients: Sequence[Recipient], content: Content
    ) -> list[Outcome]:
        """MAIL, all RCPT and what begins the data in one write.    RFC 2920 §3.1, RFC 3030 §4.2."""
        chunked = self.extensions.has("CHUNKING")
        lines = [self._mail(envelope, content)]
        lines += [self._rcpt(one, envelope) for one in recipients]
        early = chunked and content.size <= CLIENT_AT_ONCE
        out = [f"{line}\r\n".encode() for line in lines]
        if early:
            # A small message goes along: one round trip in all.
            out.append(b"BDAT %d LAST\r\n" % content.size)
            out.append(await _whole(content))
        elif not chunked:
            out.append(b"DATA\r\n")
        self._expect_silence()
        await self._write(b"".join(out), CLIENT_TIMEOUT_BLOCK)
        mail, results = await self._answers(recipients)
        taken = mail is None and any(one.error is None for one in results)
        if early:
            return await self._early_end(mail, results)
        if chunked:
            if mail is not None:
                raise mail
            return await self._chunks(results, content) if taken else results
        start = await self._last_reply(mail, results, "data", CLIENT_TIMEOUT_DATA_START)
        if start is None:
            return results
        if start.code == 354 and not taken:
            # RFC 2920 §3.1: it was asked for data for nobody; an empty message ends that.
            await self._write(b".\r\n", CLIENT_TIMEOUT_BLOCK)
            await self._last_reply(mail, results, "enddata", CLIENT_TIMEOUT_DATA_END)
        if mail is not None:
            raise mail
        if not taken:
            return results
        if start.code != 354:
            raise ServerRefused("DATA", start)
        return await self._data(results, content)

    async def _answers(
        self, recipients: Sequence[Recipient]
    ) -> tuple[ServerRefused | None, list[Outcome]]:
        """Replies to MAIL and each RCPT.    The first is the refusal of MAIL, where it was refused.

        A server that refuses MAIL or the last recipient may hang up at once: then that is its word.
        """
        reply = await self._reply("mail", CLIENT_TIMEOUT_REPLY)
        mail = None if reply.code // 100 == 2 else ServerRefused("MAIL", reply)
        results: list[Outcome] = []
        for recipient in recipients:
            try:
                reply = await self._reply("rcpt", CLIENT_TIMEOUT_REPLY)
            except LinkLost:
                refused = [one.error for one in results if one.error is not None]
                if mail is not None:
                    raise mail from None
                if refused and len(refused) == len(results):
                    raise refused[-1] from None
                raise
            results.append(_outcome(recipient, reply))
        return mail, results

    async def _last_reply(
        self, mail: ServerRefused | None, results: list[Outcome], command: str, timeout_s: float
    ) -> Reply | None:
        """The reply to DATA or to the end of it; None where the server hung up on refused recipients."""
        try:
            return await self._reply(command, timeout_s)
        except LinkLost:
            if mail is not None:
                raise mail from None
            if all(one.error is not None for one in results):
                return None
            raise

    async def _early_end(self, mail: ServerRefused | None, results: list[Outcome]) -> list[Outcome]:
        final = await self._last_reply(mail, results, "enddata", CLIENT_TIMEOUT_DATA_END)
        if mail is not None:
            raise mail
        if final is None or all(one.error is not None for one in results):
            return results
        return self._ended(results, final, "end of data")

    async def _in_turn(
        self, envelope: Envelope, recipients: Sequence[Recipient], content: Content
    ) -> list[Outcome]:
        """One command after the other, for servers without PIPELINING."""
        reply = await self._command(self._mail(envelope, content))
        if reply.code // 100 != 2:
            raise ServerRefused("MAIL", reply)
        results: list[Outcome] = []
        for at, recipient in enumerate(recipients):
            reply = await self._command(self._rcpt(recipient, envelope))
            results.append(_outcome(recipient, reply))
            if at and reply.code in (452, 552):
                # RFC 5321 §4.5.3.1.10: no more recipients; the rest in another transaction.
                results += [
                    Outcome(recipient=one, error=None, reply=None, is_untried=True)
                    for one in recipients[at + 1 :]
                ]
                break
        if all(one.error is not None for one in results if not one.is_untried):
            return results
        if self.extensions.has("CHUNKING"):
            return await self._chunks(results, content)
        start = await self._command("DATA", timeout_s=CLIENT_TIMEOUT_DATA_START)
        if start.code != 354:
            raise ServerRefused("DATA", start)
        return await self._data(results, content)

    async def _data(self, results: list[Outcome], content: Content) -> list[Outcome]:
        """The content after 354.    A content that cannot be sent breaks the connection."""
        ends, stuffing, final, out = LineEnds(), Stuffing(), b"", b""
        try:
            async for piece in content.pieces():
                for part in slices(piece, CLIENT_BLOCK):
                    if out:
                        await self._write(out, CLIENT_TIMEOUT_BLOCK)
                    ends.check(part)
                    final = (final + part)[-2:]
                    out = stuffing.feed(part)
            ends.finish(final)
        except (BadContent, OSError):
            # No final dot was sent: the server throws away what it has (RFC 5321 §4.1.1.4).
            self.is_broken = True
            raise
        # The end goes with the last piece: one packet less.
        await self._write(out + b".\r\n", CLIENT_TIMEOUT_BLOCK)
        return self._ended(
            results, await self._reply("enddata", CLIENT_TIMEOUT_DATA_END), "end of data"
        )

    async def _chunks(self, results: list[Outcome], content: Content) -> list[Outcome]:
        """The content by BDAT.    RFC 3030 §2: each chunk has a reply, the last one counts."""
        ends, final, left = LineEnds(), b"", content.size
        try:
            async for piece in content.pieces():
                for part in slices(piece, CLIENT_BLOCK):
                    ends.check(part)
                    final = (final + part)[-2:]
                    left -= len(part)
                    if left == 0:
                        ends.finish(final)
                    last = b" LAST" if left == 0 else b""
                    await self._write(
                        b"BDAT %d%b\r\n%b" % (len(part), last, part), CLIENT_TIMEOUT_BLOCK
                    )
                    if last:
                        reply = await self._reply("enddata", CLIENT_TIMEOUT_DATA_END)
                    else:
                        reply = await self._reply("bdat", CLIENT_TIMEOUT_BLOCK)
                    if last:
                        return self._ended(results, reply, "end of data")
                    if reply.code != 250:
                        # RFC 3030 §2: the transaction is to be reset.
                        return _judged(results, reply, "BDAT")
        except (BadContent, OSError):
            self.is_broken = True
            raise
        self.is_broken = True
        raise BadContent("message is shorter than it was")

    def _ended(self, results: Sequence[Outcome], final: Reply, command: str) -> list[Outcome]:
        # RFC 5321 §4.1.1.4: after the end of data the server has forgotten the transaction.
        self._dirty = False
        return _judged(results, final, command)

    # -------------------------------------------------------------- lines

    async def _command(
        self, line: str, *, shown: str = "", timeout_s: float = CLIENT_TIMEOUT_REPLY
    ) -> Reply:
        self._expect_silence()
        await self._write(f"{line}\r\n".encode(), timeout_s)
        command = shown or line.partition(" ")[0]
        return await self._reply(command.lower(), timeout_s)

    def _expect_silence(self) -> None:
        """A reply before its command: we would take it for the next one's."""
        if self.connection.has_input:
            self.is_broken = True
            raise ProtocolBroken("the server sent a reply to nothing")

    async def _write(self, data: bytes, timeout_s: float) -> None:
        if self.is_broken:
            raise LinkLost("the connection cannot be used any more")
        if self._clock is not None:
            self._wrote_s = self._clock.monotonic_s()
        try:
            await self.connection.write(data, timeout_s)
        except DeliveryError:
            self.is_broken = True
            raise

    async def _reply(self, command: str, timeout_s: float) -> Reply:
        """The next one.    Input  command: what it is to, for those who count."""
        parser, size = ReplyParser(), 0
        try:
            while True:
                line = await self.connection.read_line(timeout_s)
                size += len(line)
                if size > CLIENT_REPLY:
                    raise ProtocolBroken("the server sent an endless reply")
                reply = parser.line(line)
                if reply is not None:
                    break
        except Malformed as error:
            self.is_broken = True
            raise ProtocolBroken(error.public, cause=error) from error
        except DeliveryError:
            self.is_broken = True
            raise
        if self._clock is not None:
            TIMES.add(command, reply, self._clock.monotonic_s() - self._wrote_s)
        self.replies += 1
        self.heard.append(f"{reply.code} {reply.enhanced} {reply.lines[-1]}".replace("  ", " "))
        if reply.code == 421:
            # RFC 5321 §3.8: the server closes.
            self.is_broken = True
        return reply


def _outcome(recipient: Recipient, reply: Reply) -> Outcome:
    # RFC 5321 §4.3.2: 251 is acceptance too, as any 2yz.
    if reply.code // 100 == 2:
        return Outcome(recipient=recipient, error=None, reply=reply)
    # RFC 5321 §4.5.3.1.10: 552 to RCPT means 452, as old servers say it.
    permanent = reply.is_permanent and reply.code != 552
    error = ServerRefused("RCPT", reply, permanent=permanent)
    return Outcome(recipient=recipient, error=error, reply=reply)


def _judged(results: Sequence[Outcome], final: Reply, command: str) -> list[Outcome]:
    """The verdict on the content is that on everybody who was accepted."""
    error = None if final.code // 100 == 2 else ServerRefused(command, final)
    return [
        one
        if one.error is not None or one.is_untried
        else Outcome(recipient=one.recipient, error=error, reply=final)
        for one in results
    ]


async def _whole(content: Content) -> bytes:
    """A small content with proven line ends.    Errors: BadContent."""
    data = b"".join([piece async for piece in content.pieces()])
    ends = LineEnds()
    ends.check(data)
    ends.finish(data[-2:])
    if len(data) != content.size:
        raise BadContent("message is not as long as it was")
    return data
