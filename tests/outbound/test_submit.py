"""Mail of our users on its way out: what is checked, what is changed, where it goes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mox.base.clock import FrozenClock
from mox.config.domains import Account as AccountConfig
from mox.config.domains import Destination, Domain, DomainsConfig
from mox.config.live import Live, make_config
from mox.config.lookup import Miss, find_recipient
from mox.config.static import Postmaster, StaticConfig
from mox.inbound.deliver import Delivery, Recipient
from mox.inbound.receive import Received
from mox.inbound.trace import Arrival
from mox.mailauth.dkim.sign import SigningKey
from mox.message.header import values_of
from mox.outbound.submit import OneRecipientOnly, Submitted, Submitter
from mox.queue.database import Database, memory_queue
from mox.queue.entry import Entry
from mox.queue.errors import FromIdTaken
from mox.queue.listing import EVERY, Sort, page
from mox.smtp.address import Address
from mox.smtp.params import Notify
from mox.store.account import Account
from mox.store.content import NewMessage, Spool
from mox.store.outgoing import Outgoing, SendLimit
from mox.store.shard import Shard, memory_shard

HEADER = b"From: me@example.org\r\nTo: you@example.net\r\nSubject: hello\r\n\r\n"
BODY = b"hi\r\n"
ME = Address("me", "example.org")
YOU = Address("you", "example.net")
OTHER = Address("other", "example.net")
FRIEND = Address("friend", "example.org")


class House:
    """A submitter, and what it leads to."""

    def __init__(self, shard: Shard, queue: Database, folder: Path, clock: FrozenClock) -> None:
        self.shard, self.queue, self.folder, self.clock = shard, queue, folder, clock
        self.stored: list[tuple[str, NewMessage]] = []
        self.returned: list[tuple[Recipient, Exception]] = []
        self.arrived: list[Recipient] = []
        self.keys: list[SigningKey] = []
        self.fails: Exception | None = None
        self.account = AccountConfig(
            domain="example.org",
            max_outgoing_messages_per_day=4,
            max_first_time_recipients_per_day=3,
            from_id_login_addresses=("ids@example.org",),
            destinations={
                "me@example.org": Destination(),
                "friend@example.org": Destination(),
                "ids@example.org": Destination(),
            },
        )
        static = StaticConfig(
            data_dir="data",
            log_level="info",
            hostname="mx.example.org",
            postmaster=Postmaster(account="me", mailbox="Postmaster"),
            listeners={},
        )
        domains = DomainsConfig(
            domains={"example.org": Domain(localpart_catchall_separator="+")},
            accounts={"me": self.account},
        )
        self.live = Live(make_config(static, domains))
        self.submitter = Submitter(
            live=self.live,
            clock=clock,
            accounts=self,
            outgoing=Outgoing(),
            keys=self,
            queue=queue,
            deliverer=self,
            returned=self,
            spool_folder=folder,
        )

    @asynccontextmanager
    async def using(self, name: str) -> AsyncIterator[Account]:
        yield await self.shard.account(name)

    def of(self, domain: str) -> Sequence[SigningKey]:
        return self.keys

    async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
        if self.fails is not None:
            raise self.fails
        self.stored.append((mailbox, message))

    async def return_failures(
        self, submitted: Submitted, failures: Sequence[tuple[Recipient, Exception]]
    ) -> None:
        self.returned += failures

    async def return_arrivals(self, submitted: Submitted, recipients: Sequence[Recipient]) -> None:
        self.arrived += recipients

    async def submit(
        self,
        *recipients: Address,
        header: bytes = HEADER,
        body: bytes = BODY,
        sender: Address = ME,
        spooled: bool = False,
        notify: frozenset[Notify] = frozenset(),
        **more: Any,
    ) -> list[Exception | None]:
        content: Any = header + body
        if spooled:
            spool = Spool(self.folder, in_memory=0)
            spool.write(content)
            content = spool.finish()
        received = Received(
            content=content,
            size=len(header + body),
            has_8bit=not (header + body).isascii(),
            has_separator=True,
            header=header,
        )
        arrival = Arrival(
            hostname="mx.example.org",
            id="id",
            hello="[192.0.2.1]",
            remote_ip="192.0.2.1",
            local_ip="192.0.2.2",
            extended=True,
            tls="",
            authenticated=True,
            smtputf8=False,
            received_ms=self.clock.now_ms(),
        )
        config = self.live.config
        targets = []
        for one in recipients:
            found = find_recipient(config, one.localpart, one.domain)
            target = None if isinstance(found, Miss) else found
            targets.append(Recipient(address=one, target=target, notify=notify))
        delivery = Delivery(
            arrival=arrival,
            sender=sender,
            recipients=targets,
            received=received,
            added_fields=b"Message-Id: <new@x>\r\n",
            message_id="new@x",
        )
        return await self.submitter.submit(
            Submitted(
                account="me",
                login_address=more.pop("login", "me@example.org"),
                author=ME,
                delivery=delivery,
                **more,
            )
        )

    async def queued(self) -> list[Entry]:
        return (await page(self.queue, EVERY, sort=Sort.QUEUED, limit=100)).entries

    async def content(self, entry: Entry) -> bytes:
        content = self.queue.contents.open(entry.content, entry.size)
        return b"".join([piece async for piece in content.pieces()])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = FrozenClock()
    (tmp_path / "queue").mkdir()
    shard = memory_shard(tmp_path, lambda content: {}, clock=clock)
    queue = memory_queue(tmp_path / "queue", clock=clock)
    await shard.create_account("me")
    yield House(shard, queue, tmp_path, clock)
    await queue.close()
    await shard.close()
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("spooled", [False, True], ids=["memory", "file"])
async def test_to_somebody_elsewhere(house: House, spooled: bool) -> None:
    assert await house.submit(YOU, spooled=spooled) == [None]
    (entry,) = await house.queued()
    assert (entry.sender, entry.recipient, entry.account) == (ME, YOU, "me")
    assert (entry.subject, entry.message_id, entry.smtputf8) == ("hello", "new@x", False)
    content = await house.content(entry)
    assert content.startswith(b"Received: from mx.example.org")
    assert b"for <you@example.net>" in content.replace(b"\r\n\t", b" ")
    assert content.endswith(HEADER + BODY)
    assert b"\r\nMessage-Id: <new@x>\r\n" in content
    assert b"auth=pass" in content
    assert entry.size == len(content)
    assert house.stored == []


async def test_to_several_everywhere(house: House) -> None:
    assert await house.submit(YOU, FRIEND, OTHER) == [None] * 3
    first, second = await house.queued()
    assert (first.recipient, second.recipient) == (YOU, OTHER)
    assert first.base_id == second.base_id != 0
    content = await house.content(first)
    # The same bytes for all: nobody of them is named.
    assert b"for <" not in content[: -len(HEADER + BODY)]
    ((mailbox, message),) = house.stored
    assert mailbox == "Inbox"
    assert b"Delivered-To: friend@example.org" in message.prefix


@pytest.mark.rfc("6409 §8.1")
async def test_signed_also_for_our_own(house: House) -> None:
    house.keys = [
        SigningKey(domain="example.org", selector=name, private=Ed25519PrivateKey.generate())
        for name in ("one", "two")
    ]
    await house.submit(YOU, FRIEND)
    (entry,) = await house.queued()
    (signed, _) = values_of(await house.content(entry), [b"dkim-signature"])[b"dkim-signature"]
    assert b"s=one" in signed
    ((_, message),) = house.stored
    assert message.prefix.count(b"DKIM-Signature:") == 2


async def test_what_cannot_be_signed_leaves_unsigned(house: House) -> None:
    house.keys = [
        SigningKey(
            domain="example.org", selector="x", private=Ed25519PrivateKey.generate(), names=()
        )
    ]
    assert await house.submit(YOU) == [None]
    (entry,) = await house.queued()
    assert b"DKIM-Signature" not in await house.content(entry)


@pytest.mark.rfc("5322 §3.6.3")
@pytest.mark.parametrize("spooled", [False, True], ids=["memory", "file"])
async def test_blind_copies_stay_blind(house: House, spooled: bool) -> None:
    header = HEADER.replace(b"Subject", b"Bcc: secret@x,\r\n more@y\r\nResent-Bcc: z@z\r\nSubject")
    await house.submit(YOU, FRIEND, header=header, spooled=spooled)
    (entry,) = await house.queued()
    content = await house.content(entry)
    assert content.endswith(HEADER + BODY)
    assert b"secret" not in content


async def test_a_failure_of_ours_alone_is_told_at_once(house: House) -> None:
    house.fails = ValueError("no room")
    assert await house.submit(FRIEND) == [house.fails]
    assert house.returned == []


@pytest.mark.rfc("4865 §4")
async def test_what_is_held_is_held_for_recipients_of_ours_as_well(house: House) -> None:
    release_ms = house.clock.now_ms() + 60_000
    assert await house.submit(YOU, FRIEND, release_ms=release_ms) == [None, None]
    assert house.stored == []
    entries = await house.queued()
    assert {entry.recipient for entry in entries} == {YOU, FRIEND}
    assert {entry.next_ms for entry in entries} == {release_ms}


@pytest.mark.rfc("3461 §5.2.3")
async def test_a_sender_who_asked_hears_of_success(house: House) -> None:
    assert await house.submit(FRIEND) == [None]
    assert house.arrived == []
    assert await house.submit(FRIEND, notify=frozenset({Notify.SUCCESS})) == [None]
    ((recipient),) = house.arrived
    assert recipient.address == FRIEND


@pytest.mark.rfc("3461 §4.1")
async def test_a_sender_who_does_not_want_to_hear_of_failures(house: House) -> None:
    house.fails = ValueError("no room")
    assert await house.submit(YOU, FRIEND, notify=frozenset({Notify.NEVER})) == [None, None]
    assert house.returned == []
    assert house.arrived == []


async def test_a_failure_of_ours_beside_others_is_returned(house: House) -> None:
    house.fails = ValueError("no room")
    assert await house.submit(FRIEND, YOU) == [None, None]
    ((recipient, error),) = house.returned
    assert (recipient.address, error) == (FRIEND, house.fails)
    assert len(await house.queued()) == 1


async def test_limits(house: House) -> None:
    with pytest.raises(SendLimit, match="3 new recipients"):
        await house.submit(*(Address(f"r{n}", "example.net") for n in range(4)))
    await house.submit(YOU, OTHER)
    await house.submit(YOU, OTHER)
    with pytest.raises(SendLimit, match="at most 4 recipients"):
        await house.submit(YOU)
    assert len(await house.queued()) == 4


@pytest.mark.parametrize(
    ("header", "body", "to", "expected"),
    [
        (HEADER, BODY, YOU, False),
        (HEADER, "ü\r\n".encode(), YOU, False),
        (HEADER.replace(b"hello", "hü".encode()), BODY, YOU, True),
        (HEADER, BODY, Address("ü", "example.net"), True),
        (
            HEADER[:-2] + b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n',
            '--x\r\nContent-Disposition: attachment; filename="ü"\r\n\r\nhi\r\n--x--\r\n'.encode(),
            YOU,
            True,
        ),
    ],
    ids=["plain", "body", "header", "recipient", "part"],
)
async def test_smtputf8_where_it_is_needed(
    house: House, header: bytes, body: bytes, to: Address, expected: bool
) -> None:
    await house.submit(to, header=header, body=body)
    (entry,) = await house.queued()
    assert entry.smtputf8 is expected
    assert entry.has_8bit is not (header + body).isascii()


async def test_a_sender_of_its_own_for_each_recipient(house: House) -> None:
    await house.submit(YOU, OTHER, login="ids@example.org")
    first, second = await house.queued()
    assert first.from_id != second.from_id
    assert first.sender == Address(f"me+{first.from_id}", "example.org")
    assert len(first.from_id) == 22
    assert first.base_id == 0


async def test_a_given_unique_sender(house: House) -> None:
    own = Address("me+abc", "example.org")
    await house.submit(YOU, sender=own, login="ids@example.org")
    (entry,) = await house.queued()
    assert (entry.from_id, entry.sender) == ("abc", own)
    with pytest.raises(FromIdTaken):
        await house.submit(YOU, sender=own, login="ids@example.org")
    with pytest.raises(OneRecipientOnly):
        await house.submit(
            YOU, OTHER, sender=Address("me+d", "example.org"), login="ids@example.org"
        )


async def test_what_is_asked_of_those_who_carry_it(house: House) -> None:
    await house.submit(
        YOU,
        require_tls=True,
        release_ms=house.clock.now_ms() + 60_000,
        future_release="for;60",
        ret="HDRS",
        envelope_id="x",
    )
    (entry,) = await house.queued()
    assert entry.require_tls is True
    assert entry.next_ms == house.clock.now_ms() + 60_000
    assert (entry.future_release, entry.ret, entry.envelope_id) == ("for;60", "HDRS", "x")
