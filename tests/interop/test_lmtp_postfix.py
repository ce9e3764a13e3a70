"""Debian's Postfix in front: it receives, and hands over to mox serve by LMTP on a Unix socket."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postfix import OWNER, Postfix
from support.serving import Serve, wait_until
from support.smtpclient import stuffed

pytestmark = [pytest.mark.interop, pytest.mark.slow]

WAIT_S = 90.0
LMTP = """\
[listeners.relay]
ips = ["127.0.0.1"]
[listeners.relay.lmtp]
enabled = true
socket = "{socket}"
users = ["{user}"]
trusted = {trusted}
"""
ALIAS = """\
[domains."example.org".aliases.team]
addresses = ["alice@example.org", "bob@example.net"]
post_public = true
"""


class Pair:
    """The two servers.    Mail for example.org goes from the one to the other."""

    def __init__(self, folder: Path, *, trusted: bool) -> None:
        self.postfix = Postfix("theirs.example", settings={"lmtp_send_xforward_command": "yes"})
        self.serve = Serve(folder / "mox")
        socket = folder / "lmtp"
        text = LMTP.format(socket=socket, user=OWNER, trusted="true" if trusted else "false")
        static = self.serve.config / "mox.toml"
        static.write_text(static.read_text() + text)
        domains = self.serve.domains
        domains.write_text(domains.read_text().replace("\n[domains.", f"\n{ALIAS}[domains.", 1))
        transports = self.postfix.folder / "config" / "transports"
        transports.write_text(f"/(^|@)example[.]org$/ lmtp:unix:{socket}\n")

    def send(self, subject: str, *recipients: str) -> None:
        """A message by way of Postfix, from its user bob."""
        with self.postfix.smtp() as client:
            client.ehlo()
            client.command(b"MAIL FROM:<bob@theirs.example>", 250)
            for recipient in recipients:
                client.command(b"RCPT TO:<" + recipient.encode() + b">", 250)
            client.command(b"DATA", 354)
            text = f"From: bob@theirs.example\r\nSubject: {subject}\r\n\r\n.\r\ntext\r\n"
            client.send(stuffed(text.encode()))
            client.expect(client.read_reply(), 250)

    def inbox(self, address: str) -> list[bytes]:
        """Whole messages."""
        with self.serve.login(address) as imap:
            if imap.select("INBOX").exists == 0:
                return []
            items = imap.ok(b"FETCH 1:* (BODY.PEEK[])").fetched()
            bodies = [value.get(b"BODY[]") for value in items.values()]
            return [body for body in bodies if isinstance(body, bytes)]

    def wait_for(self, address: str, subject: str) -> bytes:
        """The one message with this subject, once it is there."""
        line = f"\r\nSubject: {subject}\r\n".encode()

        def found() -> list[bytes]:
            return [one for one in self.inbox(address) if line in one]

        wait_until(
            lambda: bool(found()), WAIT_S, lambda: f"{self.postfix.said()}\n{self.serve.said()}"
        )
        (message,) = found()
        return message


@pytest.fixture(scope="module", params=[True, False], ids=["trusted", "judged"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    # Not pytest's own folder: the worker and Postfix are other users, who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mox-lmtp-"))
    folder.chmod(0o755)
    made = Pair(folder, trusted=request.param)
    with made.serve, made.postfix:
        made.serve.set_passwords("alice", "bob")
        yield made
    log = made.serve.log.read_text()
    shutil.rmtree(folder)
    assert "unhandled" not in log
    assert "Traceback" not in log


@pytest.mark.rfc("2033 §4.2; 3848")
def test_postfix_delivers_into_us(pair: Pair, request: pytest.FixtureRequest) -> None:
    pair.send("for three", "alice@example.org", "nobody@example.org", "team@example.org")
    message = pair.wait_for("alice@example.org", "for three")
    # The other recipient of the alias; who has an address of their own gets no second copy.
    assert b"\r\n.\r\ntext\r\n" in pair.wait_for("bob@example.net", "for three")
    header = message.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ")
    assert b"Return-Path: <bob@theirs.example>" in header
    assert header.count(b"Received: ") == 2
    assert b" with LMTP id " in header
    judged = "judged" in request.node.name
    assert (b"spf=pass" in header) is judged
    # Only the one that failed is told of.
    (bounce,) = pair.postfix.wait_for("bob", seconds=WAIT_S)
    assert b"Final-Recipient: rfc822; nobody@example.org" in bounce
    assert bounce.count(b"Final-Recipient:") == 1
    assert b"5.1.1" in bounce
    found, _ = pair.serve.mox(
        "verdict", "--account", "alice", "--since", "1h", "--json", code=0 if judged else 1
    )
    assert ("theirs.example" in found) is judged


def test_nobody_else_may_speak_on_the_socket(pair: Pair) -> None:
    path = pair.serve.folder.parent / "lmtp"
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "print(s.recv(100).decode(), end='')"
    )
    for user, code in (("games", "554"), (OWNER, "220")):
        done = subprocess.run(
            ["/usr/bin/python3", "-c", program, str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            user=user,
            cwd="/",
        )
        assert done.stdout.startswith(code), (user, done.stdout)
