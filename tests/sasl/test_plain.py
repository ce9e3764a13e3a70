from collections.abc import Callable

import pytest

from mox.sasl import MECHANISMS, client
from mox.sasl.mechanism import (
    Challenge,
    Exchange,
    Failed,
    Failure,
    Lookup,
    Outcome,
    ServerContext,
    Succeeded,
    Verify,
)
from mox.sasl.secretset import NOBODY

Drive = Callable[..., Outcome]
CONTEXT = ServerContext(hostname="localhost", server_secret=b"s", now_ms=0)


def says(data: bytes) -> Callable[[bytes], bytes]:
    return lambda _challenge: data


@pytest.mark.rfc("4616 §2")
@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (b"\0mox@localhost\0moxmoxmox", Succeeded("mox@localhost")),
        (b"mox@localhost\0mox@localhost\0moxmoxmox", Succeeded("mox@localhost")),
        (b"x@localhost\0mox@localhost\0moxmoxmox", Failed(Failure.OTHER_IDENTITY)),
        (b"\0mox@localhost\0wrong", Failed(Failure.BAD_CREDENTIALS, "mox@localhost")),
        (b"\0mox@localhost\0", Failed(Failure.BAD_CREDENTIALS, "mox@localhost")),
        (b"\0mox@localhost\0\xff", Failed(Failure.BAD_CREDENTIALS, "mox@localhost")),
        (b"\0nobody@localhost\0moxmoxmox", Failed(Failure.BAD_CREDENTIALS, "nobody@localhost")),
        (b"\0\0moxmoxmox", Failed(Failure.BAD_CREDENTIALS)),
        (b"\0\xff\0moxmoxmox", Failed(Failure.BAD_CREDENTIALS)),
        (b"x\0\xff\0moxmoxmox", Failed(Failure.MALFORMED)),
        (b"mox@localhost\0moxmoxmox", Failed(Failure.MALFORMED)),
        (b"\0mox@localhost\0moxmoxmox\0", Failed(Failure.MALFORMED)),
        (b"", Failed(Failure.MALFORMED)),
    ],
)
def test_plain(drive: Drive, message: bytes, outcome: Outcome) -> None:
    assert drive("PLAIN", message) == outcome
    assert drive("PLAIN", None, says(message)) == outcome


def test_login_asks_twice(drive: Drive) -> None:
    asked: list[bytes] = []

    def answer(data: bytes) -> Callable[[bytes], bytes]:
        def respond(challenge: bytes) -> bytes:
            asked.append(challenge)
            return data

        return respond

    assert drive("LOGIN", None, answer(b"mox@localhost"), answer(b"moxmoxmox")) == Succeeded(
        "mox@localhost"
    )
    assert asked == [b"Username:", b"Password:"]
    assert drive("LOGIN", b"mox@localhost", answer(b"wrong")) == Failed(
        Failure.BAD_CREDENTIALS, "mox@localhost"
    )


def test_user_names_and_passwords_compare_composed(drive: Drive) -> None:
    from mox.sasl.secretset import Cost, derive

    cheap = Cost(passes=1, memory_kib=8, lanes=1)
    secrets = derive("pa\u00dfw\u00f6rt", lambda n: bytes(n), cost=cheap)
    users = {"m\u00f3x@localhost": secrets}
    message = client.plain("mo\u0301x@localhost", "pa\u00dfwo\u0308rt")
    assert drive("PLAIN", message, users=users) == Succeeded("m\u00f3x@localhost")


def test_an_unknown_user_costs_a_password_check() -> None:
    mechanism = MECHANISMS.get(b"PLAIN")
    assert mechanism is not None
    exchange = Exchange(mechanism, CONTEXT)
    assert exchange.start(b"\0a@b\0password") == Lookup("a@b")
    assert exchange.found(None) == Verify(NOBODY, "password")
    assert exchange.verified(True) == Failed(Failure.BAD_CREDENTIALS, "a@b")


def test_cancelling_is_a_failure() -> None:
    mechanism = MECHANISMS.get(b"PLAIN")
    assert mechanism is not None
    exchange = Exchange(mechanism, CONTEXT)
    assert exchange.cancel() == Failed(Failure.ABORTED)
    assert exchange.start(None) == Challenge(b"")
    assert exchange.cancel() == Failed(Failure.ABORTED)


def test_the_order_of_mechanisms_is_strongest_first() -> None:
    assert list(MECHANISMS) == [
        b"SCRAM-SHA-256-PLUS",
        b"SCRAM-SHA-256",
        b"SCRAM-SHA-1-PLUS",
        b"SCRAM-SHA-1",
        b"CRAM-MD5",
        b"PLAIN",
        b"LOGIN",
    ]
    assert [m.name for _, m in MECHANISMS.items() if m.plaintext] == ["PLAIN", "LOGIN"]
