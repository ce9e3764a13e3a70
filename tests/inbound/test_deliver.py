import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest

from mox.config.domains import Destination
from mox.config.live import Target
from mox.inbound.deliver import AT_ONCE, Delivery, Recipient, deliver, prefix_for
from mox.inbound.receive import Received
from mox.inbound.trace import Arrival
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


async def test_nothing_is_stored_when_the_copies_cannot_be_made(
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
    with pytest.raises(OSError, match="full"):
        await deliver(store, delivery(spooled(tmp_path), recipient("a"), recipient("b")))
    assert store.got == {}
    assert list(tmp_path.iterdir()) == []


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
