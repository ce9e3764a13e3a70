"""Changes of the configuration asked for on the control socket."""

import asyncio
import stat
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.queueing import submission

from mox.base.clock import FrozenClock
from mox.base.errors import Refused
from mox.base.flags import JUNK, NOTJUNK
from mox.ctl import commands as ctl
from mox.ctl.client import Client
from mox.ctl.protocol import Command
from mox.ctl.server import ControlServer
from mox.imapserver.derive import derive
from mox.junk.parameters import Parameters
from mox.queue import changing
from mox.queue.adding import add
from mox.queue.listing import EVERY
from mox.runtime.accounts import Accounts
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.control import Control
from mox.runtime.outgoing import OutgoingMail, open_outgoing
from mox.runtime.signingkeys import SigningKeys
from mox.smtp.address import Address, parse_address
from mox.store.content import NewMessage
from mox.store.messages import append
from mox.store.shard import memory_shard

STATIC = """
data_dir = "data"
log_level = "info"
hostname = "mail.example.org"
[postmaster]
account = "me"
mailbox = "Postmaster"
[listeners.local]
ips = ["127.0.0.1"]
"""
DOMAINS = """
[domains."example.org"] # ours
localpart_catchall_separator = "+"
[accounts.me]
domain = "example.org"
[accounts.me.destinations."me@example.org"]
[accounts.you]
domain = "example.org"
[accounts.you.destinations."you@example.org"]
"""
SPAM = b"Subject: cheap pills\r\n\r\nbuy cheap pills now\r\n"
NOW_MS = 1_795_953_600_000  # 2026-11-29T12:00:00Z


class Place:
    """The control socket over a memory shard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.config.mkdir()
        (self.config / "mox.toml").write_text(STATIC)
        (self.config / "domains.toml").write_text(DOMAINS)
        self.files = ConfigFiles(self.config / "mox.toml")
        self.shard = memory_shard(folder, derive, clock=FrozenClock(NOW_MS))
        self.accounts = Accounts(self.shard, self.files.live)
        self.server = self.made_server()

    def made_server(self, outgoing: OutgoingMail | None = None) -> ControlServer:
        """Where commands are asked."""
        self.control = Control(
            self.files,
            self.shard,
            self.accounts,
            lambda: None,
            self.end,
            supervised=False,
            outgoing=outgoing,
        )
        return ControlServer(self.folder, self.control.handlers())

    async def end(self, _: str) -> None:
        """Nobody has a session here."""

    async def ask(self, command: Command[Any, Any], arguments: Any) -> Any:
        def call() -> Any:
            with Client(self.folder) as client:
                return client.call(command, arguments)

        return await asyncio.to_thread(call)

    def written(self) -> dict[str, Any]:
        return tomllib.loads((self.config / "domains.toml").read_text())

    def keys(self, folder: str = "dkim") -> list[Path]:
        return sorted((self.config / folder).glob("*.pem"))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    await made.server.start()
    yield made
    await made.server.stop()
    made.accounts.close()
    await made.shard.close()


async def test_a_domain_comes_and_goes_with_its_keys(place: Place) -> None:
    signing = SigningKeys(place.files.live, place.config)
    await place.ask(ctl.DOMAIN_ADD, ctl.DomainAdd(domain="bücher.example", account="you"))
    first, second = place.keys()
    assert first.name == (
        "2026a._domainkey.xn--bcher-kva.example.20261129T120000.rsa2048.privatekey.pkcs8.pem"
    )
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert first.read_bytes() != second.read_bytes()
    key = load_pem_private_key(first.read_bytes(), password=None)
    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == 2048
    dkim = place.written()["domains"]["bücher.example"]["dkim"]
    assert dkim["sign"] == ["2026a"]
    assert list(dkim["selectors"]) == ["2026a", "2026b"]
    (used,) = signing.of("bücher.example")
    assert (used.domain, used.selector, used.lifetime_s) == (
        "xn--bcher-kva.example",
        "2026a",
        72 * 3600,
    )
    await place.ask(ctl.ADDRESS_RM, ctl.Address(address="postmaster@bücher.example"))
    await place.ask(ctl.DOMAIN_RM, ctl.DomainName(domain="bücher.example"))
    assert place.keys() == []
    assert [path.name for path in place.keys("dkim/old")] == [first.name, second.name]
    assert place.written() == tomllib.loads(DOMAINS)
    assert signing.of("bücher.example") == ()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (ctl.DomainAdd(domain="example.org", account="me"), "there already is a domain"),
        (ctl.DomainAdd(domain="../x", account="me"), "is not a domain name"),
        (ctl.DomainAdd(domain="new.example", account="nobody"), "give a local part to make one"),
    ],
)
async def test_no_keys_for_a_domain_that_is_refused(
    place: Place, wanted: ctl.DomainAdd, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        await place.ask(ctl.DOMAIN_ADD, wanted)
    assert not (place.config / "dkim").exists()
    assert place.written() == tomllib.loads(DOMAINS)


async def test_no_keys_stay_when_the_file_cannot_be_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mox.runtime.configfiles.write_atomic", full)
    with pytest.raises(Refused, match="cannot replace .*domains.toml: No space left on device"):
        await place.ask(ctl.DOMAIN_ADD, ctl.DomainAdd(domain="new.example", account="you"))
    assert place.keys() == []
    monkeypatch.undo()
    monkeypatch.setattr("mox.runtime.domainkeys.write_atomic", full)
    with pytest.raises(
        Refused, match="cannot write .*2026a.*: No space left on device; its folder"
    ):
        await place.ask(ctl.DOMAIN_ADD, ctl.DomainAdd(domain="new.example", account="you"))
    assert place.keys() == []
    assert place.written() == tomllib.loads(DOMAINS)


async def test_a_key_the_operator_put_elsewhere_stays(place: Place) -> None:
    (place.config / "mine.pem").write_text("a key")
    (place.config / "domains.toml").write_text(
        DOMAINS
        + '[domains."new.example".dkim.selectors]\n'
        + 'a.private_key_file = "mine.pem"\nb.private_key_file = "dkim/missing.pem"\n'
    )
    assert await place.files.poll()
    await place.ask(ctl.DOMAIN_RM, ctl.DomainName(domain="new.example"))
    assert (place.config / "mine.pem").read_text() == "a key"
    assert place.keys("dkim/old") == []


async def test_a_new_account_filters(place: Place) -> None:
    await place.ask(ctl.ACCOUNT_ADD, ctl.AccountAddress(account="new", address="n@example.org"))
    account = await place.accounts.account("new")
    assert account.filter is not None
    assert account.filter.threshold == 0.95
    assert account.rules.enabled
    assert account.rules.rejects_mailbox == "Rejects"


async def test_aliases(place: Place) -> None:
    alias = "team@example.org"
    with pytest.raises(Refused, match="there is no alias team@example.org"):
        await place.ask(ctl.ALIAS_PRINT, ctl.Address(address=alias))
    with pytest.raises(Refused, match="there is no domain 'x'"):
        await place.ask(ctl.ALIAS_LIST, ctl.DomainName(domain="x"))
    await place.ask(ctl.ALIAS_ADD, ctl.AliasMembers(alias=alias, addresses=("ME@example.org",)))
    await place.ask(
        ctl.ALIAS_ADD, ctl.AliasMembers(alias="all@example.org", addresses=("you@example.org",))
    )
    await place.ask(
        ctl.ALIAS_ADDADDR,
        ctl.AliasMembers(alias="TEAM@example.org", addresses=("you@example.org",)),
    )
    await place.ask(
        ctl.ALIAS_UPDATE, ctl.AliasUpdate(alias=alias, post_public=False, allow_msg_from=True)
    )
    line = await place.ask(ctl.ALIAS_PRINT, ctl.Address(address="Team+x@example.org"))
    assert line == ctl.AliasLine(
        alias=alias,
        addresses=("me@example.org", "you@example.org"),
        post_public=False,
        list_members=False,
        allow_msg_from=True,
    )
    found = await place.ask(ctl.ALIAS_LIST, ctl.DomainName(domain="example.org"))
    assert [one.alias for one in found.aliases] == ["all@example.org", alias]
    with pytest.raises(Refused, match="team@example.org is an alias; its members: mox config al"):
        await place.ask(ctl.ADDRESS_ACCOUNT, ctl.Address(address=alias))
    await place.ask(ctl.ALIAS_RM, ctl.Address(address="all@example.org"))
    await place.ask(ctl.ALIAS_RMADDR, ctl.AliasMembers(alias=alias, addresses=("me@example.org",)))
    with pytest.raises(Refused, match="would have no member left"):
        await place.ask(ctl.ADDRESS_RM, ctl.Address(address="you@example.org"))
    aliases = place.written()["domains"]["example.org"]["aliases"]
    assert aliases == {
        "team": {"addresses": ["you@example.org"], "post_public": False, "allow_msg_from": True}
    }


@pytest.fixture
async def outgoing(place: Place) -> AsyncIterator[OutgoingMail]:
    """A queue whose messages stay."""
    clock = place.shard.clock
    made = await open_outgoing(
        place.files, place.shard, place.accounts, place.folder, clock, outside=None
    )
    await place.server.stop()
    place.server = place.made_server(made)
    await place.server.start()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("address", "sender", "needed"),
    [
        ("you@example.org", "you@example.org", True),
        ("You@EXAMPLE.org", "you+list@example.org", True),
        ("you@example.org", "other@example.org", False),  # by the catch-all, which stays
        ("@example.org", "other@example.org", True),
        ("@example.org", "you@example.org", False),
        ("you@example.org", "", False),  # the null sender
    ],
)
async def test_an_address_that_a_queued_message_is_from_stays(
    place: Place, outgoing: OutgoingMail, address: str, sender: str, needed: bool
) -> None:
    await place.ask(ctl.ADDRESS_ADD, ctl.AccountAddress(account="you", address="@example.org"))
    from_ = parse_address(sender) if sender else Address("", "")
    [entry] = await add(outgoing.queue, submission(account="you", sender=from_))
    if needed:
        with pytest.raises(Refused, match=f"in the queue; .* mox queue list --ids {entry.id}$"):
            await place.ask(ctl.ADDRESS_RM, ctl.Address(address=address))
        await changing.drop(outgoing.queue, EVERY)
    await place.ask(ctl.ADDRESS_RM, ctl.Address(address=address))
    left = place.written()["accounts"]["you"]["destinations"]
    assert list(left) == [
        one for one in ("you@example.org", "@example.org") if one != address.lower()
    ]


async def test_junk_filters_are_trained_anew_and_asked(place: Place) -> None:
    with pytest.raises(Refused, match="no account 'nobody'"):
        await place.ask(ctl.RETRAIN, ctl.Retrain(account="nobody"))
    none = await place.ask(ctl.RETRAIN, ctl.Retrain())
    assert none == ctl.Retrained(trained=(), without_filter=("me", "you"))

    def check() -> ctl.JunkChecked:
        with Client(place.folder) as client:
            name = ctl.AccountName(account="me")
            return client.call(ctl.JUNK_CHECK, name, body=[SPAM[:20], SPAM[20:]])

    with pytest.raises(Refused, match="has no junk filter"):
        await asyncio.to_thread(check)
    account = await place.accounts.account("me")
    account.filter = Parameters()
    for flags in (JUNK, NOTJUNK):
        content = SPAM if flags == JUNK else b"Subject: meeting\r\n\r\nagenda\r\n"
        new = [NewMessage(content=content, flags=flags, received_ms=NOW_MS)] * 3
        await append(account, account.mailbox("Inbox"), new)
    seen: list[ctl.Retraining] = []

    def train() -> ctl.Retrained:
        with Client(place.folder) as client:
            return client.call(
                ctl.RETRAIN,
                ctl.Retrain(account="me"),
                progress=lambda value: seen.append(msgspec.json.decode(value, type=ctl.Retraining)),
            )

    assert await asyncio.to_thread(train) == ctl.Retrained(trained=("me",), without_filter=())
    assert seen[0].account == "me"
    assert seen[0].total == 6
    checked = await asyncio.to_thread(check)
    assert checked.probability > 0.9
    assert "pills" in [one.word for one in checked.spam]
    assert not list(place.folder.glob("spool-*"))


async def test_a_large_message_is_checked(place: Place) -> None:
    account = await place.accounts.account("me")
    account.filter = Parameters()

    def check() -> ctl.JunkChecked:
        with Client(place.folder) as client:
            pieces = [SPAM, *[b"text of a large message\r\n" * 1000] * 60]
            return client.call(ctl.JUNK_CHECK, ctl.AccountName(account="me"), body=pieces)

    assert (await asyncio.to_thread(check)).probability == 0.5
    assert not list(place.folder.glob("spool-*"))
