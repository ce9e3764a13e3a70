import hashlib
import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.sasl import client, md5
from mox.sasl.mechanism import (
    CramSecret,
    Credentials,
    Failed,
    Failure,
    Outcome,
    ScramSecret,
    Succeeded,
)

Drive = Callable[..., Outcome]


class Stored:
    """Credentials with these secrets only."""

    def __init__(self, cram: CramSecret | None = None) -> None:
        self._cram = cram

    def verify_password(self, password: str) -> bool:
        return False

    def scram(self, hash_name: str) -> ScramSecret | None:
        return None

    def cram_md5(self) -> CramSecret | None:
        return self._cram


@pytest.mark.rfc("2195 §2")
def test_the_example_of_the_rfc(drive: Drive) -> None:
    users: dict[str, Credentials] = {"tim": Stored(md5.hmac_secret(b"tanstaaftanstaaf"))}
    challenges: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        challenges.append(challenge)
        return b"tim b913a602c7eda7a495b4e6e7334d3890"

    outcome = drive(
        "CRAM-MD5",
        None,
        answer,
        users=users,
        nonce="1896",
        now_ms=697170952,
        hostname="postoffice.reston.mci.net",
    )
    assert challenges == [b"<1896.697170952@postoffice.reston.mci.net>"]
    assert outcome == Succeeded("tim")


def test_cram_md5(drive: Drive) -> None:
    def good(challenge: bytes) -> bytes:
        return client.cram_md5("mox@localhost", "moxmoxmox", challenge)

    assert drive("CRAM-MD5", None, good) == Succeeded("mox@localhost")
    users: dict[str, Credentials] = {"mox@localhost": Stored()}
    assert drive("CRAM-MD5", None, good, users=users) == Failed(Failure.NO_SECRETS, "mox@localhost")
    assert drive("CRAM-MD5", None, good, users={}) == Failed(
        Failure.BAD_CREDENTIALS, "mox@localhost"
    )
    assert drive(
        "CRAM-MD5", None, lambda c: client.cram_md5("mox@localhost", "wrongwrong", c)
    ) == Failed(Failure.BAD_CREDENTIALS, "mox@localhost")


@pytest.mark.parametrize(
    "response",
    [b"", b"mox", b"mox ", b"mox xyz", b"mox " + b"A" * 32, b" " + b"a" * 32, b"\xff " + b"a" * 32],
)
def test_malformed_responses(drive: Drive, response: bytes) -> None:
    outcome = drive("CRAM-MD5", None, lambda _challenge: response)
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.MALFORMED


@pytest.mark.rfc("4954 §4")
def test_no_initial_response(drive: Drive) -> None:
    assert drive("CRAM-MD5", b"") == Failed(Failure.NO_INITIAL)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_hmac_from_stored_states_is_hmac(key: bytes, message: bytes) -> None:
    expected = hmac.new(key, message, hashlib.md5).digest()
    assert md5.hmac_digest(md5.hmac_secret(key), message) == expected
