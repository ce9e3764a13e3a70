"""The parent process of ``mox serve``: binds ports, drops rights, keeps the worker running.

Started as root it binds the configured ports and becomes nobody's root again before any stranger
is heard: the worker runs as the configured user and gets the sockets as inherited descriptors.
A worker that dies is started again; SIGTERM and SIGINT are passed on, and the worker's exit code is
ours.  Source  spec/cli.md section 9.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

from mox.base.errors import Refused
from mox.base.log import get_logger
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.listeners import bind_places, pass_on, places

log = get_logger("supervisor")

PR_SET_PDEATHSIG = 1
RESTART_WAIT_S = (0.1, 1.0, 5.0, 15.0)  # after the first, second, ... failure in a row
STEADY_S = 60.0  # a worker that ran so long starts counting anew


def supervise(files: ConfigFiles) -> int:
    """Run until stopped; the exit code.    Errors: Refused, Unavailable when a port is in use."""
    bound = bind_places(places(files.live.config.static.listeners))
    user = _user(files.live.config.static.user) if os.geteuid() == 0 else None
    if user is not None:
        _own_data(files.data_dir, *user)
    stopping: list[int] = []
    worker: subprocess.Popen[bytes] | None = None

    def stop(number: int, _frame: object) -> None:
        stopping.append(number)
        if worker is not None and worker.poll() is None:
            worker.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    environment, descriptors = pass_on(bound)
    command = [sys.executable, "-m", "mox.runtime.serve", str(files.path.resolve())]
    failures = 0
    while True:
        started = time.monotonic()
        worker = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            env={**os.environ, **environment},
            pass_fds=descriptors,
            preexec_fn=lambda: _child(user),  # noqa: PLW1509 - this process has one thread
        )
        if stopping:
            worker.send_signal(signal.SIGTERM)
        code = worker.wait()
        if stopping or code == 0:
            return code if code >= 0 else 128 - code
        failures = 0 if time.monotonic() - started > STEADY_S else failures
        if failures == 0 and time.monotonic() - started < 1.0 and code > 0:
            # It refused to start and said why; trying again would say the same.
            return code
        wait = RESTART_WAIT_S[min(failures, len(RESTART_WAIT_S) - 1)]
        failures += 1
        log.error("worker.died", code=code, restart_in_s=wait)
        time.sleep(wait)
        if stopping:
            return 0


def _child(user: tuple[int, int] | None) -> None:
    """In the worker, before it runs: end with the parent, give up root."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.umask(0o007)
    if user is not None:
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _user(name: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(name)
        return entry.pw_uid, entry.pw_gid
    except KeyError as error:
        if name.isdigit() and int(name) < 1 << 32:
            return int(name), int(name)
        raise Refused(
            f"user {name} of mox.toml does not exist; make it with: useradd -r {name}", cause=error
        ) from error


def _own_data(folder: Path, uid: int, gid: int) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o750)
    if folder.stat().st_uid != uid:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)
