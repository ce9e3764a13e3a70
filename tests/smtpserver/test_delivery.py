"""Mail from other servers: from EHLO to the mailbox."""

import errno

import pytest
from support.smtpsession import Client, House

from mox.store.errors import DiskFull, QuotaExceeded, StoreStopped


@pytest.mark.rfc("5321 §4.4")
async def test_a_message_is_stored_with_its_trace(house: House, client: Client) -> None:
    await client.mail()
    await client.data(b"Subject: hi\r\n\r\n..dot\r\nbody\r\n")
    account, mailbox, message = house.store.messages[0]
    assert (account, mailbox) == ("mox", "Inbox")
    assert message.prefix == (
        b"Delivered-To: mox@example.org\r\n"
        b"Return-Path: <sender@remote.example>\r\n"
        b"Received: from client.example ([192.0.2.7]) by mail.example.org\r\n"
        b"\t([192.0.2.1]) via tcp with ESMTP id id1 for <mox@example.org>;\r\n"
        b"\t14 Nov 2023 22:13:20 +0000\r\n"
    )
    assert message.content == b"Subject: hi\r\n\r\n.dot\r\nbody\r\n"
    assert message.received_ms == house.clock.now_ms()
    assert message.facts.prefix_length == len(message.prefix)
    assert message.facts.mail_from == "sender@remote.example"
    assert message.facts.rcpt_to == "mox@example.org"
    assert message.facts.helo == "client.example"
    assert message.facts.remote_ip == "192.0.2.7"


async def test_every_recipient_gets_a_copy_without_the_others_names(
    house: House, client: Client
) -> None:
    await client.mail("mox@example.org", "lists@example.org", "other@example.org")
    await client.data(b"\r\n")
    found = {(account, mailbox): message for account, mailbox, message in house.store.messages}
    assert set(found) == {("mox", "Inbox"), ("mox", "Lists"), ("other", "Inbox")}
    prefix = found["mox", "Lists"].prefix
    assert b"Delivered-To: lists@example.org\r\n" in prefix
    assert b"other@" not in prefix
    assert b" for " not in prefix


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ('"a b"@localhost', '"a b"@localhost'),
        ('""@localhost', '""@localhost'),
        ('"mox"@localhost', "mox@localhost"),
        ("MOX+tag@EXAMPLE.org", "MOX+tag@example.org"),
    ],
)
async def test_unusual_local_parts_arrive(
    house: House, client: Client, recipient: str, shown: str
) -> None:
    await client.mail(recipient, sender=recipient)
    await client.data(b"Subject: x\r\n\r\n")
    account, _, message = house.store.messages[0]
    assert account == "mox"
    assert f"Delivered-To: {shown}\r\nReturn-Path: <{shown}>\r\n".encode() in message.prefix
    assert f"for <{shown}>;".encode() in message.prefix.replace(b"\r\n\t", b" ")
    assert message.facts.rcpt_to == message.facts.mail_from == shown


async def test_composed_and_decomposed_letters_are_one_address(house: House) -> None:
    client = await house.connect()
    await client.say("EHLO client.example", 250)
    for recipient in ("mo\u0301x@example.org", "OMEGA-\u2126@example.org"):
        await client.say("MAIL FROM:<> SMTPUTF8", 250, "2.1.0")
        await client.say(f"RCPT TO:<{recipient}>", 250, "2.1.0")
        await client.data(b"\r\n")
    assert len(house.store.messages) == 2
    message = house.store.messages[0][2]
    assert "Delivered-To: m\u00f3x@example.org\r\n".encode() in message.prefix
    assert b"with UTF8SMTP id" in message.prefix
    # A look-alike is somebody else, and is told so after the message.
    await client.say("MAIL FROM:<> SMTPUTF8", 250, "2.1.0")
    await client.say("RCPT TO:<m\u043ex@example.org>", 250, "2.1.0")
    await client.data(b"\r\n", 550, "5.1.1")


async def test_after_helo_it_was_smtp(house: House) -> None:
    client = await house.connect(ip="2001:db8::7")
    await client.say("HELO client.example", 250)
    await client.mail()
    await client.data(b"\r\n")
    prefix = house.store.messages[0][2].prefix
    assert b"from client.example ([IPv6:2001:db8::7])" in prefix
    assert b"with SMTP id" in prefix


@pytest.mark.parametrize(
    ("raw", "separator"),
    [
        (b"Subject: x\r\n\r\nbody\r\n", False),
        (b"\r\nbody\r\n", False),
        (b"Subject: x\r\nTo: y\r\n z\r\n", False),  # a message may end with its header
        (b"just text\r\n", True),
        (b"Subject: x\r\njust text\r\n", True),
        (b"", True),
    ],
)
async def test_text_is_never_taken_for_header_fields(
    house: House, client: Client, raw: bytes, separator: bool
) -> None:
    await client.mail()
    await client.data(raw)
    message = house.store.messages[0][2]
    assert message.content == raw
    assert message.prefix.endswith(b"+0000\r\n\r\n") is separator


async def test_bare_line_feeds_become_line_ends(house: House, client: Client) -> None:
    await client.mail()
    await client.data(b"Subject: x\n\nbody\nmore\r\n")
    assert house.store.messages[0][2].content == b"Subject: x\r\n\r\nbody\r\nmore\r\n"


@pytest.mark.rfc("5321 §2.3.8")
@pytest.mark.parametrize("trick", [b"\r\n.\n", b"\n.\n", b"\r.\r", b"\n.\r\n", b"a\rb\r\n"])
async def test_smuggled_commands_are_message_data(
    house: House, client: Client, trick: bytes
) -> None:
    await client.mail()
    smuggled = b"MAIL FROM:<evil@x>\r\nRCPT TO:<other@example.org>\r\nDATA\r\nx\r\n"
    reply = await client.data(b"Subject: x\r\n\r\ntext" + trick + smuggled, 500, "5.5.2")
    assert "smuggling" in reply.text
    assert house.store.messages == []
    await client.say("NOOP", 250, "2.0.0")
    assert await client.line() is None


@pytest.mark.rfc("1870 §6.3")
async def test_a_message_over_the_limit_is_read_to_its_end_and_refused(house: House) -> None:
    client = await house.connect(max_size=1000)
    await client.say("EHLO client.example", 250)
    await client.mail()
    await client.data(b"x" * 998 + b"\r\n")
    await client.mail()
    await client.data(b"x" * 999 + b"\r\n" + b"y" * 5000 + b"\r\n", 552, "5.2.3")
    await client.say("RCPT TO:<mox@example.org>", 503, "5.5.1")
    assert len(house.store.messages) == 1


async def test_a_large_message_goes_through_a_file(house: House, client: Client) -> None:
    line = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
    raw = b"Subject: x\r\n\r\n" + line * 40_000
    await client.mail("mox@example.org", "other@example.org")
    await client.say("DATA", 354)
    sizes = set()
    for start in range(0, len(raw), 100_000):
        await client.send(raw[start : start + 100_000])
        await client.settle()
        sizes.add(sum(path.stat().st_size for path in house.spool_folder.iterdir()))
    await client.say(b".", 250, "2.2.0")
    assert max(sizes) > 1_000_000
    assert {account for account, _, _ in house.store.messages} == {"mox", "other"}
    assert all(message.content == raw for _, _, message in house.store.messages)
    assert list(house.spool_folder.iterdir()) == []


@pytest.mark.rfc("5321 §6.3")
async def test_a_loop_is_detected(house: House, client: Client) -> None:
    await client.mail()
    await client.data(b"Received: from x by y; date\r\n" * 100 + b"\r\n")
    await client.mail()
    await client.data(b"received : from x by y; date\r\n" * 101 + b"\r\n", 550, "5.4.6")
    await client.mail()
    await client.data(b"Subject: x\r\n\r\n" + b"Received: quoted\r\n" * 101)


@pytest.mark.parametrize(
    ("failure", "code", "enhanced"),
    [
        (QuotaExceeded(), 452, "4.2.2"),
        (DiskFull(), 452, "4.3.1"),
        (StoreStopped(), 451, "4.3.0"),
        (OSError(errno.ENOSPC, "full"), 452, "4.3.1"),
        (OSError(errno.EIO, "bad"), 451, "4.3.0"),
    ],
)
async def test_what_the_store_refuses(
    house: House, client: Client, failure: Exception, code: int, enhanced: str
) -> None:
    house.store.failures["mox"] = failure
    await client.mail()
    reply = await client.data(b"Subject: x\r\n\r\n" + b"y" * 2_000_000 + b"\r\n", code, enhanced)
    assert reply.text.endswith(" (id1)")
    assert list(house.spool_folder.iterdir()) == []
    await client.mail("other@example.org")
    await client.data(b"\r\n")


async def test_a_failure_for_some_is_told(house: House, client: Client) -> None:
    house.store.failures["mox"] = QuotaExceeded()
    await client.mail("mox@example.org", "other@example.org")
    await client.data(b"\r\n", 452, "4.2.2")
    assert [account for account, _, _ in house.store.messages] == ["other"]


async def test_a_spool_that_cannot_be_written(house: House, client: Client) -> None:
    broken = await house.connect(spool_folder=house.spool_folder / "missing")
    await broken.say("EHLO client.example", 250)
    await broken.mail()
    await broken.data(b"x" * 2_000_000 + b"\r\n", 451, "4.3.0")
    await broken.say("NOOP", 250, "2.0.0")


async def test_nothing_is_stored_of_a_message_without_its_end(house: House, client: Client) -> None:
    await client.mail()
    await client.say("DATA", 354)
    await client.send(b"Subject: x\r\n\r\n" + b"y" * 2_000_000)
    await client.settle()
    assert len(list(house.spool_folder.iterdir())) == 1
    client.wire.hang_up()
    await client.expect_end()
    assert list(house.spool_folder.iterdir()) == []
    assert house.store.messages == []


@pytest.mark.rfc("5321 §4.5.3.1.8")
async def test_the_number_of_recipients_is_limited(house: House) -> None:
    house.local()
    client = await house.connect()
    await client.say("EHLO client.example", 250)
    await client.say("MAIL FROM:<a@remote.example>", 250, "2.1.0")
    await client.send(b"RCPT TO:<mox@example.org>\r\n" * 1001)
    codes = [(await client.reply()).code for _ in range(1001)]
    assert codes == [250] * 1000 + [452]


async def test_too_many_bad_messages_end_the_connection(house: House, client: Client) -> None:
    for _ in range(11):
        await client.mail("nobody@example.org")
        await client.data(b"\r\n", 550, "5.1.1")
    await client.say("MAIL FROM:<a@remote.example>", 550, "5.1.0")
    await client.expect_end()


async def test_bad_messages_after_a_good_one_do_not(house: House, client: Client) -> None:
    await client.mail()
    await client.data(b"\r\n")
    for _ in range(12):
        await client.mail("nobody@example.org")
        await client.data(b"\r\n", 550, "5.1.1")
    await client.say("MAIL FROM:<a@remote.example>", 250, "2.1.0")


async def test_the_id_of_a_message_is_known(house: House, client: Client) -> None:
    await client.mail()
    await client.data(b"Message-ID: <Some.Id@Remote.Example>\r\n\r\n")
    assert house.store.messages[0][2].facts.message_id == "some.id@remote.example"
