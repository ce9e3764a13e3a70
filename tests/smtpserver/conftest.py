"""Sessions over fakes, without sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.smtpsession import TLS13, Client, House, cheap_secrets

from mox.base import metrics
from mox.sasl.secretset import SecretSet


@pytest.fixture(scope="session")
def secrets_of_mox() -> SecretSet:
    return cheap_secrets()


@pytest.fixture
async def house(tmp_path: Path, secrets_of_mox: SecretSet) -> AsyncIterator[House]:
    unhandled = metrics.unhandled_total()
    made = House(tmp_path, secrets_of_mox)
    yield made
    await made.close()
    assert metrics.unhandled_total() == unhandled, "a command ended in an unhandled error"


@pytest.fixture
async def client(house: House) -> Client:
    """On port 25, after EHLO."""
    connected = await house.connect()
    await connected.say("EHLO client.example", 250)
    return connected


@pytest.fixture
async def user(house: House) -> Client:
    """On the submission port over TLS, logged in as mox@example.org."""
    connected = await house.connect(submission=True, wire_tls=TLS13)
    await connected.say("EHLO [127.0.0.1]", 250)
    await connected.say("AUTH PLAIN AG1veEBleGFtcGxlLm9yZwBtb3htb3htb3g=", 235, "2.7.0")
    return connected
