"""The dialogues of tests/dialogues/smtp over fakes; whole, and byte by byte."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.dialogue import Runner, parse
from support.smtpsession import TLS13, BoundTLS, Client, FakeJudging, House

from mox.dns.zones import Zones
from mox.smtp import replies
from mox.smtp.reply import Reply, format_reply
from mox.store.errors import DiskFull, QuotaExceeded

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
    "lmtp": {"lmtp": True},
    "mail can be held": {"future_release": True},
    "names are looked up": {"resolver": NAMES},
    "spf passes": {"judging": FakeJudging(passes=True)},
    "senders are notified": {"judging": FakeJudging(passes=True, notifies=True)},
    "spf does not pass": {"judging": FakeJudging()},
}


def _failing(house: House, failure: Exception) -> None:
    house.store.failures["mox"] = failure


def _no_users(house: House) -> None:
    house.users.broken = True


def _nine_failures(house: House) -> None:
    assert house.login_failures.add("192.0.2.7", 9)


PREPARED: dict[str, Callable[[House], None]] = {
    "everything is local": House.local,
    "the mailbox is full": lambda house: _failing(house, QuotaExceeded()),
    "the disk is full": lambda house: _failing(house, DiskFull()),
    "the store fails": lambda house: _failing(house, OSError(errno.EIO, "bad")),
    "users cannot be looked up": _no_users,
    "ten failed logins but one": _nine_failures,
}
# Said where no dialogue gets to: at the start and the end of connections, after long waits, to exchanges
# that need a computer, to octets that a dialogue cannot have.
ELSEWHERE = {
    "SHUTTING_DOWN", "TOO_MANY_CONNECTIONS", "TIMED_OUT", "NOT_ADMITTED", "AUTH_BINDING", "AUTH_ENCODING",
    "SMUGGLING", "CLIENT_GONE",
}  # fmt: skip


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


def test_every_reply_is_in_a_dialogue() -> None:
    said = "".join(path.read_text() for path in FILES)
    missing = {
        name
        for name, reply in vars(replies).items()
        if isinstance(reply, Reply) and format_reply(reply).decode().rstrip() not in said
    }
    assert missing == ELSEWHERE


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
        if given in PREPARED:
            PREPARED[given](house)
        else:
            changes |= GIVEN[given]

    async def peer(_who: str) -> Client | Slowly:
        client = await house.connect(**changes)
        return Slowly(client) if slowly else client

    await Runner(dialogue, peer).run()
