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
from support.servers import tls_context
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


RATES = """
[rate_limits]
connections_per_minute = [10_000, 10_000, 10_000]
"""


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    # Not pytest's own folder: the worker is another user, who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mox-attacks-"))
    folder.chmod(0o755)
    attacked = Serve(folder / "mox")
    static = attacked.config / "mox.toml"
    static.write_text(static.read_text() + RATES)
    with attacked as server:
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


@pytest.mark.rfc("3030 §2; 5321 §2.3.8")
def test_nothing_is_smuggled_by_count_either(serve: Serve) -> None:
    """What ends a message after DATA means nothing in a chunk, and the other way round."""
    answers = set()
    for end in [*ENDS, b"\r\n.\r\n"]:
        before = b"Subject: outer\r\n\r\ntext" + end[:1]
        content = before + end[1:] + SMUGGLED + b"\r\n.\r\n"
        for chunks in ([content], [before, content[len(before) :]]):
            raw = b"".join(
                b"BDAT %d%s\r\n%s" % (len(chunk), b" LAST" * (chunk is chunks[-1]), chunk)
                for chunk in chunks
            )
            with started(serve) as client:
                client.command(b"RCPT TO:<alice@example.org>", 250)
                client.send(raw + b"NOOP\r\nQUIT\r\n")
                codes = [client.read_reply().code for _ in range(len(chunks) + 2)]
                bare = content.count(b"\r") != content.count(b"\r\n")
                assert codes == [250] * (len(chunks) - 1) + [500 if bare else 250, 250, 221], end
                with pytest.raises(ConnectionEnded):
                    client.read_reply()
            answers.add(bare)
    assert answers == {True, False}
    with serve.login("bob@example.net") as imap:
        assert imap.select("INBOX").exists == 0


@pytest.mark.rfc("3030 §2; §3")
def test_data_and_bdat_are_not_mixed_up(serve: Serve) -> None:
    text = b"Subject: x\r\n\r\n"
    with started(serve) as client:
        # Commands in a chunk that is refused are octets, with DATA open or not.
        client.send(b"BDAT %d LAST\r\n%s" % (len(SMUGGLED), SMUGGLED))
        assert client.read_reply().code == 503
        client.command(b"RCPT TO:<alice@example.org>", 250)
        # In a message by DATA a line of BDAT is text.
        client.command(b"DATA", 354)
        client.send(text + b"BDAT 5 LAST\r\nRSET\r\n.\r\n")
        assert client.read_reply().code == 250
        client.command(b"MAIL FROM:<a@far.example>", 250)
        client.command(b"RCPT TO:<alice@example.org>", 250)
        # After a chunk nothing else goes on with the message; the text that a client sends all the same
        # is commands to us, and none of them can deliver.
        client.send(b"BDAT %d\r\n%sDATA\r\n" % (len(text), text))
        assert [client.read_reply().code for _ in range(2)] == [250, 503]
        client.send(SMUGGLED + b".\r\n")
        codes = [client.read_reply().code for _ in range(6)]
        assert codes == [503, 503, 503, 500, 500, 500]
        client.send(b"BDAT 0 LAST\r\n")
        assert client.read_reply().code == 250
    # A chunk whose size cannot be read ends the connection: what follows is never executed.
    for line in (b"BDAT", b"BDAT -1 LAST", b"BDAT 1e3", b"BDAT 0x10 LAST", b"BDAT 1 LAST LAST"):
        with started(serve) as client:
            client.command(b"RCPT TO:<alice@example.org>", 250)
            client.send(line + b"\r\n" + SMUGGLED)
            assert client.read_reply().code == 501
            with pytest.raises((ConnectionEnded, ConnectionError)):
                client.read_reply()
    with serve.login("bob@example.net") as imap:
        assert imap.select("INBOX").exists == 0


@pytest.mark.rfc("3207 §6; §4.2")
@pytest.mark.parametrize("service", ["smtp", "submission"])
def test_nothing_is_injected_behind_starttls(serve: Serve, service: str) -> None:
    injected = b"EHLO evil.example\r\nMAIL FROM:<evil@far.example>\r\n"
    with serve.smtp(service) as client:
        client.ehlo()
        client.send(b"STARTTLS\r\n" + injected)
        # Neither a handshake nor an answer to what came in clear.
        with pytest.raises((ConnectionEnded, ConnectionError)):
            client.read_reply()
    # What was said before the handshake is forgotten.
    with serve.smtp(service) as client:
        client.ehlo()
        if service == "smtp":
            client.command(b"MAIL FROM:<a@far.example>", 250)
        client.starttls(tls_context())
        assert client.command(b"RCPT TO:<alice@example.org>").code == 503
        assert client.command(b"MAIL FROM:<a@far.example>").code == 503


def test_nobody_is_told_who_has_an_address(serve: Serve) -> None:
    """Not by RCPT, VRFY or EXPN; and at AUTH somebody and nobody look the same."""
    with started(serve) as client:
        answers = {}
        for name in (b"alice", b"bob", b"nobody", b"postmaster", b"alice+x", b"nobody+x"):
            client.command(b"RSET", 250)
            client.command(b"MAIL FROM:<a@far.example>", 250)
            answers[name] = [
                client.command(verb + b" " + name + b"@example.org") for verb in (b"VRFY", b"EXPN")
            ] + [client.command(b"RCPT TO:<" + name + b"@example.org>")]
        first = answers[b"alice"]
        assert [reply.code for reply in first] == [252, 252, 250]
        assert all(one == first for one in answers.values())
    with serve.smtp("submissions") as client:
        client.ehlo()
        said = []
        for user in (b"alice@example.org", b"nobody@example.org"):
            secret = base64.b64encode(b"\0" + user + b"\0" + b"wrong password")
            said.append(client.command(b"AUTH PLAIN " + secret))
        assert said[0] == said[1]
        assert said[0].code == 535


def test_a_header_without_end(serve: Serve) -> None:
    with started(serve) as client:
        client.command(b"RCPT TO:<alice@example.org>", 250)
        client.command(b"DATA", 354)
        client.send(b"Subject: x\r\n")
        for number in range(3000):
            client.send(b"X-Field-%d: %s\r\n" % (number, b"y" * 990))
        client.send(b"X: " + b"z" * 2_000_000 + b"\r\n.\r\n")
        assert client.read_reply().code in {250, 451, 550, 552}
        client.command(b"NOOP", 250)
    with serve.login("alice@example.org") as imap:
        imap.select("INBOX")  # whoever reads it is not held up
        imap.ok(b"FETCH * (ENVELOPE BODYSTRUCTURE)")


def test_half_a_megabyte_of_addresses_and_of_lines_without_end(serve: Serve) -> None:
    with started(serve) as client:
        client.command(b"RCPT TO:<alice@example.org>", 250)
        client.command(b"DATA", 354)
        client.send(
            b"From: a@far.example\r\nTo: a@x" + b",\r\n a@x.example" * 500_000 + b"\r\n\r\n.\r\n"
        )
        assert client.read_reply().code in {250, 451, 550}
        # The next line is longer than any may be.
        client.send(b"NOOP " + b"x" * 4000 + b"\r\nNOOP\r\n")
        assert client.read_reply().code == 500
        with pytest.raises((ConnectionEnded, ConnectionError)):
            client.read_reply()


def test_many_who_say_nothing_hold_nobody_up(serve: Serve) -> None:
    """Slow loris: connections in every state that stop in the middle of a line."""
    idle = []
    try:
        for begin in (
            b"",
            b"EH",
            b"EHLO x.example\r\nMAIL FROM:<a",
            b"EHLO x.example\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSub",
            b"EHLO x.example\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<alice@example.org>\r\nBDAT 99\r\nS",
        ):
            for _ in range(4):
                sock = socket.create_connection((HOST, serve.port("smtp")), timeout=10)
                idle.append(sock)
                sock.sendall(begin)
        with started(serve) as client:
            client.command(b"RCPT TO:<alice@example.org>", 250)
            client.command(b"DATA", 354)
            client.send(b"Subject: not held up\r\n\r\n.\r\n")
            assert client.read_reply().code == 250
    finally:
        for sock in idle:
            sock.close()


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
