"""An account with a cheap password hash, and a driver of exchanges."""

import secrets
from collections.abc import Callable, Mapping

import pytest

from mox.sasl import MECHANISMS
from mox.sasl.mechanism import (
    NO_BINDINGS,
    Challenge,
    Credentials,
    Exchange,
    Failed,
    Lookup,
    Outcome,
    ServerContext,
    Succeeded,
    Verify,
)
from mox.sasl.secretset import Cost, SecretSet, derive

CHEAP = Cost(passes=1, memory_kib=8, lanes=1)
Responses = Callable[[bytes], bytes]
Drive = Callable[..., Outcome]


@pytest.fixture(scope="session")
def mox_secrets() -> SecretSet:
    return derive("moxmoxmox", secrets.token_bytes, cost=CHEAP)


@pytest.fixture
def drive(mox_secrets: SecretSet) -> Drive:
    """Run a whole exchange: ``answers`` are called with each challenge in turn."""

    def run(
        name: str,
        initial: bytes | None,
        *answers: Responses,
        users: Mapping[str, Credentials] | None = None,
        bindings: Mapping[str, bytes] = NO_BINDINGS,
        nonce: str = "servernonce",
        hostname: str = "localhost",
        now_ms: int = 1000,
    ) -> Outcome:
        mechanism = MECHANISMS.get(name.encode())
        assert mechanism is not None
        known: Mapping[str, Credentials] = (
            {"mox@localhost": mox_secrets} if users is None else users
        )
        exchange = Exchange(
            mechanism,
            ServerContext(
                hostname=hostname,
                server_secret=b"server secret",
                now_ms=now_ms,
                bindings=bindings,
                nonce=lambda: nonce,
            ),
        )
        left = list(answers)
        step = exchange.start(initial)
        while True:
            match step:
                case Challenge():
                    step = exchange.respond(left.pop(0)(step.data))
                case Lookup():
                    step = exchange.found(known.get(step.username))
                case Verify():
                    step = exchange.verified(step.run())
                case Succeeded() | Failed():
                    assert not left, "not all answers were asked for"
                    return step

    return run
