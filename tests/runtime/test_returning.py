"""Notifications: who gets them, in which mailbox, and what they say."""

import email
from collections.abc import AsyncIterator
from email.message import Message
from pathlib import Path

import pytest

from mox.base import flags
from mox.base.clock import FrozenClock
from mox.config.domains import Account, Domain, DomainsConfig
from mox.config.live import Live, make_config
from mox.config.static import Postmaster, StaticConfig
from mox.inbound.deliver import Delivery, Recipient
from mox.inbound.hooks import Arrived, Bounce, Undelivered
from mox.inbound.receive import Received
from mox.inbound.trace import Arrival
from mox.outbound.signer import NoKeys
from mox.outbound.submit import Submitted
from mox.queue.database import Database, memory_queue
from mox.queue.entry import Attempt, Entry, Notice, NoticeKind, NoticeRecipient
from mox.queue.listing import EVERY, page
from mox.runtime.returning import Returning
from mox.smtp.address import Address
from mox.smtp.reply import reply
from mox.store.content import NewMessage
from mox.store.errors import QuotaExceeded


class House:
    def __init__(self, queue: Database, clock: FrozenClock) -> None:
        self.stored: list[tuple[str, str, NewMessage]] = []
        static = StaticConfig(
            data_dir="data",
            log_level="info",
            hostname="mx.example.org",
            postmaster=Postmaster(account="boss", mailbox="Postmaster"),
            listeners={},
        )
        accounts = {name: Account(domain="example.org") for name in ("me", "boss")}
        domains = DomainsConfig(domains={"example.org": Domain()}, accounts=accounts)
        live = Live(make_config(static, domains))
        self.queue = queue
        self.returning = Returning(live, clock, self, queue, NoKeys())

    async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
        self.stored.append((account, mailbox, message))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = FrozenClock()
    queue = memory_queue(tmp_path, clock=clock)
    yield House(queue, clock)
    await queue.close()


def notice(account: str, *, dmarc: bool = False) -> Notice:
    entry = Entry(
        id=1,
        content=1,
        size=1,
        queued_ms=0,
        account=account,
        sender_localpart="me",
        sender_domain="example.org",
        recipient_localpart="you",
        recipient_domain="example.net",
        next_ms=0,
        is_dmarc_report=dmarc,
    )
    one = NoticeRecipient(entry=entry, attempt=Attempt(number=1, start_ms=0))
    return Notice(id=1, kind=NoticeKind.FAILED, created_ms=0, due_ms=0, recipients=(one,))


@pytest.mark.parametrize(
    ("account", "dmarc", "expected"),
    [
        ("me", False, ("me", "Inbox", 0)),
        ("gone", False, ("boss", "Postmaster", 0)),
        ("boss", True, ("boss", "Postmaster/dmarc", flags.SEEN)),
    ],
)
async def test_where_notifications_go(
    house: House, account: str, dmarc: bool, expected: tuple[str, str, int]
) -> None:
    await house.returning.deliver(notice(account, dmarc=dmarc), b"Subject: x\r\n\r\n")
    ((to, mailbox, message),) = house.stored
    assert (to, mailbox, message.flags) == expected


def parts(content: bytes) -> tuple[Message, str, str]:
    """The message, its text, its report."""
    message = email.message_from_bytes(content)
    text, report = message.get_payload(0), message.get_payload(1)
    assert isinstance(text, Message)
    assert isinstance(report, Message)
    groups = report.get_payload()
    assert isinstance(groups, list)
    return message, str(text.get_payload()), "\n".join(str(group) for group in groups)


async def test_local_recipients_who_did_not_get_it(house: House) -> None:
    header = b"From: me@example.org\r\nSubject: hello\r\n\r\n"
    received = Received(
        content=header, size=len(header), has_8bit=False, has_separator=True, header=header
    )
    arrival = Arrival(
        hostname="mx.example.org",
        id="id",
        hello="x",
        remote_ip="192.0.2.1",
        local_ip="192.0.2.2",
        extended=True,
        tls="",
        authenticated=True,
        smtputf8=False,
        received_ms=0,
    )
    lost = Recipient(address=Address("full", "example.org"), target=None, orcpt="rfc822;f@x")
    submitted = Submitted(
        account="me",
        login_address="me@example.org",
        author=Address("me", "example.org"),
        delivery=Delivery(
            arrival=arrival,
            sender=Address("me", "example.org"),
            recipients=[lost],
            received=received,
            message_id="a@b",
        ),
        envelope_id="x",
    )
    await house.returning.return_failures(submitted, [(lost, QuotaExceeded())])
    ((account, mailbox, stored),) = house.stored
    assert (account, mailbox) == ("me", "Inbox")
    assert isinstance(stored.content, bytes)
    assert stored.content.startswith(b"Return-Path: <>\r\nDelivered-To: me@example.org\r\n")
    message, text, report = parts(stored.content)
    assert message["From"] == "<postmaster@mx.example.org>"
    assert message["References"] == "<a@b>"
    assert "full@example.org" in text
    assert "Final-Recipient: rfc822; full@example.org" in report
    assert "Original-Recipient: rfc822; f@x" in report
    assert "Original-Envelope-ID: x" in report.title() or "x" in report


async def test_a_bounce_to_a_stranger_goes_through_the_queue(house: House) -> None:
    await house.returning.bounce(
        Bounce(
            sender=Address("them", "example.net"),
            failed=[
                Undelivered(
                    address=Address("gone", "example.org"),
                    reply=reply(550, "5.1.1", "no such user"),
                )
            ],
            header=b"Subject: hello\r\nMessage-Id: <a@b>\r\n\r\n",
            message_id="a@b",
            smtputf8=False,
            require_tls=True,
            envid="",
            hostname="mx.example.org",
            remote_name="client.example",
        )
    )
    assert house.stored == []
    (entry,) = (await page(house.queue, EVERY, limit=10)).entries
    assert entry.sender.is_null
    assert (str(entry.recipient), entry.account) == ("them@example.net", "boss")
    assert entry.require_tls is True
    content = house.queue.contents.open(entry.content, entry.size)
    message, text, report = parts(b"".join([piece async for piece in content.pieces()]))
    assert message["From"] == "<postmaster@example.org>"
    assert message["To"] == "<them@example.net>"
    assert "gone@example.org" in text
    assert "Status: 5.1.1" in report
    assert "Diagnostic-Code: smtp; 550 5.1.1 no such user" in report


@pytest.mark.rfc("3461 §5.2.3; §5.2.7.2")
async def test_success_is_told(house: House) -> None:
    await house.returning.bounce(
        Bounce(
            sender=Address("them", "example.net"),
            arrived=[
                Arrived(address=Address("me", "example.org"), orcpt="rfc822;you+2Bx@y"),
                Arrived(address=Address("team", "example.org"), is_alias=True),
            ],
            header=b"Subject: hello\r\n\r\n",
            message_id="a@b",
            smtputf8=False,
            require_tls=None,
            envid="QQ+2B1",
            hostname="mx.example.org",
            remote_name="client.example",
        )
    )
    (entry,) = (await page(house.queue, EVERY, limit=10)).entries
    content = house.queue.contents.open(entry.content, entry.size)
    message, text, report = parts(b"".join([piece async for piece in content.pieces()]))
    assert message["Subject"] == "mail delivered"
    assert "not to these" not in text
    assert "  me@example.org\r\n" in text
    assert "Action: delivered" in report
    assert "Action: expanded" in report
    assert "Status: 2.0.0" in report
    assert "Original-Recipient: rfc822; you+x@y" in report
    assert "Original-Envelope-Id: QQ+1" in report
