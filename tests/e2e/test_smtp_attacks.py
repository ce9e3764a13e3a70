"""``mox serve`` under attack over SMTP: relaying, smuggling, forged log lines, a flood."""

from __future__ import annotations

import base64
import itertools
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.imapclient import ConnectionEnded
from support.ports import HOST
from support.serving import Serve, password_of, wait_until
from support.smtpclient import SmtpClient

pytestmark = pytest.mark.slow

# Nothing of this is ours, however it is written.
FOREIGN = [
    b"<x@elsewhere.example>",
    b'<""@elsewhere.example>',
    b'<"alice@example.org"@elsewhere.example>',
    b"<alice%example.org@elsewhere.example>",
    b"<example.org!alice@elsewhere.example>",
    b"<@example.org:x@elsewhere.example>",
    b"<@example.org,@example.net:x@ELSEWHERE.example>",
    b"<x%elsewhere.example@[127.0.0.1]>",
    b"<alice@[127.0.0.1]>",
    b"<alice@127.0.0.1>",
    b"<postmaster@[127.0.0.1]>",
    b"<alice@sub.example.org>",
    b"<alice@example.org.>",
    b"<alice@example.org.elsewhere.example>",
    b"<alice@xexample.org>",
    b"<alice@localhost>",
    b"<alice@mail.example.org>",
    b"<alice@example.org@elsewhere.example>",
    b"<alice@example.org\0.elsewhere.example>",
    b"<alice@example.org>\r<x@elsewhere.example>",
    b"<alice@example.org>,<x@elsewhere.example>",
    b"<alice>",
    b"<>",
    b"x@elsewhere.example",
    "<alice@exämple.org>".encode(),
    b"<alice@xn--exmple-cua.org>",
    "<alice@elsewhere。example.org。example>".encode(),
]
# Local parts of ours that another server might route on: nobody has them here.
ROUTED = [
    b'<"x@elsewhere.example"@example.org>',
    b"<x%elsewhere.example@example.org>",
    b"<elsewhere.example!x@EXAMPLE.org>",
    b"<@elsewhere.example:x%elsewhere.example@example.org>",
    b"<|/bin/true@example.org>",
]


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    # Not pytest's own folder: the worker is another user, who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mox-attacks-"))
    folder.chmod(0o755)
    with Serve(folder / "mox") as server:
        server.set_passwords("alice", "bob")
        server.mox("loglevels debug")
        yield server
        log = server.log.read_text()
    shutil.rmtree(folder)
    assert "unhandled" not in log
    assert "Traceback" not in log


def started(serve: Serve, extension: bytes = b"") -> SmtpClient:
    client = serve.smtp()
    try:
        client.ehlo()
        client.command(b"MAIL FROM:<a@far.example>" + extension, 250)
    except BaseException:
        client.close()
        raise
    return client


@pytest.mark.rfc("5321 §7.6; §3.6.1")
@pytest.mark.parametrize("extension", [b"", b" SMTPUTF8"])
def test_nothing_is_relayed(serve: Serve, extension: bytes) -> None:
    with started(serve, extension) as client:
        for recipient in FOREIGN:
            assert client.command(b"RCPT TO:" + recipient).code in {501, 550}, recipient
        client.command(b"DATA", 503)
        client.command(b"RCPT TO:<alice@example.org>", 250)
        for recipient in FOREIGN:
            assert client.command(b"RCPT TO:" + recipient).code in {501, 550}, recipient


def test_no_route_in_a_local_part_is_followed(serve: Serve) -> None:
    with started(serve) as client:
        for recipient in ROUTED:
            # Whether it exists is told after the message.
            client.command(b"RCPT TO:" + recipient, 250)
            client.command(b"RSET", 250)
            client.command(b"MAIL FROM:<a@far.example>", 250)
        client.command(b"RCPT TO:" + ROUTED[0], 250)
        client.command(b"DATA", 354)
        client.send(b"Subject: x\r\n\r\n.\r\n")
        assert client.read_reply().lines[0].startswith(b"5.1.1 no such user")


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_nobody_submits_without_a_login(serve: Serve, service: str) -> None:
    with serve.smtp(service) as client:
        client.ehlo()
        for line in (
            b"MAIL FROM:<alice@example.org>",
            b"MAIL FROM:<> AUTH=alice@example.org",
            b"RCPT TO:<bob@example.org>",
            b"DATA",
        ):
            assert client.command(line).code == 530


SMUGGLED = (
    b"MAIL FROM:<evil@far.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\n"
)
# What ends a message for one server or another; for us nothing of it does.
ENDS = [
    before + b"." + after
    for before, after in itertools.product(
        [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0\n", b"\r\n\0", b"\r\0\n", b"\x0b", b""],
        [b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n", b"\0\r\n", b"\r\0\n", b".\r\n", b" \r\n", b""],
    )
    if (before[-2:], after[:2]) != (b"\r\n", b"\r\n")
]


@pytest.mark.rfc("5321 §2.3.8; §4.1.1.4")
@pytest.mark.parametrize("chunked", [False, True])
def test_nothing_is_smuggled(serve: Serve, chunked: bool) -> None:
    answers = set()
    for end in ENDS:
        raw = b"Subject: outer\r\n\r\ntext" + end + SMUGGLED + b"\r\n.\r\nNOOP\r\nQUIT\r\n"
        with started(serve) as client:
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.command(b"RCPT TO:<alice@example.org>", 250)
            client.command(b"DATA", 354)
            if chunked:
                # Each byte around the false end in a packet of its own.
                place = raw.index(b"text") + 3
                client.send(raw[:place])
                for number in range(place, place + len(end) + 3):
                    client.send(raw[number : number + 1])
                raw = raw[place + len(end) + 3 :]
            client.send(raw)
            answer = client.read_reply()
            answers.add(answer.code)
            suspicious = re.search(rb"\r(?!\n)|\n\.\n|(?<!\r)\n\.\r\n", b"text" + end + b"M")
            assert answer.code == (250 if suspicious is None else 500), end
            # One message, one answer: what was in it is no command.
            assert client.read_reply().code == 250
            assert client.read_reply().code == 221
            with pytest.raises(ConnectionEnded):
                client.read_reply()
    assert answers == {250, 500}
    with serve.login("bob@example.net") as imap:
        assert imap.select("INBOX").exists == 0


FORGED = 'x\\" event=smtp.login account=root\r\nlevel=info event=forged \x1b[2J \x85\u2028'


def test_a_stranger_cannot_write_our_log(serve: Serve) -> None:
    secret = b"Sekret0fN0b0dy"
    encoded = base64.b64encode(b"\0" + FORGED.encode() + b"\0" + secret)
    hostile = FORGED.replace("\r\n", "\r").encode()
    with serve.smtp("submissions") as client:
        client.command(b"EHLO " + hostile, 250)
        client.command(b"AUTH PLAIN " + encoded, 535)
        client.command(b"AUTH LOGIN", 334)
        client.command(b"!" + secret, 501)
        assert client.command(secret + b" " + hostile).code == 500
    with serve.smtp() as client:
        assert client.command(b"EHLO " + hostile).code == 501
        client.ehlo()
        assert client.command(b"MAIL FROM:<" + hostile + b"@far.example>").code == 501
        quoted = b'<"x\\\\\\" event=forged \xc2\x85\xe2\x80\xa8"@far.example>'
        client.command(b"MAIL FROM:" + quoted + b" SMTPUTF8", 250)
        assert client.command(b"RCPT TO:<" + hostile + b"@example.org>").code == 501
        tag = b'<"alice+\\\\\\" event=forged \xc2\x85\xe2\x80\xa8"@example.org>'
        client.command(b"RCPT TO:" + tag, 250)
        client.command(b"DATA", 354)
        client.send(b"Subject: " + secret + b" \x1b[2J\r\nTo: x\n event=forged\r\n\r\n.\r\n")
        assert client.read_reply().code == 250
    serve.wait_for_log("event=delivery.accepted .*alice")
    log = serve.log.read_bytes()
    assert secret not in log
    assert base64.b64encode(secret)[:12] not in log
    # One line is one event, and its fields are ours.
    field = re.compile(rb'[a-z_]+=(?:"(?:[^"\\]|\\.)*"|[^" =]*)')
    for line in log.splitlines():
        assert line.startswith(b"timestamp="), line
        assert line.decode().isprintable(), line
        names = field.sub(b"", line)
        assert not names.strip(), line
        events = [found for found in field.findall(line) if found.startswith(b"event=")]
        assert len(events) == 1, line
        assert events[0] not in {b"event=forged", b'event="forged"'}
    with serve.login("alice@example.org") as imap:
        count = imap.select("INBOX").exists
        reply = imap.ok(b"FETCH %d BODY.PEEK[HEADER]" % count)
        header = b"".join(each.raw for each in reply.untagged)
        # Nobody writes a field of ours.
        assert len(re.findall(rb"(?m)^Return-Path:", header)) == 1
        assert not re.search(rb"(?m)^ ?event=", header.partition(b"Subject:")[0])


def test_a_flood_of_connections_and_recipients(serve: Serve) -> None:
    refused = 0
    clients = []
    for _ in range(60):
        sock = socket.create_connection((HOST, serve.port("smtp")), timeout=10)
        clients.append(sock)
        refused += sock.recv(3) == b"421"
    assert refused == 60 - 30
    for sock in clients:
        sock.close()

    def admitted() -> bool:
        with socket.create_connection((HOST, serve.port("smtp")), timeout=10) as sock:
            return sock.recv(3) == b"220"

    wait_until(admitted)
    # Whoever comes then is served, and ten thousand recipients get an answer each.
    with started(serve) as client:
        client.send(b"RCPT TO:<alice@example.org>\r\n" * 10_000)
        codes = [client.read_reply().code for _ in range(10_000)]
        assert codes == [250] * 1000 + [452] * 9000
        client.command(b"RSET", 250)


def test_passwords_of_others_still_work(serve: Serve) -> None:
    with serve.submit_as("bob@example.net") as client:
        client.command(b"MAIL FROM:<bob@example.net>", 250)
    assert password_of("bob").encode() not in serve.log.read_bytes()
