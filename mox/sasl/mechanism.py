"""SASL exchanges, step by step: what a mechanism asks for, and what comes out.    RFC 4422.

A mechanism is a generator that states what it needs next: a client's response, the credentials
of a user, the (slow) check of a password.  The caller does it, where and how it likes, and goes
on.  So a mechanism does no I/O, and a password hash can run in a thread::

    exchange = Exchange(mechanism, context)
    step = exchange.start(initial)
    while not isinstance(step, Succeeded | Failed):
        match step:
            case Challenge(): step = exchange.respond(send_and_read_line(step.data))
            case Lookup():    step = exchange.found(look_up(step.username))
            case Verify():    step = exchange.verified(step.run())
"""

import secrets
from collections.abc import Callable, Generator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

import msgspec

NO_BINDINGS: Final[Mapping[str, bytes]] = MappingProxyType({})


class ScramSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What a server keeps for SCRAM with one hash.    RFC 5802 §3."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


class CramSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The two states of HMAC-MD5 keyed with the password.    RFC 2195 §3."""

    inner: bytes
    outer: bytes


class Credentials(Protocol):
    """What is known of one user."""

    def verify_password(self, password: str) -> bool:
        """Is it the password?    Slow on purpose: call it in a thread."""
        ...

    def scram(self, hash_name: str) -> ScramSecret | None:
        """The secret for ``sha1`` or ``sha256``, None when there is none."""
        ...

    def cram_md5(self) -> CramSecret | None:
        """The secret, None when there is none."""
        ...


class ServerContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a mechanism must know of the server and of this connection.

    ``server_secret`` stays the same over restarts: from it come the salts of users who do not
    exist.  ``identity`` gives one name for all spellings of a user name, whether there is such a user
    or not.  ``bindings`` are the channel bindings of this TLS connection by name, none without TLS.
    """

    hostname: str
    server_secret: bytes
    now_ms: int
    identity: Callable[[str], str] = str.casefold
    bindings: Mapping[str, bytes] = NO_BINDINGS
    nonce: Callable[[], str] = secrets.token_urlsafe


class Failure(Enum):
    """Why an exchange failed; each face has a reply for each."""

    MALFORMED = "malformed message"
    PROTOCOL = "mechanism rules broken"
    ENCODING = "invalid encoding"
    BAD_CREDENTIALS = "unknown user or wrong password"
    OTHER_IDENTITY = "may not act for another user"
    CHANNEL_BINDING = "channel binding does not match, potential man in the middle"
    NO_SECRETS = "nothing stored for this mechanism"  # not the client's fault; looks like the above
    NO_INITIAL = "mechanism takes no initial response"
    TLS_REQUIRED = "mechanism needs tls"
    ABORTED = "aborted by the client"


class Succeeded(msgspec.Struct, frozen=True):
    """The client is who it says.    ``username`` in NFC."""

    username: str


class Failed(msgspec.Struct, frozen=True):
    """The client is not.    ``detail`` is fit for the client; ``username`` for the log."""

    failure: Failure
    username: str = ""
    detail: str = ""


class Challenge(msgspec.Struct, frozen=True):
    """Send this, read one response.    With a verdict: any response, or none, leads to it."""

    data: bytes
    verdict: Failed | None = None


class Lookup(msgspec.Struct, frozen=True):
    """Look up this user's credentials."""

    username: str


class Verify(msgspec.Struct, frozen=True):
    """Check a password.    ``run`` is slow: in a thread."""

    credentials: Credentials
    password: str

    def run(self) -> bool:
        """Is it the password?"""
        return self.credentials.verify_password(self.password)


Step: TypeAlias = Challenge | Lookup | Verify
Outcome: TypeAlias = Succeeded | Failed


class _Response(msgspec.Struct, frozen=True):
    data: bytes


class _Found(msgspec.Struct, frozen=True):
    credentials: Credentials | None


class _Verified(msgspec.Struct, frozen=True):
    ok: bool


_Answer: TypeAlias = _Response | _Found | _Verified
Run: TypeAlias = Generator[Step, _Answer, Outcome]


class Mechanism(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of MECHANISMS.

    ``plaintext``: shows the password to who listens, so it is refused without TLS where TLS is
    required.  ``binds``: needs channel binding, so it is announced only where there is one.
    """

    name: str
    run: Callable[[ServerContext, bytes | None], Run]
    plaintext: bool = False
    binds: bool = False


class Exchange:
    """One run of one mechanism on the server."""

    __slots__ = ("_context", "_mechanism", "_pending", "_run")

    def __init__(self, mechanism: Mechanism, context: ServerContext) -> None:
        self._mechanism = mechanism
        self._context = context
        self._run: Run | None = None
        self._pending: Step | None = None

    def start(self, initial: bytes | None) -> Step | Outcome:
        """Begin, with the client's initial response if it sent one."""
        if self._mechanism.binds and not self._context.bindings:
            return Failed(Failure.TLS_REQUIRED)
        self._run = self._mechanism.run(self._context, initial)
        return self._advance(None)

    def respond(self, data: bytes) -> Step | Outcome:
        """The client's response to a Challenge."""
        return self._advance(_Response(data))

    def found(self, credentials: Credentials | None) -> Step | Outcome:
        """The result of a Lookup."""
        return self._advance(_Found(credentials))

    def verified(self, ok: bool) -> Step | Outcome:
        """The result of a Verify."""
        return self._advance(_Verified(ok))

    def cancel(self) -> Failed:
        """The client gave up, or sent what cannot be decoded."""
        verdict = self._pending.verdict if isinstance(self._pending, Challenge) else None
        if self._run is not None:
            self._run.close()
        return verdict or Failed(Failure.ABORTED)

    def _advance(self, answer: _Answer | None) -> Step | Outcome:
        assert self._run is not None, "start first"
        if isinstance(self._pending, Challenge) and self._pending.verdict is not None:
            self._run.close()
            return self._pending.verdict
        try:
            step = next(self._run) if answer is None else self._run.send(answer)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        self._pending = step
        return step


def ask(data: bytes) -> Generator[Step, _Answer, bytes]:
    """Within a mechanism: challenge the client, get its response."""
    answer = yield Challenge(data)
    assert isinstance(answer, _Response)
    return answer.data


def tell_failure(data: bytes, verdict: Failed) -> Generator[Step, _Answer, Failed]:
    """Within a mechanism: tell why it failed in the mechanism's own words, then fail."""
    yield Challenge(data, verdict)
    return verdict


def look_up(username: str) -> Generator[Step, _Answer, Credentials | None]:
    """Within a mechanism: get a user's credentials."""
    answer = yield Lookup(username)
    assert isinstance(answer, _Found)
    return answer.credentials


def verify(credentials: Credentials, password: str) -> Generator[Step, _Answer, bool]:
    """Within a mechanism: check a password."""
    answer = yield Verify(credentials, password)
    assert isinstance(answer, _Verified)
    return answer.ok
