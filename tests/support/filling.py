"""Put many messages into a mailbox, as fast as the server takes them."""

from __future__ import annotations

import threading

from support.imapclient import ImapClient
from support.servers import Server

CONNECTIONS = 8  # so that one sync of the disk serves several APPENDs
GROUP = 250  # messages of one MULTIAPPEND


def fill(server: Server, mailbox: str, messages: list[bytes]) -> None:
    """MULTIAPPEND where it is offered (RFC 3502), else APPENDs on several connections.

    All messages are there in the end; their order is that of the list only with MULTIAPPEND.
    """
    with server.imap(timeout=300) as client:
        if b"MULTIAPPEND" in client.capabilities():
            _append_groups(client, mailbox, messages)
        else:
            _append_side_by_side(server, mailbox, messages)
        client.ok(b"NOOP")
        stored = client.ok(f"EXAMINE {mailbox}".encode()).exists
    if stored != len(messages):
        raise RuntimeError(f"{stored} of {len(messages)} messages are in {mailbox}")


def _append_groups(client: ImapClient, mailbox: str, messages: list[bytes]) -> None:
    for start in range(0, len(messages), GROUP):
        group = bytearray()
        for message in messages[start : start + GROUP]:
            group += b" {%d+}\r\n" % len(message) + message
        client.ok(f"APPEND {mailbox}".encode() + bytes(group))


def _append_side_by_side(server: Server, mailbox: str, messages: list[bytes]) -> None:
    failed: list[Exception] = []

    def work(share: list[bytes]) -> None:
        try:
            with server.imap(timeout=300) as client:
                client.append_many(mailbox, share)
        except Exception as e:
            failed.append(e)

    threads = [
        threading.Thread(target=work, args=(messages[n::CONNECTIONS],)) for n in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
