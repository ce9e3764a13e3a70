"""Accounts as configured and as stored, over a memory shard."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mox.base.errors import Refused, Unavailable
from mox.base.regexp import Regexp
from mox.config.live import Live
from mox.config.load import load, load_domains
from mox.config.problems import ConfigInvalid
from mox.imapserver.derive import derive
from mox.junk.mailboxes import MailboxRules
from mox.junk.parameters import Parameters
from mox.runtime import accounts as module
from mox.runtime.accounts import Accounts, decode_secrets
from mox.runtime.accountsettings import filter_of, quota_of
from mox.runtime.delivery import StoreDeliverer
from mox.sasl.mechanism import Verify
from mox.sasl.secretset import NOBODY, PasswordUnfit, SecretSet
from mox.store.blobs.base import SpoolFile
from mox.store.content import NewMessage
from mox.store.errors import AccountMissing, DataDamaged
from mox.store.messages import append
from mox.store.shard import Shard, memory_shard

STATIC = """
data_dir = "data"
log_level = "info"
hostname = "mail.example.org"
quota_message_size = 1000
[postmaster]
account = "me"
mailbox = "Postmaster"
[listeners.public]
ips = ["127.0.0.1"]
"""
DOMAINS = """
[domains."example.org"]
localpart_catchall_separator = "+"
[accounts.me]
domain = "example.org"
[accounts.me.destinations."me@example.org"]
"""
OTHER = """
[accounts.you]
domain = "example.org"
login_disabled = "moved"
imap_capabilities_disabled = ["CONDSTORE"]
quota_message_size = -1
[accounts.you.destinations."you@example.org"]
"""
PASSWORD = "my password"


class Place:
    def __init__(self, folder: Path) -> None:
        self.live = Live(load(STATIC, DOMAINS))
        self.shard: Shard = memory_shard(folder, derive)
        self.accounts = Accounts(self.shard, self.live)
        self.hashed: list[str] = []

    def configure(self, domains: str) -> None:
        self.live.swap(load_domains(self.live.config.static, domains))

    async def check(self, username: str, password: str) -> bool:
        login = await self.accounts.login(username)
        credentials = login.credentials if login is not None else None
        return await self.accounts.verify(Verify(credentials or NOBODY, password))


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    slow = SecretSet.verify_password

    def counted(self: SecretSet, password: str) -> bool:
        made.hashed.append(password)
        return slow(self, password)

    monkeypatch.setattr(SecretSet, "verify_password", counted)
    yield made
    made.accounts.close()
    await made.shard.close()


async def test_an_account_is_made_when_it_is_first_needed(place: Place) -> None:
    assert not await place.accounts.is_stored("me")
    account = await place.accounts.account("me")
    assert sorted(account.by_name) == ["Archive", "Drafts", "Inbox", "Junk", "Sent", "Trash"]
    assert account.by_name["Junk"].record.special_use == ("Junk",)
    assert account.quota_bytes == 1000
    assert await place.accounts.account("me") is account
    assert await place.accounts.is_stored("me")
    with pytest.raises(AccountMissing):
        await place.accounts.account("you")


async def test_accounts_made_at_the_same_time_are_different_ones(place: Place) -> None:
    names = [f"a{number}" for number in range(20)]
    place.configure(DOMAINS + "".join(f'[accounts.{n}]\ndomain = "example.org"\n' for n in names))
    found = await asyncio.gather(*(place.accounts.account(name) for name in names * 2))
    assert len({account.id for account in found}) == 20
    assert found[:20] == found[20:]


async def test_logins(place: Place) -> None:
    place.configure(DOMAINS + OTHER)
    assert await place.accounts.login("nobody@example.org") is None
    assert await place.accounts.login("me") is None
    fresh = await place.accounts.login("ME+x@example.org")
    assert fresh is not None
    assert (fresh.account, fresh.credentials, fresh.disabled) == ("me", None, "")
    assert not await place.accounts.has_password("me")
    with pytest.raises(PasswordUnfit):
        await place.accounts.set_password("me", "short")
    await place.accounts.set_password("me", PASSWORD)
    await place.accounts.set_password("you", PASSWORD)
    assert await place.accounts.has_password("me")
    mine, yours = (
        await place.accounts.login("me@example.org"),
        await place.accounts.login("you@example.org"),
    )
    assert mine is not None and yours is not None  # noqa: PT018
    assert (yours.disabled, yours.capabilities_disabled) == ("moved", ("CONDSTORE",))
    assert mine.credentials is not None and yours.credentials is not None  # noqa: PT018
    for hash_name in ("sha1", "sha256"):
        own, other = mine.credentials.scram(hash_name), yours.credentials.scram(hash_name)
        assert own is not None
        assert own != other
    assert mine.credentials.scram("md5") is None
    assert mine.credentials.cram_md5() is not None


async def test_a_good_password_is_hashed_once(place: Place) -> None:
    await place.accounts.set_password("me", PASSWORD)
    for _ in range(5):
        assert await place.check("me@example.org", PASSWORD)
    assert place.hashed == [PASSWORD]


async def test_a_bad_one_is_hashed_each_time_also_beside_the_good_one(place: Place) -> None:
    await place.accounts.set_password("me", PASSWORD)
    assert await place.check("me@example.org", PASSWORD)
    for _ in range(2):
        assert not await place.check("me@example.org", "not my password")
        assert not await place.check("nobody@example.org", PASSWORD)
    assert place.hashed == [PASSWORD, "not my password", "not my password"]


async def test_a_new_password_ends_what_was_remembered_of_the_old(place: Place) -> None:
    await place.accounts.set_password("me", PASSWORD)
    assert await place.check("me@example.org", PASSWORD)
    await place.accounts.set_password("me", "another one")
    assert not await place.check("me@example.org", PASSWORD)
    assert await place.check("me@example.org", "another one")
    assert place.hashed == [PASSWORD, PASSWORD, "another one"]


async def test_the_same_password_of_somebody_else_is_not_taken_for_checked(place: Place) -> None:
    place.configure(DOMAINS + OTHER)
    await place.accounts.set_password("me", PASSWORD)
    await place.accounts.set_password("you", PASSWORD)
    assert await place.check("me@example.org", PASSWORD)
    assert await place.check("you@example.org", PASSWORD)
    assert place.hashed == [PASSWORD, PASSWORD]


async def test_quotas_follow_the_configuration(place: Place) -> None:
    place.configure(DOMAINS + OTHER)
    mine, yours = await place.accounts.account("me"), await place.accounts.account("you")
    assert (mine.quota_bytes, yours.quota_bytes) == (1000, 0)
    place.configure(DOMAINS.replace("[accounts.me]", "[accounts.me]\nquota_message_size = 5"))
    assert mine.quota_bytes == 5
    assert quota_of(place.live.config, "you") == 1000


async def test_settings_do_not_depend_on_who_opens_an_account(place: Place) -> None:
    account = await place.shard.create_account("me")
    assert account.quota_bytes == 1000
    assert await place.accounts.account("me") is account


JUNK = """
rejects_mailbox = "inbox/rejects"
introbox = "New"
[accounts.me.automatic_junk_flags]
enabled = true
junk_mailbox_regexp = "^(junk|spam)"
neutral_mailbox_regexp = "^inbox"
[accounts.me.junk_filter]
threshold = 0.9
twograms = true
"""


async def test_what_is_junk_follows_the_configuration(place: Place) -> None:
    mine = await place.accounts.account("me")
    assert (mine.rules, mine.filter) == (MailboxRules(), None)
    place.configure(DOMAINS.replace("[accounts.me]", "[accounts.me]" + JUNK.partition("[")[0]))
    assert (mine.rules.rejects_mailbox, mine.rules.introbox) == ("Inbox/rejects", "New")
    start, end = DOMAINS.split("[accounts.me.destinations")
    place.configure(f"{start}{JUNK}[accounts.me.destinations{end}")
    assert mine.rules == MailboxRules(
        enabled=True,
        junk=Regexp("^(junk|spam)"),
        neutral=Regexp("^inbox"),
        rejects_mailbox="Inbox/rejects",
        introbox="New",
    )
    assert mine.filter == Parameters(threshold=0.9, twograms=True)
    place.configure(DOMAINS)
    again = await place.accounts.account("me")
    assert (again.rules, again.filter) == (MailboxRules(), None)


@pytest.mark.parametrize(
    "name", ["threshold", "max_power", "top_words", "ignore_words", "rare_words"]
)
def test_every_filter_that_is_configured_can_be_made(name: str) -> None:
    """The ranges of the configuration are within those of the filter."""
    for value in ("0", "0.0", "0.001", "0.4999", "0.5", "1", "1.0", "10", "11", "1000", "1001"):
        text = DOMAINS + f"[accounts.me.junk_filter]\n{name} = {value}\n"
        try:
            config = load(STATIC, text)
        except ConfigInvalid:
            continue
        assert filter_of(config.domains.accounts["me"]) is not None


async def test_removal(place: Place) -> None:
    place.configure(DOMAINS + OTHER)
    await place.accounts.set_password("you", PASSWORD)
    old = await place.accounts.account("you")
    with pytest.raises(Refused, match="still configured"):
        await place.accounts.remove("you")
    place.configure(DOMAINS)
    with pytest.raises(AccountMissing):
        await place.accounts.account("you")
    assert await place.accounts.remove("you")
    assert not await place.accounts.remove("you")
    place.configure(DOMAINS + OTHER)
    new = await place.accounts.account("you")
    assert new.id != old.id
    assert not await place.accounts.has_password("you")


async def test_a_removal_waits_for_deliveries_in_progress(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.configure(DOMAINS + OTHER)
    async with place.accounts.using("you") as account, place.accounts.using("you"):
        place.configure(DOMAINS)
        removal = asyncio.create_task(place.accounts.remove("you"))
        await asyncio.sleep(0.01)
        assert not removal.done()
        target = account.by_name["Inbox"]
        await append(account, target, [NewMessage(content=b"x", received_ms=0)])
    assert await removal
    place.configure(DOMAINS + OTHER)
    async with place.accounts.using("you"):
        place.configure(DOMAINS)
        monkeypatch.setattr(module, "REMOVAL_WAIT_S", 0.01)
        with pytest.raises(Unavailable, match="remove it again"):
            await place.accounts.remove("you")
    assert await place.accounts.remove("you")


async def test_delivery(place: Place, tmp_path: Path) -> None:
    deliverer = StoreDeliverer(place.accounts)
    await deliverer.deliver("me", "New/Box", NewMessage(content=b"x", received_ms=0))
    account = await place.accounts.account("me")
    assert {"New", "New/Box"} <= account.by_name.keys()
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"x")
    file = SpoolFile(path=spooled, size=1, crc=0)
    with pytest.raises(AccountMissing):
        await deliverer.deliver("you", "Inbox", NewMessage(content=file, received_ms=0))
    assert not spooled.exists()  # consumed in every case


def test_a_damaged_secret_is_told() -> None:
    with pytest.raises(DataDamaged, match="the stored password of me is damaged"):
        decode_secrets(b"\xc1", "me")
