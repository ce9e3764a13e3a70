"""Notifications: who gets which, in which form, until it worked."""

from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage, Message

import msgspec
import pytest
from support.queueing import (
    CONTENT,
    LARGE,
    Carrier,
    Mailbox,
    delayed,
    delivered,
    refused,
    stored_contents,
    submission,
)

from mox.base.clock import FrozenClock
from mox.message.dsn import Action, Mta, TypedAddress, parse
from mox.queue import keys
from mox.queue.adding import NewRecipient, add
from mox.queue.database import Database
from mox.queue.entry import Entry, Notice, NoticeKind
from mox.queue.notices import status_of
from mox.queue.scheduler import Scheduler
from mox.queue.verify import verify_queue
from mox.smtp.address import parse_address
from mox.store.engine.base import Family
from mox.store.layout import keys as store_keys

HEADER = CONTENT[: CONTENT.index(b"\r\n\r\n") + 4]


def scheduler(database: Database, carrier: Carrier, returns: Mailbox) -> Scheduler:
    return Scheduler(database, carrier, returns, "mail.example.org", jitter=lambda: 1.0)


async def told(
    database: Database, answer: Callable[..., object], **changes: object
) -> list[tuple[Notice, bytes]]:
    """What the sender gets after one attempt."""
    returns = Mailbox()
    made = scheduler(database, Carrier(answer=answer), returns)  # type: ignore[arg-type]
    await add(database, submission(**changes))
    await made.step()
    await made.idle()
    await made.notices.step()
    return returns.got


def with_parameters(notify: str = "", original_recipient: str = "") -> tuple[NewRecipient, ...]:
    address = parse_address("you@example.net")
    return (NewRecipient(address=address, notify=notify, original_recipient=original_recipient),)


async def test_a_failure(database: Database) -> None:
    recipients = with_parameters(original_recipient="rfc822;You+2Bshop@Example.net")
    [(notice, message)] = await told(
        database,
        refused,
        recipients=recipients,
        envelope_id="QQ314159",
        future_release="for;60",
    )
    assert notice.recipients[0].entry.account == "me"
    read = message_from_bytes(message, policy=policy.default)
    assert isinstance(read, EmailMessage)
    assert read["return-path"] == "<>"
    assert read["delivered-to"] == "me@example.org"
    assert read["from"].addresses[0].addr_spec == "postmaster@mail.example.org"
    assert read["to"].addresses[0].addr_spec == "me@example.org"
    assert read["subject"] == "mail delivery failed"
    assert read["references"] == "<1@example.org>"
    assert read["message-id"].endswith("@mail.example.org>")
    assert read.get_content_type() == "multipart/report"
    parts = list(read.iter_parts())
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    groups = parts[1].get_payload()
    assert isinstance(groups, list)
    assert isinstance(groups[1], Message)
    assert groups[1]["remote-mta"] == "dns; mx.example.net ([192.0.2.1])"
    assert groups[1]["diagnostic-code"] == "smtp; 550 5.1.1 no such user"
    report = parse(message).report
    assert report.reporting == Mta("mail.example.org")
    assert report.envelope_id == "QQ314159"
    assert report.future_release == "for;60"
    [recipient] = report.recipients
    assert recipient.original == TypedAddress("rfc822", "You+shop@Example.net")
    assert recipient.final == TypedAddress("rfc822", "you@example.net")
    assert (recipient.action, recipient.status) == (Action.FAILED, "5.1.1")
    assert recipient.last_attempt_ms == database.clock.now_ms()
    text = parse(message).text
    for wanted in ("you@example.net", "550 5.1.1 no such user", "mx.example.net", "hello"):
        assert wanted in text
    assert all(len(line) <= 76 for line in text.split("\n"))
    await database.contents.idle()
    assert await verify_queue(database) == []


@pytest.mark.rfc("3461 §6.2")
@pytest.mark.parametrize(
    ("ret", "answer", "whole"),
    [("FULL", refused, True), ("HDRS", refused, False), ("", refused, False)],
)
async def test_what_comes_back(
    database: Database, ret: str, answer: Callable[..., object], whole: bool
) -> None:
    [(_, message)] = await told(database, answer, ret=ret)
    assert (CONTENT in message) is whole
    assert parse(message).original_header == HEADER


async def test_a_large_message_does_not_come_back_whole(database: Database) -> None:
    large = HEADER + b"x" * 900 + b"\r\n" + (b"y" * 998 + b"\r\n") * 2000
    [(_, message)] = await told(database, refused, ret="FULL", content=large)
    assert len(message) < 10_000
    assert parse(message).original_header == HEADER


@pytest.mark.rfc("3461 §5.2.2")
@pytest.mark.parametrize(
    ("notify", "passed", "kinds"),
    [
        ("", False, []),
        ("SUCCESS", False, [NoticeKind.RELAYED]),
        ("SUCCESS,FAILURE", True, []),
        ("FAILURE", False, []),
        ("NEVER", False, []),
    ],
)
async def test_success_behind_a_hop_that_will_not_tell(
    database: Database, notify: str, passed: bool, kinds: list[NoticeKind]
) -> None:
    def answer(entry: Entry) -> object:
        return msgspec.structs.replace(delivered(entry), passed_dsn=passed)

    found = await told(database, answer, recipients=with_parameters(notify=notify), ret="FULL")
    assert [notice.kind for notice, _ in found] == kinds
    for _, message in found:
        [recipient] = parse(message).report.recipients
        assert (recipient.action, recipient.status) == (Action.RELAYED, "2.0.0")
        # RFC 3461 §6.2: only the header, where nothing failed.
        assert CONTENT not in message


@pytest.mark.rfc("6533 §4")
async def test_a_utf8_message(database: Database) -> None:
    content = "Subject: grüße\r\n\r\nhé\r\n".encode()
    recipients = (
        NewRecipient(
            address=parse_address("jürgen@xn--bcher-kva.example"),
            original_recipient="utf-8;j\\x{FC}rgen@b\\x{FC}cher.example",
        ),
    )
    [(_, message)] = await told(
        database,
        refused,
        content=content,
        smtputf8=True,
        has_8bit=True,
        subject="grüße",
        sender=parse_address("mé@example.org"),
        recipients=recipients,
    )
    assert b"message/global-delivery-status" in message
    assert "Final-Recipient: utf-8; jürgen@bücher.example\r\n".encode() in message
    assert "To: <mé@example.org>\r\n".encode() in message
    report = parse(message).report
    assert report.recipients[0].original == TypedAddress("utf-8", "jürgen@bücher.example")
    assert parse(message).original_header == "Subject: grüße\r\n\r\n".encode()


async def test_it_is_delivered_until_it_worked(database: Database, clock: FrozenClock) -> None:
    returns = Mailbox(fails=True)
    made = scheduler(database, Carrier(answer=refused), returns)
    await add(database, submission("a@x.example"))
    await made.step()
    await made.idle()
    start = clock.now_ms()
    pauses = []
    for _ in range(9):
        next_ms = await made.notices.step()
        assert next_ms is not None
        pauses.append((next_ms - clock.now_ms()) // 1000)
        clock.advance((next_ms - clock.now_ms()) / 1000)
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    # Others do not wait for it.
    await add(database, submission("b@y.example"))
    await made.step()
    await made.idle()
    returns.fails = False
    assert await made.notices.step() is None
    assert len(returns.got) == 2
    assert start < clock.now_ms()
    await database.contents.idle()
    assert await verify_queue(database) == []


async def test_it_is_given_up_in_the_end(database: Database, clock: FrozenClock) -> None:
    returns = Mailbox(fails=True)
    made = scheduler(database, Carrier(answer=refused), returns)
    await add(database, submission())
    await made.step()
    await made.idle()
    next_ms = await made.notices.step()
    for _ in range(200):
        if next_ms is None:
            break
        clock.advance((next_ms - clock.now_ms()) / 1000)
        next_ms = await made.notices.step()
    assert next_ms is None
    await database.contents.idle()
    assert await verify_queue(database) == []
    assert stored_contents(database.engine) == 0


async def test_a_damaged_notification_is_out_of_the_way(database: Database) -> None:
    edit = database.edit()
    edit.batch.put(Family.KV, keys.notice(1, 900), b"\x01nonsense")
    await database.commit(edit)
    found = await told(database, refused)
    assert len(found) == 1
    assert database.engine.get(Family.KV, keys.notice(1, 900)) is None


@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["small", "large"])
async def test_a_content_that_cannot_be_read(database: Database, content: bytes) -> None:
    """The sender is told all the same."""
    returns = Mailbox()
    made = scheduler(database, Carrier(answer=refused), returns)
    [entry] = await add(database, submission(content=content))
    await made.step()
    await made.idle()
    edit = database.edit()
    edit.batch.delete(Family.KV, keys.content(entry.content))
    edit.batch.delete(Family.LOC, store_keys.file(keys.ACCOUNT, entry.content))
    await database.commit(edit)
    await made.notices.step()
    [(_, message)] = returns.got
    assert parse(message).original_header == b""


async def test_a_delay_is_told_with_the_times_to_come(
    database: Database, clock: FrozenClock
) -> None:
    returns = Mailbox()
    made = scheduler(database, Carrier(answer=delayed), returns)
    await add(database, submission(future_release="until;2026-12-01T00:00:00Z"))
    for _ in range(5):
        await made.step()
        await made.idle()
        next_ms = await made.step()
        assert next_ms is not None
        clock.advance((next_ms - clock.now_ms()) / 1000)
    await made.notices.step()
    [(notice, message)] = returns.got
    assert notice.kind is NoticeKind.DELAYED
    assert parse(message).report.future_release == "until;2026-12-01T00:00:00Z"
    # The message is still there, and its content.
    assert database.counters.queued == 1
    await database.contents.idle()
    assert await verify_queue(database) == []


@pytest.mark.rfc("3464 §2.3.4")
@pytest.mark.parametrize(
    ("kind", "code", "enhanced", "status"),
    [
        (NoticeKind.FAILED, 550, "5.1.1", "5.1.1"),
        (NoticeKind.FAILED, 550, "", "5.0.0"),
        (NoticeKind.FAILED, 450, "", "4.0.0"),
        (NoticeKind.FAILED, 0, "", "5.0.0"),
        (NoticeKind.FAILED, 0, "5.1.10", "5.1.10"),
        (NoticeKind.DELAYED, 0, "", "4.0.0"),
        (NoticeKind.RELAYED, 250, "", "2.0.0"),
        (NoticeKind.FAILED, 999, "", "5.0.0"),
    ],
)
def test_status(kind: NoticeKind, code: int, enhanced: str, status: str) -> None:
    assert status_of(kind, code, enhanced) == status
