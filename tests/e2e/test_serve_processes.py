"""The processes of ``mox serve``: rights, certificates, death of a worker, the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.imapclient import ConnectionEnded, Literal
from support.messages import small_message
from support.ports import HOST
from support.servers import tls_context
from support.serving import Serve, everybodys_python, wait_until

ROOT = os.geteuid() == 0

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that every user may enter: pytest's own is for one user."""
    made = Path(tempfile.mkdtemp(prefix="mox-serve-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    with Serve(folder / "mox") as server:
        server.set_passwords("alice")
        yield server


def user_of(process: int) -> tuple[int, int]:
    """User and group, which must be the same in all their forms."""
    ids = {}
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(("Uid:", "Gid:")):
            (ids[line[:3]],) = {int(number) for number in line.split()[1:]}
    return ids["Uid"], ids["Gid"]


def inbox(serve: Serve) -> list[bytes]:
    """Alice's messages, as sent."""
    with serve.login("alice@example.org") as client:
        if client.select("INBOX").exists == 0:
            return []
        found = client.ok(b"FETCH 1:* BODY.PEEK[]").fetched()
        return [bytes(items[b"BODY[]"]).split(b"\r\n\r\n", 1)[1] for items in found.values()]  # type: ignore[arg-type]


def deliver(serve: Serve, token: str) -> None:
    with serve.smtp() as client:
        client.ehlo()
        client.deliver(b"x@far.example", [b"alice@example.org"], small_message(token))


@pytest.mark.skipif(not ROOT, reason="not root")
def test_started_as_root_it_serves_as_the_configured_user(serve: Serve) -> None:
    nobody = 65534
    assert user_of(serve.pid) == (0, 0)
    assert user_of(serve.worker()) == (nobody, nobody)
    groups = Path(f"/proc/{serve.worker()}/status").read_text().split("Groups:")[1].split("\n")[0]
    assert groups.split() == [str(nobody)]
    data = serve.folder / "data"
    for path in (data, *data.rglob("*")):
        assert path.stat().st_uid == nobody, path
        assert not path.stat().st_mode & stat.S_IRWXO or path.is_symlink(), path
    # The key is root's alone, and nevertheless in use.
    key = serve.folder / "tls" / "key.pem"
    assert (key.stat().st_uid, key.stat().st_mode & 0o777) == (0, 0o600)
    deliver(serve, "as-nobody")
    assert inbox(serve) == [b"as-nobody\r\n"]
    # Commands change the configuration, which belongs to that user now.
    serve.mox("config account add carol carol@example.org")
    assert serve.domains.stat().st_uid == nobody
    new = serve.renew_certificate()
    wait_until(lambda: serve.certificate() == new)
    serve.stop()
    serve.start()  # with everything as it is now
    assert inbox(serve) == [b"as-nobody\r\n"]
    assert serve.certificate() == new


@pytest.mark.skipif(not ROOT, reason="not root")
def test_started_as_somebody_it_stays_that(folder: Path) -> None:
    server = Serve(folder / "mox", user="does-not-matter")
    for path in (server.folder, *server.folder.rglob("*")):
        shutil.chown(path, "nobody", "nogroup")
    sudo = ["/usr/sbin/chroot", "--userspec=nobody:nogroup", "--skip-chdir", "/"]
    if not Path(sudo[0]).exists():
        pytest.skip("no chroot")
    server.start(before=sudo)
    try:
        assert user_of(server.pid) == user_of(server.worker()) == (65534, 65534)
        server.set_passwords("alice")
        deliver(server, "as-somebody")
        assert inbox(server) == [b"as-somebody\r\n"]
        assert server.stop() == 0
    finally:
        server.kill()


def test_a_worker_that_dies_is_replaced(serve: Serve) -> None:
    deliver(serve, "before")
    first = serve.worker()
    waiting = serve.login("alice@example.org")
    with waiting:
        os.kill(first, signal.SIGKILL)
        with pytest.raises((ConnectionEnded, ConnectionError)):
            waiting.command(b"NOOP")
    # Connections made meanwhile wait for the next one: the ports stay open.
    with serve.smtp() as client:
        client.ehlo()
    assert serve.worker() != first
    assert inbox(serve) == [b"before\r\n"]
    serve.wait_for_log(r"event=worker\.died .*code=-9")
    # mox.toml is read at the start; what it has become meanwhile does not matter.
    (serve.config / "mox.toml").write_text("[")
    os.kill(serve.worker(), signal.SIGKILL)
    deliver(serve, "after")
    assert serve.stop() == 0


def test_a_supervisor_that_is_killed_takes_its_worker_along(serve: Serve) -> None:
    worker = serve.worker()
    os.kill(serve.pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{worker}").exists())
    assert serve.process is not None
    serve.process.wait(10)
    serve.process = None
    serve.start()


def test_sigterm_finishes_what_is_at_hand(serve: Serve) -> None:
    """Commands in progress are answered, idle clients told; then everything is on disk."""
    idling, quiet, asking = (serve.login("alice@example.org") for _ in range(3))
    sending, silent = serve.smtp(), serve.smtp()
    with idling, quiet, asking, sending, silent:
        idling.select("INBOX")
        idling.idle()
        sending.ehlo()
        sending.command(b"MAIL FROM:<x@far.example>", 250)
        sending.command(b"RCPT TO:<alice@example.org>", 250)
        sending.command(b"DATA", 354)
        message = small_message("half-way", 200_000)
        sending.send(message[:100_000])
        assert serve.process is not None
        serve.process.send_signal(signal.SIGTERM)
        for client in (idling, quiet):
            bye = client.read_response()
            assert (bye.kind, b"shutting down" in bye.raw) == (b"BYE", True)
        assert silent.read_reply().code == 421
        sending.send(message[100_000:] + b".\r\n")
        assert sending.read_reply().code == 250
        assert sending.read_reply().code == 421
        assert asking.read_response().kind == b"BYE"
        assert serve.process.wait(10) == 0
    serve.process = None
    assert not (serve.folder / "data" / "ctl").exists()
    assert serve.mox("verifydata", str(serve.folder / "data"))[0].endswith("is consistent\n")
    serve.start()
    assert [len(body) > 100_000 for body in inbox(serve)] == [True]


def test_mox_stop_waits_for_the_end(serve: Serve) -> None:
    worker, supervisor = serve.worker(), serve.process
    assert supervisor is not None
    # Somebody has to take the exit code, or the process stays in the table.
    waiting = threading.Thread(target=supervisor.wait)
    waiting.start()
    with serve.login("alice@example.org") as client:
        assert serve.mox("stop") == ("mox stopped\n", "")
        assert client.read_response().kind == b"BYE"
    waiting.join(10)
    assert supervisor.returncode == 0
    assert not Path(f"/proc/{worker}").exists()
    serve.process = None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, serve.port("imap")), timeout=5)
    assert "no server is running" in serve.mox("stop", code=1)[1]


def test_new_certificates_are_taken_up_and_broken_ones_are_not(serve: Serve) -> None:
    first = serve.certificate()
    with serve.login("alice@example.org") as before:
        second = serve.renew_certificate()
        assert second != first
        wait_until(lambda: serve.certificate("imaps") == second)
        assert serve.certificate("submissions") == second
        with serve.smtp() as client:  # STARTTLS as well
            client.ehlo()
            client.starttls(tls_context())
            assert client.sock.getpeercert(binary_form=True) == second  # type: ignore[attr-defined]
        before.ok(b"NOOP")
    (serve.folder / "tls" / "cert.pem").write_text("nothing of use")
    serve.wait_for_log(r"event=certificate\.refused .*/tls/cert\.pem holds no certificate")
    assert serve.certificate("imaps") == second
    third = serve.renew_certificate()
    wait_until(lambda: serve.certificate("imaps") == third)


def test_a_literal_cut_off_by_the_end_is_not_stored(serve: Serve) -> None:
    with serve.login("alice@example.org") as client:
        message = small_message("cut-off", 50_000)
        client.send(b"a APPEND INBOX {%d}\r\n" % len(message))
        assert client.read_response().tag == b"+"
        client.send(message[:20_000])
        assert serve.stop() == 0
        assert client.read_response().kind == b"BYE"
    serve.start()
    assert inbox(serve) == []
    with serve.login("alice@example.org") as client:
        client.ok(b"APPEND INBOX ", Literal(message))


def test_the_worker_cannot_be_started_by_hand(folder: Path) -> None:
    server = Serve(folder / "mox")
    python, env = everybodys_python()
    done = subprocess.run(
        [python, *server.arguments()[1:]],
        env={**os.environ, **env, "MOX_WORKER": "{}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "mox: MOX_WORKER is set: mox serve was called by its own worker\n"
