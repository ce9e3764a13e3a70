"""Mail from other servers: from EHLO to the mailbox."""

import pytest
from support.smtpsession import Client, House


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
