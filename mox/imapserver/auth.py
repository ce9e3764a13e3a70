"""Logging in: LOGIN and AUTHENTICATE over ``mox.sasl``, with delays and limits.

Source  RFC 9051 §6.2.2, §6.2.3; spec/imap.md sections 2 and 4.
"""

import binascii
from base64 import b64decode, b64encode
from typing import Final

from mox.base import metrics
from mox.base.errors import MoxError
from mox.base.limits import IMAP_TIMEOUT_BEFORE_LOGIN
from mox.imap import codes
from mox.imapserver.capabilities import announced
from mox.imapserver.command import Done
from mox.imapserver.errors import Bad, Bye, No
from mox.imapserver.service import Login
from mox.imapserver.session import Session
from mox.sasl.mechanism import (
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
    Verify,
)

_FREE_FAILURES = 3  # failures after which each further one makes the next try wait

# How a failure is answered, and its label in mox_authentication_total.
_BAD: Final = {
    Failure.MALFORMED: "badprotocol",
    Failure.ENCODING: "badprotocol",
    Failure.NO_INITIAL: "badprotocol",
    Failure.ABORTED: "aborted",
}
_NO: Final[dict[Failure, tuple[bytes | None, str]]] = {
    Failure.PROTOCOL: (None, "badprotocol"),
    Failure.BAD_CREDENTIALS: (codes.AUTHENTICATIONFAILED, "badcreds"),
    Failure.OTHER_IDENTITY: (codes.AUTHORIZATIONFAILED, "badcreds"),
    Failure.CHANNEL_BINDING: (codes.AUTHENTICATIONFAILED, "badchanbind"),
    Failure.NO_SECRETS: (codes.AUTHENTICATIONFAILED, "badcreds"),
    Failure.TLS_REQUIRED: (codes.PRIVACYREQUIRED, "badprotocol"),
}
# Guesses, or what cannot be told from one.  RFC 5802 §9: a wrong binding may be an attack.
_GUESSES: Final = frozenset(
    (Failure.BAD_CREDENTIALS, Failure.OTHER_IDENTITY, Failure.CHANNEL_BINDING)
)


async def authenticate(
    session: Session, mechanism: Mechanism, initial: bytes | None, variant: str
) -> Done:
    """Run a mechanism; afterwards the session is logged in.

    Input   variant: label of the metrics.
    Errors  No, Bad; Bye after too many failures.
    """
    if mechanism.plaintext and not session.plaintext_auth_allowed:
        raise No("tls is required to log in with a password", codes.PRIVACYREQUIRED)
    if not session.service.limiter.failures.can_add(session.wire.remote_address):
        metrics.AUTHENTICATIONS_RATELIMITED.labels("imap").inc()
        raise Bye("too many auth failures", codes.UNAVAILABLE)
    await _wait(session)
    service = session.service
    exchange = Exchange(
        mechanism,
        ServerContext(
            hostname=service.hostname,
            server_secret=service.server_secret,
            now_ms=service.clock.now_ms(),
            identity=service.authenticator.identity,
            bindings=session.wire.bindings(),
        ),
    )
    result = "error"
    try:
        logins: dict[str, Login] = {}
        outcome = await _exchange(session, exchange, exchange.start(initial), logins)
        if isinstance(outcome, Failed):
            result = (_BAD.get(outcome.failure) or _NO[outcome.failure][1]) or result
            raise _failed(session, outcome)
        login = logins[outcome.username]
        if login.disabled_text:
            # Only who knows the password learns this.
            result = "logindisabled"
            raise No(login.disabled_text)
        account = await service.accounts.account(login.account_name)
        service.limiter.failures.reset(session.wire.remote_address)
        session.logged_in(account, login, outcome.username)
        result = "ok"
    finally:
        metrics.AUTHENTICATIONS.labels("imap", variant, result).inc()
    session.log.info("imap.login", variant=variant)
    # RFC 9051 §6.2.2: the capabilities may be others now.
    return Done(code=codes.CAPABILITY + b" " + announced(session), text=f"{variant} done")


async def _wait(session: Session) -> None:
    """Guessing gets slower with every failure."""
    extra = session.failures - _FREE_FAILURES
    delay = extra * session.service.delays.failure_step
    if delay > 0:
        await session.service.clock.sleep(delay)


async def _exchange(
    session: Session, exchange: Exchange, step: Step | Outcome, logins: dict[str, Login]
) -> Outcome:
    while True:
        match step:
            case Succeeded() | Failed():
                return step
            case Lookup(username=username):
                login = await session.service.authenticator.lookup(username)
                if login is not None:
                    logins[username] = login
                step = exchange.found(login.credentials if login is not None else None)
            case Verify():
                step = exchange.verified(await session.service.authenticator.verify(step))
            case Challenge(data=data, verdict=Failed() as verdict):
                await _tell(session, data, verdict)
                return verdict
            case Challenge(data=data):
                response = await _ask(session, data)
                if response is None:
                    return exchange.cancel()
                step = exchange.respond(response)


async def _ask(session: Session, challenge: bytes) -> bytes | None:
    """Send a challenge, read the response; None where the client gives up.

    Errors  Bad for bad base64.
    """
    line = await _line(session, challenge)
    if line == b"*":
        return None
    return decode_base64(line)


async def _tell(session: Session, challenge: bytes, verdict: Failed) -> None:
    """Send the mechanism's own word for a failure; whatever the client says to it, it has failed."""
    try:
        await _line(session, challenge)
    except BaseException:
        _count(session, verdict)  # also a client that goes away without an answer
        raise


async def _line(session: Session, challenge: bytes) -> bytes:
    session.write(b"+ %b\r\n" % b64encode(challenge))
    return await session.input.line(IMAP_TIMEOUT_BEFORE_LOGIN)


def decode_base64(text: bytes) -> bytes:
    """A response of the client.    Errors: Bad."""
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise Bad("bad base64", cause=error) from error


def _count(session: Session, outcome: Failed) -> None:
    session.log.info(
        "imap.login_failed", why=outcome.failure.name.lower(), username=outcome.username
    )
    if outcome.failure in _GUESSES:
        session.failures += 1
        # Full counters mean that this address is refused already.
        session.service.limiter.failures.add(session.wire.remote_address)


def _failed(session: Session, outcome: Failed) -> MoxError:
    """What the client is told; a guess is counted."""
    _count(session, outcome)
    text = outcome.detail or outcome.failure.value
    if outcome.failure in _BAD:
        return Bad(text)
    code, _ = _NO[outcome.failure]
    if outcome.failure in (Failure.BAD_CREDENTIALS, Failure.NO_SECRETS):
        text = "login failed"  # which of the two is nobody's business
    return No(text, code)
