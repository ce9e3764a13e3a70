"""What keeps a server from starting is told in one clear sentence, with an exit code that is not 0."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.messages import small_message
from support.ports import HOST, free_offset
from support.servers import USER, Mox
from support.serving import Serve, everybodys_python

SOURCE = Path(__file__).parents[2]
ROOT = os.geteuid() == 0
PORTS = (25, 81, 143, 465, 587, 993)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mox]:
    """A server that others run into."""
    with Mox(tmp_path_factory.mktemp("first") / "mox") as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that every user may enter."""
    made = Path(tempfile.mkdtemp(prefix="mox-start-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def run(*command: str | Path, user: str | None = None, env: dict[str, str] | None = None) -> str:
    """What a command that must fail at once says."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
        user=user,
        cwd="/",
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    return done.stderr


def sentence(said: str) -> str:
    """The one line that is not of the log."""
    lines = [line for line in said.splitlines() if not line.startswith("timestamp=")]
    assert len(lines) == 1, said
    assert lines[0].startswith("mox: ")
    return lines[0].removeprefix("mox: ")


def localserve(*arguments: str | Path) -> str:
    return sentence(run(Path(sys.executable).with_name("mox"), "localserve", *arguments))


def serve(server: Serve) -> str:
    return sentence(run(*server.arguments(), env=server.env))


def move_ports(folder: Path) -> int:
    """Give the configuration of a localserve folder other ports; the offset."""
    static = folder / "config" / "mox.toml"
    offset = free_offset(PORTS)
    numbers = iter((25, 587, 465, 143, 993, 81))
    text = re.sub(r"port = \d+", lambda _: f"port = {next(numbers) + offset}", static.read_text())
    static.write_text(text)
    return offset


# localserve


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    said = localserve("--dir", tmp_path)
    assert said == f"{tmp_path} holds files, but none of mox localserve; choose another --dir"
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_another_address_or_other_ports_than_at_the_first_start(running: Mox) -> None:
    said = localserve("--dir", running.folder, "--port-offset", "5")
    assert said == (
        f"{running.folder} was made with --port-offset {running.offset}; use another --dir for 5"
    )
    said = localserve("--dir", running.folder, "--ip", "127.0.0.2")
    assert said == f"{running.folder} was made with --ip 127.0.0.1; use another --dir for 127.0.0.2"


def test_ports_in_use(running: Mox, tmp_path: Path) -> None:
    said = run(
        Path(sys.executable).with_name("mox"),
        *("localserve", "--dir", tmp_path / "second", "--port-offset", str(running.offset)),
    )
    lines = said.splitlines()
    assert lines == [
        f"mox: port {port + running.offset} on 127.0.0.1 is in use;"
        " stop the program that has it or choose another"
        for port in (25, 587, 465, 143, 993, 81)
    ]


def test_a_second_server_on_the_same_data(running: Mox, tmp_path: Path) -> None:
    """Other ports, the same data: refused, and the first one does not notice."""
    shutil.copytree(running.folder / "config", tmp_path / "config")
    move_ports(tmp_path)
    static = tmp_path / "config" / "mox.toml"
    text = static.read_text().replace('"../data"', f'"{running.folder}/data"')
    static.write_text(text.replace('"../tls/', f'"{running.folder}/tls/'))
    said = localserve("--dir", tmp_path)
    assert said == (
        f"{running.folder}/data/shards/0/db is in use by another process; stop it first"
    )
    config = ["--config", str(running.folder / "config" / "mox.toml")]
    mox = Path(sys.executable).with_name("mox")
    done = subprocess.run(
        [mox, *config, "deliver", USER], input=small_message("x"), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_first_start_that_was_ended_half_way(tmp_path: Path) -> None:
    """What it left is no reason to refuse the next one."""
    run_ok("localserve", "--dir", f"{tmp_path}/x", "--initonly")
    (tmp_path / "x" / "config" / "mox.toml").rename(tmp_path / "x" / "config" / ".mox.toml.1234")
    made = run_ok("localserve", "--dir", f"{tmp_path}/x", "--initonly")
    assert made.startswith(f"{tmp_path}/x is ready")
    (tmp_path / "x" / "config" / "mox.toml").unlink()
    (tmp_path / "x" / "data" / "shards").mkdir()
    assert "holds files, but none of mox localserve" in localserve("--dir", tmp_path / "x")


def run_ok(*arguments: str) -> str:
    mox = Path(sys.executable).with_name("mox")
    return subprocess.run([mox, *arguments], capture_output=True, text=True, check=True).stdout


def test_a_folder_that_may_not_be_made_or_read(folder: Path) -> None:
    python, env = everybodys_python()
    mox = [python, "-P", "-m", "mox.cli.main", "localserve", "--dir"]
    closed = folder / "closed"
    closed.mkdir(mode=0o700 if ROOT else 0o000)
    user = "nobody" if ROOT else None
    assert sentence(run(*mox, closed / "x", user=user, env=env)) == (
        f"cannot use {closed}/x: Permission denied"
    )
    assert sentence(run(*mox, closed, user=user, env=env)) == (
        f"cannot use {closed}: Permission denied"
    )


def test_a_data_folder_that_may_not_be_read(folder: Path) -> None:
    python, env = everybodys_python()
    mox = [python, "-P", "-m", "mox.cli.main", "localserve", "--dir", str(folder / "x")]
    offset = str(free_offset(PORTS))
    user = "nobody" if ROOT else None
    made = subprocess.run(
        [*mox, "--port-offset", offset, "--initonly"], env={**os.environ, **env}, check=True
    )
    assert made.returncode == 0
    for path in (folder / "x", *(folder / "x").rglob("*")):
        if ROOT:
            shutil.chown(path, "nobody")
    data = folder / "x" / "data"
    data.chmod(0o000)
    try:
        assert sentence(run(*mox, user=user, env=env)) == (
            f"{data}/shards/0 cannot be opened: Permission denied"
        )
    finally:
        data.chmod(0o700)
    shutil.rmtree(data)
    data.write_text("a file")
    assert sentence(run(*mox, user=user, env=env)) == (
        f"cannot make the data folder {data}: File exists"
    )


def test_damaged_secrets(running: Mox, tmp_path: Path) -> None:
    run_ok("localserve", "--dir", f"{tmp_path}/x", "--initonly")
    move_ports(tmp_path / "x")
    (tmp_path / "x" / "data" / "receivedid.key").write_bytes(b"short")
    assert localserve("--dir", tmp_path / "x").endswith(
        "receivedid.key has 5 bytes instead of 24; restore it from a backup"
    )


# serve


def test_no_configuration(tmp_path: Path) -> None:
    mox = Path(sys.executable).with_name("mox")
    path = tmp_path / "mox.toml"
    assert sentence(run(mox, "--config", path, "serve")) == (
        f"cannot read {path}: No such file or directory"
    )
    shutil.copy(SOURCE / "pyproject.toml", path)
    assert sentence(run(mox, "--config", path, "serve")) == (
        f"cannot read {tmp_path}/domains.toml: No such file or directory"
    )


def test_every_problem_of_the_configuration(folder: Path) -> None:
    server = Serve(folder / "mox")
    static = server.config / "mox.toml"
    static.write_text(static.read_text().replace("log_level", "loglevel", 1))
    server.domains.write_text(server.domains.read_text() + "[accounts.x]\n[accounts.y]\nz = 1\n")
    said = run(*server.arguments(), env=server.env).splitlines()
    lines = len(server.domains.read_text().splitlines())
    assert said == [
        f"mox: {static}: log_level: required, but missing",
        f"mox: {static}:2: loglevel: unknown key",
        f"mox: {server.domains}:{lines - 2}: accounts.x.domain: required, but missing",
        f"mox: {server.domains}:{lines - 1}: accounts.y.domain: required, but missing",
        f"mox: {server.domains}:{lines}: accounts.y.z: unknown key",
    ]
    server.domains.write_text("[domains\n")
    assert f"{server.domains}:1: not TOML: " in run(*server.arguments(), env=server.env)


def test_a_missing_certificate_and_a_wrong_key(folder: Path) -> None:
    server = Serve(folder / "mox")
    (folder / "mox" / "tls" / "cert.pem").unlink()
    certificate = server.config / ".." / "tls" / "cert.pem"
    assert serve(server) == f"cannot read {certificate}: No such file or directory"
    other = Serve(folder / "other")
    shutil.copy(folder / "other" / "tls" / "cert.pem", folder / "mox" / "tls" / "cert.pem")
    assert other.folder.exists()
    key = server.config / ".." / "tls" / "key.pem"
    assert serve(server) == f"{key} is not the key of {certificate}"
    assert (folder / "mox" / "data").exists()


def test_a_port_in_use(folder: Path) -> None:
    server = Serve(folder / "mox")
    with socket.create_server((HOST, server.port("imap"))):
        assert serve(server) == (
            f"port {server.port('imap')} on 127.0.0.1 is in use;"
            " stop the program that has it or choose another"
        )


@pytest.mark.skipif(not ROOT, reason="not root")
def test_users_that_cannot_be(folder: Path) -> None:
    assert serve(Serve(folder / "a", user="no-such-user")) == (
        "user no-such-user of mox.toml does not exist; make it with: useradd --system no-such-user"
    )
    assert serve(Serve(folder / "b", user="root")) == (
        "user in mox.toml must not be root: the server never runs as root"
    )


@pytest.mark.skipif(not ROOT, reason="not root")
def test_folders_of_somebody_else_are_left_alone(folder: Path) -> None:
    server = Serve(folder / "mox")
    data = folder / "mox" / "data"
    data.mkdir()
    (data / "letter.txt").write_text("mine")
    said = serve(server)
    assert said == (
        f"the data folder {data} does not belong to user nobody and holds files that are not mox's,"
        " such as letter.txt; choose a data_dir of its own"
    )
    assert {path.stat().st_uid for path in (data, data / "letter.txt", server.config)} == {0}


@pytest.mark.skipif(not ROOT, reason="not root")
def test_an_interpreter_that_the_user_may_not_run(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    python = Path(sys.executable).resolve()
    site = Path(pytest.__file__).parents[1]
    server = Serve(folder / "mox", python=(str(closed / "python"), {}))
    server.env["PYTHONPATH"] = f"{site}:{SOURCE}"
    server.env["PYTHONHOME"] = str(python.parents[1])
    (closed / "python").symlink_to(python)
    assert serve(server) == (
        f"user nobody may not run {closed}/python; install mox where every user can read it"
    )


# ci/setup


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("gcc", "a C compiler is missing; install it with: apt install gcc python3-dev"),
        (
            "python3",
            "Python 3.11 or newer is needed; install it with:"
            " apt install python3 python3-venv python3-dev",
        ),
    ],
)
def test_what_setup_needs_from_the_system(tmp_path: Path, missing: str, said: str) -> None:
    """In a copy of the tree, with a PATH that has everything but one."""
    shutil.copytree(SOURCE / "ci", tmp_path / "tree" / "ci")
    for name in ("pyproject.toml", "setup.py"):
        shutil.copy(SOURCE / name, tmp_path / "tree" / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "cat", "sha256sum", "cut", "id", "python3", "gcc"):
        found = shutil.which(name) if name != "python3" else str(Path(sys.executable).resolve())
        if name != missing and found:
            (programs / name).symlink_to(found)
    done = subprocess.run(
        [str(programs / "bash"), str(tmp_path / "tree" / "ci" / "setup")],
        env={"PATH": str(programs), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"ci/setup: {said}\n")
    assert not (tmp_path / "tree" / ".venv").exists()
