"""A whole worker on this event loop."""

import asyncio
import io
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.ports import HOST, free_offset

from mox.base import log, metrics
from mox.base.clock import SystemClock
from mox.config.live import Config
from mox.ctl.client import Client
from mox.ctl.commands import ACCOUNT_LIST, STOP, Nothing
from mox.ctl.protocol import SOCKET_NAME
from mox.runtime import worker as module
from mox.runtime.certificate import make_self_signed
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.listeners import bind_places, places
from mox.runtime.sockets import BindFailed, bind, endpoint_of, listen
from mox.runtime.worker import Worker, WorkerOptions

STATIC = """
data_dir = "../data"
log_level = "info"
hostname = "bücher.example"
[postmaster]
account = "me"
mailbox = "Postmaster"
[listeners.one]
ips = ["127.0.0.1"]
[listeners.one.imap]
enabled = true
port = {imap}
no_require_starttls = true
[listeners.one.smtp]
enabled = true
no_starttls = true
port = {smtp}
"""
DOMAINS = """
[domains."example.org"]
[accounts.me]
domain = "example.org"
[accounts.me.destinations."me@example.org"]
"""


class Running:
    def __init__(self, folder: Path, more: str = "") -> None:
        offset = free_offset((143, 25))
        self.imap, self.smtp = 143 + offset, 25 + offset
        (folder / "config").mkdir()
        (folder / "config" / "mox.toml").write_text(
            STATIC.format(imap=self.imap, smtp=self.smtp) + more
        )
        (folder / "config" / "domains.toml").write_text(DOMAINS)
        self.files = ConfigFiles(folder / "config" / "mox.toml")
        self.bound = bind_places(
            places(self.files.live.config.static.listeners, self.files.relative)
        )
        self.ready = asyncio.Event()
        options = WorkerOptions(new_accounts={"me": "my password"}, ready=self.ready.set)
        self.worker = Worker(self.files, options, self.bound)

    async def ask(self, port: int, *lines: bytes) -> list[bytes]:
        """The greeting and the first line of each answer."""
        reader, writer = await asyncio.open_connection(HOST, port)
        answers = [await reader.readline()]
        for line in lines:
            writer.write(line + b"\r\n")
            answers.append(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return answers


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    log.configure(output=io.StringIO())
    yield made
    log.configure()
    for _, one in made.bound:
        one.close()


async def test_from_ready_to_stopped(running: Running) -> None:
    before = metrics.unhandled_total()
    task = asyncio.create_task(running.worker.run())
    await asyncio.wait_for(running.ready.wait(), 10)
    greeting, login = await running.ask(running.imap, b'a LOGIN me@example.org "my password"')
    assert greeting.startswith(b"* OK [CAPABILITY ")
    assert login.startswith(b"a OK ")
    # RFC 5321 §4.1.3 knows no names but ASCII.
    (greeting,) = await running.ask(running.smtp)
    assert greeting == b"220 xn--bcher-kva.example ESMTP mox\r\n"

    def by_command() -> tuple[list[str], tuple[int, ...]]:
        with Client(running.files.data_dir) as client:
            names = [one.account for one in client.call(ACCOUNT_LIST, Nothing()).accounts]
            return names, client.call(STOP, Nothing()).processes

    assert await asyncio.to_thread(by_command) == (["me"], (os.getpid(),))
    assert await asyncio.wait_for(task, 10) == 0
    assert not (running.files.data_dir / SOCKET_NAME).exists()
    assert metrics.unhandled_total() == before


async def test_an_error_of_who_is_told_does_not_end_the_watching(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONFIG_POLL_S", 0.01)
    task = asyncio.create_task(running.worker.run())
    await asyncio.wait_for(running.ready.wait(), 10)
    told: list[int] = []

    def fail(_old: Config, new: Config) -> None:
        told.append(len(new.domains.domains))
        if len(told) == 1:
            raise RuntimeError("a fault of ours")

    running.files.live.listen(fail)
    before = metrics.unhandled_total()
    for count in (2, 3):
        with running.files.domains_path.open("a") as file:
            file.write(f'[domains."d{count}.example"]\n')
        async with asyncio.timeout(10):
            while len(told) < count - 1:
                await asyncio.sleep(0.01)
    assert told == [2, 3]
    assert metrics.unhandled_total() == before + 1
    metrics.PANICS.labels("serve").reset()
    running.worker._stop.set()
    assert await asyncio.wait_for(task, 10) == 0


async def test_a_port_that_another_process_got_first(running: Running) -> None:
    """Both may bind it; only one can listen.    Nothing is left behind."""
    place, ours = running.bound[0]
    ours.close()
    with bind(place.endpoint) as other:
        running.bound[0] = (place, bind(place.endpoint))
        listen([other])
        with pytest.raises(BindFailed, match=f"port {endpoint_of(other).port} .* is in use"):
            await running.worker.run()
    assert not running.ready.is_set()
    assert not (running.files.data_dir / SOCKET_NAME).exists()


LMTP = """
[listeners.two]
ips = ["127.0.0.1"]
[listeners.two.lmtp]
enabled = true
socket = "../data/lmtp"
"""


async def test_a_mail_server_of_this_machine_delivers_by_lmtp(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    running = Running(tmp_path, LMTP)
    log.configure(output=io.StringIO())
    try:
        task = asyncio.create_task(running.worker.run())
        await asyncio.wait_for(running.ready.wait(), 60)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "data" / "lmtp")
        replies = [await reader.readline()]
        for line in (
            "LHLO mx.example",
            "MAIL FROM:<a@nowhere.invalid>",
            "RCPT TO:<nobody@example.org>",
            "RCPT TO:<me@example.org>",
            "RCPT TO:<postmaster@example.org>",
            "DATA",
            "Subject: by lmtp\r\n\r\n.",
        ):
            writer.write(f"{line}\r\n".encode())
            while not replies[-1].startswith(b"503 "):
                replies.append(await reader.readline())
                if replies[-1][3:4] == b" ":
                    break
        replies.append(await reader.readline())
        codes = [int(each[:3]) for each in replies if each[3:4] == b" "]
        assert codes == [220, 250, 250, 550, 250, 250, 354, 250, 250]
        writer.close()
        await writer.wait_closed()
        answers = await running.ask(
            running.imap, b'a LOGIN me@example.org "my password"', b"b STATUS Postmaster (MESSAGES)"
        )
        assert answers[2] == b"* STATUS Postmaster (MESSAGES 1)\r\n"
        running.worker._stop.set()
        assert await asyncio.wait_for(task, 60) == 0
    finally:
        log.configure()
        for _, one in running.bound:
            one.close()


RATES = """
[rate_limits]
connections_per_minute = [2, 9, 9]
"""


async def test_limits_of_the_configuration_and_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneMinute(SystemClock):
        """The minute does not end within the test."""

        def now_ms(self) -> int:
            return 1_790_000_000_000

    monkeypatch.setattr(module, "SystemClock", OneMinute)
    log.configure(output=io.StringIO())
    try:
        for expected in ([b"220", b"220", b"421"], [b"421"]):
            for child in tmp_path.glob("config"):
                child.rename(tmp_path / f"config-{len(list(tmp_path.iterdir()))}")
            running = Running(tmp_path, RATES)
            text = running.files.path.read_text()
            running.files.path.write_text("keep_rate_state = true\n" + text)
            running.files = ConfigFiles(running.files.path)
            options = WorkerOptions(ready=running.ready.set)
            running.worker = Worker(running.files, options, running.bound)
            task = asyncio.create_task(running.worker.run())
            try:
                await asyncio.wait_for(running.ready.wait(), 60)
                found = [(await running.ask(running.smtp))[0][:3] for _ in expected]
                assert found == expected
            finally:
                running.worker._stop.set()
                assert await asyncio.wait_for(task, 60) == 0
                for _, one in running.bound:
                    one.close()
    finally:
        log.configure()


ONE_MORE = """
[listeners.tls]
ips = ["127.0.0.1"]
[[listeners.tls.tls.key_certs]]
cert_file = "c.pem"
key_file = "k.pem"
[listeners.tls.smtp]
enabled = true
port = {port}
tls_session_tickets_disabled = {disabled}
"""


@pytest.mark.parametrize("disabled", ["true", "false"])
async def test_session_tickets_of_incoming_smtp(tmp_path: Path, disabled: str) -> None:
    port = 25 + free_offset((25,))
    running = Running(tmp_path, ONE_MORE.format(port=port, disabled=disabled))
    cert, key = tmp_path / "config" / "c.pem", tmp_path / "config" / "k.pem"
    make_self_signed(cert, key, clock=SystemClock(), hostname="one.example", names=())
    log.configure(output=io.StringIO())
    context = ssl.create_default_context(cafile=cert)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # its tickets come with the handshake
    try:
        task = asyncio.create_task(running.worker.run())
        await asyncio.wait_for(running.ready.wait(), 60)
        reader, writer = await asyncio.open_connection(HOST, port)
        for line in (b"EHLO x.example", b"STARTTLS"):
            writer.write(line + b"\r\n")
            while not (reply := await reader.readline()).startswith(
                b"250 " if line[:1] == b"E" else b"220 2.0.0"
            ):
                assert reply[:3] in (b"220", b"250")
        await writer.start_tls(context, server_hostname="one.example")
        connection = writer.get_extra_info("ssl_object")
        assert connection.session.has_ticket is (disabled == "false")
        writer.close()
        await writer.wait_closed()
        running.worker._stop.set()
        assert await asyncio.wait_for(task, 60) == 0
    finally:
        log.configure()
        for _, one in running.bound:
            one.close()
