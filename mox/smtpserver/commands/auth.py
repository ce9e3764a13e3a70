"""AUTH: a SASL exchange over 334 lines.    RFC 4954; spec/smtp-server.md section 5."""

from typing import TYPE_CHECKING, Final

from mox.base import metrics
from mox.base.errors import MoxError
from mox.base.limits import SMTP_AUTH_FAILURES_FREE, SMTP_TIMEOUT_COMMAND
from mox.sasl import MECHANISMS
from mox.sasl.mechanism import (
    NO_BINDINGS,
    Challenge,
    Exchange,
    Failed,
    Failure,
    Lookup,
    Mechanism,
    Outcome,
    ServerContext,
    Step,
    Succeeded,
)
from mox.smtp import replies
from mox.smtp.command import decode_response, parse_auth
from mox.smtp.errors import CommandError
from mox.smtp.reader import AuthLine, LineTooLong, Mode
from mox.smtp.reply import Reply, reply
from mox.smtpserver.command import Command, Need
from mox.smtpserver.errors import Hangup, Rejected
from mox.smtpserver.wire import ConnectionLost, TimedOut

if TYPE_CHECKING:
    from mox.smtpserver.service import Login
    from mox.smtpserver.session import Session

_REPLIES: Final[dict[Failure, Reply]] = {
    Failure.MALFORMED: replies.AUTH_MALFORMED,
    Failure.PROTOCOL: replies.AUTH_PROTOCOL,
    Failure.ENCODING: replies.AUTH_ENCODING,
    Failure.BAD_CREDENTIALS: replies.AUTH_BAD,
    Failure.OTHER_IDENTITY: replies.AUTH_OTHER_USER,
    Failure.CHANNEL_BINDING: replies.AUTH_BINDING,
    Failure.NO_SECRETS: replies.AUTH_BAD,
    Failure.NO_INITIAL: replies.AUTH_NO_INITIAL,
    Failure.TLS_REQUIRED: replies.AUTH_NEEDS_TLS,
    Failure.ABORTED: replies.AUTH_ABORTED,
}
_RESULTS: Final[dict[Failure, str]] = {
    Failure.BAD_CREDENTIALS: "badcreds",
    Failure.OTHER_IDENTITY: "badcreds",
    Failure.NO_SECRETS: "badcreds",
    Failure.CHANNEL_BINDING: "badchanbind",
    Failure.ABORTED: "aborted",
}


async def _auth(session: "Session", rest: bytes) -> Reply:
    service = session.service
    if not service.submission:
        raise Rejected(replies.NO_AUTH_HERE)
    if session.account:  # also within a transaction (RFC 4954 §4): it needs a login
        raise Rejected(replies.ALREADY_AUTH)
    if not service.login_failures.can_add(session.wire.remote_ip):
        # Else guessing would go on in the connections that are open already.
        metrics.AUTHENTICATIONS_RATELIMITED.labels("submission").inc()
        raise Hangup(replies.TOO_MANY_AUTH_FAILURES)
    over = session.auth_failures - SMTP_AUTH_FAILURES_FREE
    await session.pause(over * service.delays.failed_login_s)
    attempt = _Attempt(session)
    try:
        return await attempt.run(rest)
    except (CommandError, Rejected) as e:
        ours = e.reply == replies.AUTH_UNAVAILABLE
        attempt.failed(held_against=not ours, result="error" if ours else "badprotocol")
        raise
    except (Hangup, ConnectionLost, TimedOut):
        # A guess is one, also of a client that does not wait to hear that it was wrong.
        attempt.failed(held_against=True, result="aborted")
        raise


class _Attempt:
    """One AUTH command."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._variant = "(unknown)"
        self._username = ""
        self._login: Login | None = None

    async def run(self, rest: bytes) -> Reply:
        """The exchange and its reply.    Errors: CommandError, Rejected, Hangup."""
        auth = parse_auth(rest, exact_end=True)
        mechanism = MECHANISMS.get(auth.mechanism.encode("ascii"))
        if mechanism is None:
            raise Rejected(replies.AUTH_MECHANISM)
        self._variant = mechanism.name.lower()
        session = self._session
        if mechanism.plaintext and session.service.tls_required_auth and session.wire.tls is None:
            raise Rejected(replies.AUTH_NEEDS_TLS)
        return self._conclude(await self._exchange(mechanism, auth.initial))

    async def _exchange(self, mechanism: Mechanism, initial: bytes | None) -> Outcome:
        session = self._session
        tls = session.wire.tls
        exchange = Exchange(
            mechanism,
            ServerContext(
                hostname=session.service.hostname,
                server_secret=session.service.server_secret,
                now_ms=session.service.clock.now_ms(),
                identity=session.service.authenticator.identity,
                bindings=NO_BINDINGS if tls is None else tls.bindings,
            ),
        )
        step: Step | Outcome = exchange.start(initial)
        while not isinstance(step, (Succeeded, Failed)):
            step = await self._advance(exchange, step)
        return step

    async def _advance(self, exchange: Exchange, step: Step) -> Step | Outcome:
        if isinstance(step, Challenge):
            return await self._challenge(exchange, step)
        authenticator = self._session.service.authenticator
        try:
            if isinstance(step, Lookup):
                self._login = await authenticator.login(step.username)
                return exchange.found(self._login.credentials if self._login else None)
            return exchange.verified(await authenticator.verify(step))
        except (MoxError, OSError) as e:
            self._session.log.error("smtp.login_error", e, variant=self._variant)
            # RFC 4954 §6: 454 for a failure on our side.
            raise Rejected(replies.AUTH_UNAVAILABLE) from e

    async def _challenge(self, exchange: Exchange, step: Challenge) -> Step | Outcome:
        session = self._session
        # RFC 4954 §4: 334 and base64; no enhanced code.
        session.challenge(step.data)
        session.read_as(Mode.AUTH)
        event = await session.next_event(SMTP_TIMEOUT_COMMAND)
        if isinstance(event, LineTooLong):
            if not event.resumable:
                raise Hangup(replies.AUTH_LINE_TOO_LONG)
            raise Rejected(replies.AUTH_LINE_TOO_LONG)
        assert isinstance(event, AuthLine)
        # RFC 4954 §4: a line of one "*" cancels.
        if event.line == b"*":
            return exchange.cancel()
        if step.verdict is not None:
            return exchange.respond(event.line)
        return exchange.respond(decode_response(event.line))

    def _conclude(self, outcome: Outcome) -> Reply:
        session = self._session
        self._username = outcome.username
        if isinstance(outcome, Failed):
            # An account without secrets for this mechanism is not the client's fault.
            held_against = outcome.failure is not Failure.NO_SECRETS
            self.failed(
                held_against=held_against, result=_RESULTS.get(outcome.failure, "badprotocol")
            )
            value = _REPLIES[outcome.failure]
            return value.with_suffix(f": {outcome.detail}") if outcome.detail else value
        assert self._login is not None
        if self._login.disabled:
            # Told only to who knows the password.
            self.failed(held_against=True, result="logindisabled")
            return reply(525, "5.7.13", self._login.disabled)
        session.account = self._login.account
        session.login_address = outcome.username
        session.auth_failures = 0
        session.slow = False
        session.service.login_failures.reset(session.wire.remote_ip)
        metrics.AUTHENTICATIONS.labels("submission", self._variant, "ok").inc()
        session.log = session.log.bind(account=session.account)
        session.log.info("smtp.login", variant=self._variant, user=outcome.username)
        return replies.AUTHENTICATED

    def failed(self, *, held_against: bool, result: str) -> None:
        """Count and log a failure; after some, the connection becomes slow."""
        session = self._session
        metrics.AUTHENTICATIONS.labels("submission", self._variant, result).inc()
        session.log.info(
            "smtp.login_failed", variant=self._variant, user=self._username, result=result
        )
        if not held_against:
            return
        session.auth_failures += 1
        session.service.login_failures.add(session.wire.remote_ip)
        if session.auth_failures >= SMTP_AUTH_FAILURES_FREE:
            session.slow = True


AUTH = Command(verb=b"AUTH", run=_auth, needs=(Need.HELLO,), lmtp=False)
