import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest

from mox.config.domains import Alias, Destination
from mox.config.filtering import Ruleset
from mox.config.live import AliasTarget, Target
from mox.inbound.deliver import AT_ONCE, Delivery, Recipient, deliver, prefix_for
from mox.inbound.posting import NotAllowed
from mox.inbound.receive import Received
from mox.inbound.trace import Arrival
from mox.junk.reputation import Sender
from mox.smtp.address import NULL_PATH, Address
from mox.store.blobs.base import SpoolFile
from mox.store.content import NewMessage
from mox.store.errors import QuotaExceeded

ARRIVAL = Arrival(
    hostname="mail.example.org",
    id="id1",
    hello="client.example",
    remote_ip="192.0.2.7",
    local_ip="192.0.2.1",
    extended=True,
    tls="",
    authenticated=False,
    smtputf8=False,
    received_ms=1_700_000_000_000,
)


def recipient(name: str, mailbox: str = "") -> Recipient:
    address = f"{name}@example.org"
    target = Target(account=name, address=address, destination=Destination(mailbox=mailbox))
    return Recipient(address=Address(name, "example.org"), target=target)


def delivery(content: bytes | SpoolFile, *recipients: Recipient) -> Delivery:
    received = Received(content=content, size=5, has_8bit=False, has_separator=True, header=b"\r\n")
    return Delivery(
        arrival=ARRIVAL,
        sender=Address("s", "remote.example"),
        recipients=recipients,
        received=received,
    )


class Store:
    """Remembers; consumes spooled content as the real one does."""

    def __init__(self) -> None:
        self.got: dict[str, bytes] = {}
        self.mailboxes: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.now = 0
        self.most = 0

    async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        content = message.content
        if isinstance(content, SpoolFile):
            raw = content.path.read_bytes()
            content.path.unlink()
        else:
            raw = content
        if account in self.fails:
            raise self.fails[account]
        self.got[account] = raw
        self.mailboxes.append(mailbox)


def spooled(folder: Path) -> SpoolFile:
    path = folder / "spool-1"
    path.write_bytes(b"\r\nabc")
    return SpoolFile(path=path, size=5, crc=0)


async def test_each_failure_is_that_of_its_recipient(tmp_path: Path) -> None:
    store = Store()
    store.fails["b"] = QuotaExceeded()
    everybody = [recipient(name) for name in "abc"]
    for content in (b"\r\nabc", spooled(tmp_path)):
        failures = await deliver(store, delivery(content, *everybody))
        assert [type(failure) for failure in failures] == [type(None), QuotaExceeded, type(None)]
        assert store.got == {"a": b"\r\nabc", "c": b"\r\nabc"}
        store.got.clear()
    assert list(tmp_path.iterdir()) == []


async def test_few_copies_are_stored_at_one_time(tmp_path: Path) -> None:
    store = Store()
    everybody = [recipient(f"u{number}") for number in range(50)]
    assert await deliver(store, delivery(spooled(tmp_path), *everybody)) == [None] * 50
    assert len(store.got) == 50
    assert 1 < store.most <= AT_ONCE
    assert list(tmp_path.iterdir()) == []


async def test_nothing_is_left_when_it_is_cancelled(tmp_path: Path) -> None:
    class Stuck(Store):
        async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                assert isinstance(message.content, SpoolFile)
                message.content.path.unlink(missing_ok=True)

    everybody = [recipient(name) for name in "abc"]
    task = asyncio.create_task(deliver(Stuck(), delivery(spooled(tmp_path), *everybody)))
    await asyncio.sleep(0.05)
    assert len(list(tmp_path.iterdir())) == 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []


async def test_a_copy_that_cannot_be_made_is_a_failure_of_its_recipient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link
    made: list[object] = []

    def link(source: Path, target: Path) -> None:
        if made:
            raise OSError(errno.ENOSPC, "full")
        made.append(target)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    store = Store()
    failures = await deliver(store, delivery(spooled(tmp_path), recipient("a"), recipient("b")))
    assert sorted(type(failure).__name__ for failure in failures) == ["NoneType", "OSError"]
    assert len(store.got) == 1
    assert list(tmp_path.iterdir()) == []


RULES = (
    Ruleset(mailbox="Lists/A", headers_regexp={"^list-id$": "<a>"}),
    Ruleset(mailbox="Ours", verified_domain="remote.example"),
    Ruleset(mailbox="Outside", smtp_mail_from_regexp="@remote"),
)


@pytest.mark.parametrize(
    ("header", "authenticated", "mailbox"),
    [
        (b"From: u@remote.example\r\nList-Id: <A>\r\n\r\n", False, "Lists/A"),
        (b"From: u@remote.example\r\n\r\n", True, "Ours"),  # who logged in is who they say
        (b"From: u@remote.example\r\n\r\n", False, "Outside"),
    ],
)
async def test_rulesets_without_judgement(header: bytes, authenticated: bool, mailbox: str) -> None:
    target = Target(account="a", address="a@example.org", destination=Destination(rulesets=RULES))
    to = Recipient(address=Address("a", "example.org"), target=target)
    plain = delivery(header, to)
    one = msgspec.structs.replace(
        plain,
        arrival=msgspec.structs.replace(ARRIVAL, authenticated=authenticated),
        received=msgspec.structs.replace(plain.received, header=header),
    )
    store = Store()
    assert await deliver(store, one) == [None]
    assert store.mailboxes == [mailbox]


def alias(*names: str, post_public: bool = False) -> Recipient:
    members = tuple(
        Target(account=name, address=f"{name}@example.org", destination=Destination())
        for name in names
    )
    target = AliasTarget(
        address="all@example.org",
        alias=Alias(addresses=tuple(one.address for one in members), post_public=post_public),
        members=members,
    )
    return Recipient(address=Address("all", "example.org"), target=target)


def from_(author: str, *recipients: Recipient) -> Delivery:
    header = f"From: {author}\r\n\r\n".encode()
    plain = delivery(header + b"abc", *recipients)
    return msgspec.structs.replace(
        plain, received=msgspec.structs.replace(plain.received, header=header)
    )


async def test_members_of_an_alias_get_one_copy_each() -> None:
    store = Store()
    assert await deliver(store, from_("a@example.org", alias(*"abc"), recipient("c"))) == [
        None,
        None,
    ]
    assert sorted(store.got) == ["b", "c"]
    assert len(store.mailboxes) == 2


async def test_only_members_may_send_to_an_alias() -> None:
    store = Store()
    (failure,) = await deliver(store, from_("x@remote.example", alias(*"ab")))
    assert isinstance(failure, NotAllowed)
    assert store.got == {}
    public = alias(*"ab", post_public=True)
    assert await deliver(store, from_("x@remote.example", public)) == [None]
    assert sorted(store.got) == ["a", "b"]


async def test_one_member_with_a_copy_is_enough() -> None:
    store = Store()
    store.fails["b"] = QuotaExceeded()
    assert await deliver(store, from_("a@example.org", alias(*"abc"))) == [None]
    store.fails["c"] = QuotaExceeded()
    (failure,) = await deliver(store, from_("a@example.org", alias(*"abc")))
    assert isinstance(failure, QuotaExceeded)


def test_a_user_is_known_by_what_they_send() -> None:
    """So that what others think of it counts when somebody forges it."""
    sent: list[NewMessage] = []

    class Keeps(Store):
        async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
            sent.append(message)

    one = from_("Me <me@sub.example.co.uk>", recipient("a"))
    arrival = msgspec.structs.replace(ARRIVAL, authenticated=True)
    asyncio.run(deliver(Keeps(), msgspec.structs.replace(one, arrival=arrival)))
    asyncio.run(deliver(Keeps(), one))
    mine, other = (message.facts.sender for message in sent)
    assert (mine.from_localpart, mine.from_domain) == ("me", "sub.example.co.uk")
    assert (mine.from_org_domain, mine.from_validated) == ("example.co.uk", True)
    assert mine.ip1 == ""
    assert other == Sender()


async def test_copies_for_one_account_come_in_the_order_of_recipients() -> None:
    store = Store()
    everybody = [recipient("a", f"box{number}") for number in range(5)]
    await deliver(store, delivery(b"\r\n", *everybody))
    assert store.mailboxes == [f"box{number}" for number in range(5)]


async def test_the_mailbox_of_the_destination() -> None:
    store = Store()
    await deliver(store, delivery(b"\r\n", recipient("a"), recipient("b", "Lists/x")))
    assert sorted(store.mailboxes) == ["Inbox", "Lists/x"]


@pytest.mark.rfc("3848")
@pytest.mark.parametrize(
    ("changes", "keyword"),
    [
        ({}, "ESMTP"),
        ({"tls": "TLS1.3 X"}, "ESMTPS"),
        ({"authenticated": True}, "ESMTPA"),
        ({"tls": "TLS1.3 X", "authenticated": True}, "ESMTPSA"),
        ({"smtputf8": True}, "UTF8SMTP"),
        ({"smtputf8": True, "tls": "TLS1.3 X", "authenticated": True}, "UTF8SMTPSA"),
        ({"extended": False}, "SMTP"),
        ({"extended": False, "tls": "TLS1.3 X"}, "SMTP"),
    ],
)
def test_with_which_protocol(changes: dict[str, object], keyword: str) -> None:
    arrival = msgspec.structs.replace(ARRIVAL, **changes)
    assert arrival.protocol == keyword
    one = msgspec.structs.replace(delivery(b"", recipient("a")), arrival=arrival)
    prefix = prefix_for(one, recipient("a")).replace(b"\r\n\t", b" ")
    assert f" via tcp with {keyword} id id1".encode() in prefix


@pytest.mark.rfc("6532 §3.2")
def test_names_in_unicode_only_in_messages_that_may_have_it() -> None:
    to = Recipient(address=Address("a", "xn--bcher-kva.example"), target=None)
    plain = delivery(b"", to)
    assert b"Delivered-To: a@xn--bcher-kva.example\r\n" in prefix_for(plain, to)
    arrival = msgspec.structs.replace(ARRIVAL, smtputf8=True)
    utf8 = msgspec.structs.replace(plain, arrival=arrival, sender=NULL_PATH)
    prefix = prefix_for(utf8, to)
    assert "Delivered-To: a@bücher.example\r\nReturn-Path: <>\r\n".encode() in prefix
    assert "for <a@bücher.example>;".encode() in prefix
    host = "xn--bcher-kva.example"
    arrival = msgspec.structs.replace(arrival, hello=host, hostname=host)
    both = prefix_for(msgspec.structs.replace(utf8, arrival=arrival), to).replace(b"\r\n\t", b" ")
    assert "from bücher.example ([192.0.2.7]) (xn--bcher-kva.example)".encode() in both
    assert "by bücher.example ([192.0.2.1]) (xn--bcher-kva.example)".encode() in both
    arrival = msgspec.structs.replace(arrival, smtputf8=False)
    plain_names = prefix_for(msgspec.structs.replace(utf8, arrival=arrival), to)
    assert b"from xn--bcher-kva.example ([192.0.2.7]) by xn--bcher" in plain_names.replace(
        b"\r\n\t", b" "
    )
