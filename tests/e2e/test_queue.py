"""localserve's queue: what is submitted for elsewhere is delivered to itself, or comes back."""

from __future__ import annotations

import email
import time

from support.servers import PASSWORD, USER, Mox

WAIT_S = 60.0


def submit(server: Mox, recipient: str, token: str) -> None:
    message = f"From: {USER}\r\nTo: {recipient}\r\nSubject: {token}\r\n\r\ntext\r\n".encode()
    with server.smtp("submission") as client:
        client.ehlo()
        client.auth_plain(USER, PASSWORD)
        assert client.deliver(USER.encode(), [recipient.encode()], message).code == 250


def wait_for(server: Mox, search: str) -> bytes:
    """The first message that a search finds, once there is one."""
    until = time.monotonic() + WAIT_S
    with server.imap() as client:
        client.select("INBOX")
        while time.monotonic() < until:
            client.ok(b"NOOP")
            uids = client.ok(f"UID SEARCH {search}".encode()).search()
            if uids:
                items = client.ok(b"UID FETCH %d (BODY.PEEK[])" % uids[0]).fetched()
                (message,) = (value[b"BODY[]"] for value in items.values())
                assert isinstance(message, bytes)
                return message
            time.sleep(0.1)
    raise AssertionError(f"nothing found by {search}")


def test_an_error_when_the_queue_delivers(mox: Mox) -> None:
    submit(mox, "queue550@elsewhere.example", "for-queue-550")
    returned = wait_for(mox, 'BODY "queue550@elsewhere.example"')
    assert returned.startswith(b"Return-Path: <>\r\n")
    message = email.message_from_bytes(returned)
    assert message.get_content_type() == "multipart/report"
    assert b"550 5.3.0 forced by the address" in returned
    assert b"Subject: for-queue-550" in returned
