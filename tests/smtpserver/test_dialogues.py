"""The dialogues of tests/dialogues/smtp over fakes; whole, and byte by byte."""

from pathlib import Path
from typing import Any

import pytest
from support.dialogue import Runner, parse
from support.smtpsession import TLS13, BoundTLS, Client, FakeJudging, House

from mox.dns.zones import Zones

FOLDER = Path(__file__).parent.parent / "dialogues" / "smtp"
FILES = sorted(FOLDER.rglob("*.dialog"))

NAMES = Zones(
    {
        "client.example": {"AAAA": ["2001:db8::7"]},
        "nothing.example": {"TXT": ["no address"]},
        "null.example": {"MX": ["0 ."], "A": ["192.0.2.8"]},
        "mx.example": {"MX": ["10 gone.example", "20 client.example"]},
        "lost.example": {"MX": ["10 gone.example", "20 nothing.example"]},
        "torn.example": {"MX": ["10 gone.example", "20 broken.example"]},
        "both.example": {"MX": ["0 .", "10 client.example"]},
    },
    temporary={"broken.example"},
)
GIVEN: dict[str, dict[str, Any]] = {
    "submission": {"submission": True},
    "tls": {"tls": BoundTLS()},
    "tls is required": {"tls_required_auth": True, "tls_required_mail": True},
    "in tls": {"wire_tls": TLS13},
    "no requiretls": {"requiretls": False},
    "special addresses": {"special_localparts": True},
    "limit 2000": {"max_size": 2000},
    "everything is local": {},
    "lmtp": {"lmtp": True},
    "mail can be held": {"future_release": True},
    "names are looked up": {"resolver": NAMES},
    "spf passes": {"judging": FakeJudging(passes=True)},
    "senders are notified": {"judging": FakeJudging(passes=True, notifies=True)},
    "spf does not pass": {"judging": FakeJudging()},
}


class Slowly:
    """A client whose bytes arrive one by one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.response = client.response
        self.back = client.back
        self.closed = client.closed

    async def send(self, data: bytes) -> None:
        for position in range(len(data)):
            await self._client.send(data[position : position + 1])
            await self._client.settle()
            if self._client.task.done():
                return


def test_there_are_dialogues() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize(
    ("path", "slowly"),
    [
        pytest.param(path, slowly, id=f"{path.parent.name}/{path.stem}-{slowly}")
        for path in FILES
        for slowly in (False, True)
        # Byte by byte, what comes after the go-ahead belongs to the handshake.
        if not (slowly and path.stem == "injection")
    ],
)
async def test_dialogue(house: House, path: Path, slowly: bool) -> None:
    dialogue = parse(path)
    changes: dict[str, Any] = {}
    for given in dialogue.givens:
        changes |= GIVEN[given]
    if "everything is local" in dialogue.givens:
        house.local()

    async def peer(_who: str) -> Client | Slowly:
        client = await house.connect(**changes)
        return Slowly(client) if slowly else client

    await Runner(dialogue, peer).run()
