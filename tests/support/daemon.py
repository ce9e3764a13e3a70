"""Foreign programs as servers on loopback: own folder, own ports, ended by their own process id."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from support.ports import HOST, free_offset

START_SECONDS = 60.0


def require_root(what: str) -> None:
    """Skip, or fail in CI, where a program needs to change its user and we are not root."""
    if os.geteuid() == 0:
        return
    reason = f"{what} needs root to start"
    if os.environ.get("MOX_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A port where nobody listens."""
    return free_offset([0])


class Daemon:
    """What they have in common.   A subclass writes its files when made and says its command."""

    name = ""

    def __init__(self) -> None:
        # Such programs change their user, who may not enter a test's own folder.
        self.folder = Path(tempfile.mkdtemp(prefix=f"mox-{self.name}-"))
        self.folder.chmod(0o755)
        self.log = self.folder / "output"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def arguments(self) -> list[str]:
        """The command that runs it in the foreground."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What is added to the environment."""
        return {}

    def is_ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """Of the running program."""
        if self.process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self.process.pid

    def start(self) -> None:
        """Run it and wait until it answers.    Errors: RuntimeError with what it said."""
        if self.process is not None:
            raise RuntimeError(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self.is_ready():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > until:
                said = self.said()
                self.kill()
                why = "ended" if ended else f"does not answer after {START_SECONDS} s"
                raise RuntimeError(f"{self.name} {why}: {said}")
            time.sleep(0.02)

    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def stop(self, seconds: float = 30.0) -> None:
        """SIGTERM; SIGKILL for the whole group when that does not help."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL for it and for all that it started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its own group: start_new_session
        self.process.wait()
        self.process = None

    def end(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder)


def answers_tcp(
    port: int, read: Callable[[socket.socket], bool] | None = None, address: str = HOST
) -> bool:
    """Whether somebody accepts connections there; ``read`` may look at the connection."""
    try:
        with socket.create_connection((address, port), timeout=5) as sock:
            return read is None or read(sock)
    except OSError:
        return False


def greets(sock: socket.socket) -> bool:
    """Whether the other side speaks first, as SMTP servers do."""
    return bool(sock.recv(1))
