"""A spammer meets ``mox serve``: taken, marked by the user, slowed down and refused; and told why."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ports import HOST
from support.serving import DOMAINS, Serve, wait_until
from support.smtpclient import SmtpClient, SmtpRefused

pytestmark = pytest.mark.slow

OPTIONS = """\
[accounts.alice]
rejects_mailbox = "Rejects"
"""
PATIENCE_S = 90.0  # a slowed-down reply takes 25 seconds


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    # Not pytest's own folder: the worker is another user, who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mox-judged-"))
    folder.chmod(0o755)
    server = Serve(folder / "mox")
    server.domains.write_text(DOMAINS.replace("[accounts.alice]\n", OPTIONS))
    with server:
        server.set_passwords("alice", "bob")
        yield server
        log = server.log.read_text()
    shutil.rmtree(folder)
    assert "unhandled" not in log
    assert "Traceback" not in log


def spam(number: int) -> bytes:
    return (
        f"From: Spam {number} <spam{number}@far.example>\r\nTo: alice@example.org\r\n"
        f"Subject: offer\r\nMessage-ID: <offer{number}@far.example>\r\n\r\nbuy\r\n"
    ).encode()


def send(serve: Serve, number: int, to: bytes = b"alice@example.org") -> None:
    with SmtpClient(HOST, serve.port("smtp"), timeout=PATIENCE_S) as client:
        client.ehlo()
        sender = b"spam%d@far.example" % number
        client.deliver(sender, [to], spam(number))


def verdict(serve: Serve, number: int) -> dict[str, Any]:
    """The newest one of a message."""
    out, _ = serve.mox(f"verdict offer{number}@far.example --json")
    found = json.loads(out)[0]
    assert isinstance(found, dict)
    return found


def test_marks_of_the_user_decide_about_the_next_message(serve: Serve) -> None:
    with serve.login("alice@example.org") as imap:
        before = imap.select("INBOX").exists
    for number in range(3):
        send(serve, number)
        assert verdict(serve, number)["reason"] == "no-bad-signals"
    with serve.login("alice@example.org") as imap:
        count = imap.select("INBOX").exists
        assert count == before + 3
        imap.ok(b"STORE %d:* +FLAGS ($Junk)" % (before + 1))
    # Learning follows the flags at once, but beside them.
    refused = 0
    deadline = time.monotonic() + 60
    while not refused:
        assert time.monotonic() < deadline, "marks were not learnt"
        began = time.monotonic()
        try:
            send(serve, 3)
        except SmtpRefused:
            refused = round(time.monotonic() - began)
    assert refused >= 5, "whoever sends spam is not slowed down"
    found = verdict(serve, 3)
    assert (found["reason"], found["code"], found["mailbox"]) == ("msgfromdomain", 451, "Rejects")
    assert found["history"]["signals"][0]["value"] == "far.example"
    assert {"what": "the author being in your sent mail", "then": "accepted (msgtofull)"} in found[
        "changes"
    ]
    # The user rescues it: whoever wrote it is welcome from then on.
    with serve.login("alice@example.org") as imap:
        assert imap.select("Rejects").exists == 1
        imap.ok(b"MOVE 1 INBOX")
        count = imap.select("INBOX").exists
        imap.ok(b"STORE %d +FLAGS ($NotJunk)" % count)

    def welcome() -> bool:
        try:
            send(serve, 3)
        except SmtpRefused:
            return False
        return True

    wait_until(welcome, 120)
    out, _ = serve.mox("verdict offer3@far.example --limit 1")
    assert "ACCEPTED  msgfromfull" in out.splitlines()[0]
    out, _ = serve.mox("verdict --account alice --since 1h --json")
    assert len(json.loads(out)) >= 5
    serve.mox("verdict offer77@far.example", code=1)  # nobody sent that


def test_what_is_told_of_a_message_for_two(serve: Serve) -> None:
    with serve.smtp() as client:
        client.ehlo()
        message = spam(9).replace(b"far.example", b"near.example")
        to = [b"alice@example.org", b"bob@example.org"]
        client.deliver(b"spam9@near.example", to, message)
    out, _ = serve.mox("verdict offer9@near.example --json")
    assert sorted(one["account"] for one in json.loads(out)) == ["alice", "bob"]


def test_verdicts_are_there_after_a_restart(serve: Serve) -> None:
    send(serve, 99, b"bob@example.net")
    before = serve.mox("verdict --account bob --since 1d --limit 100 --json")[0]
    serve.stop()
    serve.start()
    assert serve.mox("verdict --account bob --since 1d --limit 100 --json")[0] == before
