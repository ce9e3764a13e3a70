"""Messages of scripts: made fit, and handed to a mail server."""

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from support.certificates import Made
from support.smtpsink import Sink

from mox.base.errors import Refused
from mox.config.load import parse_sendmail
from mox.config.problems import ConfigInvalid
from mox.config.sendmail import SendmailConfig
from mox.outbound.handover import prepare, recipients_in, recipients_of
from mox.smtp.address import Address

ROOT = Address("root", "example.org")
CONFIG = SendmailConfig(
    local_hostname="machine.local",
    host="127.0.0.1",
    from_address="cron@example.org",
    default_destination="root@example.org",
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            b"Subject: x\n\nhi\n",
            b"From: <cron@example.org>\r\nTo: <root@example.org>\r\nSubject: x\r\n\r\nhi\r\n",
        ),
        (
            b"From: me\nTo: you@x\nBcc: z@z\nSubject: x\n\nhi",
            b"From: <cron@example.org>\r\nTo: you@x\r\nSubject: x\r\n\r\nhi\r\n",
        ),
        (
            b"just text\r\n",
            b"From: <cron@example.org>\r\nTo: <root@example.org>\r\n\r\njust text\r\n",
        ),
        (b"", b"From: <cron@example.org>\r\nTo: <root@example.org>\r\n\r\n"),
        (
            b"Subject: x\n",
            b"From: <cron@example.org>\r\nTo: <root@example.org>\r\nSubject: x\r\n\r\n",
        ),
    ],
)
def test_made_fit(message: bytes, expected: bytes) -> None:
    assert prepare(CONFIG, message, [ROOT]) == expected


def test_recipients() -> None:
    assert recipients_of(CONFIG, ["root", "a@x", "a@x"]) == [ROOT, Address("a", "x")]
    assert recipients_in(b"To: A <a@x>, b@y\nCc: c@z\n\nTo: no@body\n") == ["a@x", "b@y", "c@z"]
    nowhere = SendmailConfig(local_hostname="m", host="h", from_address="cron@example.org")
    with pytest.raises(Refused, match="root has no @"):
        recipients_of(nowhere, ["root"])
    with pytest.raises(Refused, match="no address"):
        recipients_of(CONFIG, ["a@b@"])


def test_configuration() -> None:
    needed = 'local_hostname = "m"\nhost = "h"\nfrom_address = "a@b"\n'
    assert parse_sendmail(needed).port == 465
    with pytest.raises(ConfigInvalid, match="not together with tls"):
        parse_sendmail(needed + "tls = true\nstarttls = true\n")
    with pytest.raises(ConfigInvalid, match="required with a username"):
        parse_sendmail(needed + 'username = "u"\n')
    secret = parse_sendmail(needed + 'username = "u"\npassword = "secret"\n')
    assert "secret" not in repr(secret)


class Machine:
    """A home folder with a configuration; the command is run as a process."""

    def __init__(self, folder: Path, sink: Sink, more: str) -> None:
        self.home = folder
        config = (
            f'local_hostname = "m"\nhost = "127.0.0.1"\nport = {sink.port}\n'
            f'from_address = "cron@example.org"\ndefault_destination = "root@example.org"\n{more}'
        )
        (folder / "moxsubmit.toml").write_text(config)

    async def send(
        self, *arguments: str, message: bytes = b"Subject: x\n\nhi\n"
    ) -> tuple[int, str]:
        environment = os.environ | {
            "HOME": str(self.home),
            "MOX_SENDMAIL_CONFIG": str(self.home / "moxsubmit.toml"),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mox.cli.main", "sendmail", *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        said, _ = await process.communicate(message)
        assert process.returncode is not None
        return process.returncode, said.decode()


async def test_as_cron_calls_it(tmp_path: Path) -> None:
    async with Sink(
        keywords=("8BITMIME", "AUTH PLAIN"), replies={"AUTH": "235 2.7.0 welcome"}
    ).serve() as sink:
        login = 'username = "u"\npassword = "secret"\nauth_mechanisms = ["PLAIN"]\n'
        machine = Machine(tmp_path, sink, login)
        assert await machine.send("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root") == (0, "")
        assert await machine.send("-f", "someone", "-t", message=b"To: a@x, b@y\n\nhi\n") == (0, "")
    first, second = sink.taken
    assert (first.sender, first.recipients) == ("cron@example.org", ["root@example.org"])
    assert first.content.startswith(b"From: <cron@example.org>\r\n")
    assert second.recipients == ["a@x", "b@y"]


async def test_what_cannot_be_submitted_is_kept(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path = tmp_path / "stranger.pem"
    path.write_bytes(Made("stranger", names=("other.example",)).pem)
    context.load_cert_chain(path)
    async with Sink(context=context).serve() as sink:
        code, said = await Machine(tmp_path, sink, "starttls = true\n").send("root")
        assert (code, sink.taken) == (1, [])
        assert "certificate" in said
    (kept,) = (tmp_path / "moxsubmit.failures").iterdir()
    assert kept.read_bytes() == b"Subject: x\n\nhi\n"
    assert str(kept) in said
    assert kept.parent.stat().st_mode & 0o777 == 0o700


async def test_a_refusal_of_the_server_is_told(tmp_path: Path) -> None:
    async with Sink(replies={"RCPT": "550 5.1.1 nobody"}).serve() as sink:
        code, said = await Machine(tmp_path, sink, "").send("a@x")
    assert code == 1
    assert "550 5.1.1 nobody" in said
