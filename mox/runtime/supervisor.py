"""The parent process of ``mox serve``: binds ports, drops rights, keeps the worker running.

Started as root it binds the configured ports, opens the certificates, and hands both to a worker that
runs as the configured user: root itself hears no stranger.  A worker that dies is started again;
SIGTERM and SIGINT are passed on, and the worker's exit code is ours.

Source  spec/cli.md section 9.
"""

import ctypes
import errno
import os
import select
import signal
import subprocess
import sys

from mox.base.clock import SystemClock
from mox.base.errors import Refused
from mox.base.log import get_logger
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.inheritance import VARIABLE, Copy, Inheritance, offer
from mox.runtime.listeners import Bound, bind_places, places
from mox.runtime.rights import User, find_user, give_config, give_data

log = get_logger("supervisor")

PR_SET_PDEATHSIG = 1
RESTART_WAIT_S = (0.1, 1.0, 5.0, 15.0)  # after the first, second, ... failure in a row
STEADY_S = 60.0  # a worker that ran so long starts counting anew
RENEW_S = 1.0  # how often certificates are looked at


def supervise(files: ConfigFiles) -> int:
    """Run until stopped; the exit code.    Errors: Refused, Unavailable when a port is in use."""
    if VARIABLE in os.environ:
        raise Refused(f"{VARIABLE} is set: mox serve was called by its own worker")
    static = files.live.config.static
    user = find_user(static.user) if os.geteuid() == 0 else None
    bound = bind_places(places(static.listeners, files.relative))
    certificates: dict[str, Copy] = {}
    if user is not None:
        named = {
            name
            for listener in static.listeners.values()
            if listener.tls is not None
            for pair in listener.tls.key_certs
            for name in (pair.cert_file, pair.key_file)
        }
        certificates = {name: Copy(files.relative(name)) for name in sorted(named)}
        if not static.no_fix_permissions:
            give_data(files.data_dir, user)
            own = [files.data_dir, *map(files.relative, named)]
            give_config(files.path.resolve(), files.domains_path.resolve(), user, own)
    return _Supervisor(files, bound, user, certificates).run()


class _Worker:
    """A running worker."""

    def __init__(self, process: "subprocess.Popen[bytes]", ready: int) -> None:
        self.process = process
        self.exit = os.pidfd_open(process.pid)
        self.ready = ready  # a pipe
        self.began = SystemClock().monotonic_s()

    def close(self) -> None:
        os.close(self.exit)
        os.close(self.ready)


class _Supervisor:
    """Waits for three things: signals, the end of the worker, changed certificates."""

    def __init__(
        self,
        files: ConfigFiles,
        bound: Bound,
        user: User | None,
        certificates: dict[str, Copy],
    ) -> None:
        self._files = files
        self._bound = bound
        self._user = user
        self._certificates = certificates
        # What was read at start stays in force, also for workers that come later.
        self._static = Copy(files.path, files.static_text.encode())
        self._signals, self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stopping = False
        self._was_ready = False

    def run(self) -> int:
        """Until stopped; the exit code."""
        signal.set_wakeup_fd(self._wakeup)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)  # the pipe tells
        failures = 0
        while True:
            worker = self._start()
            try:
                code = self._attend(worker)
            finally:
                worker.close()
            if code == 0 or (self._stopping and code == -signal.SIGTERM):
                return 0  # the latter before it listened to signals
            if self._stopping:
                return code if code > 0 else 128 - code
            if not self._was_ready:
                # It said why; trying again would say the same.
                return code if code > 0 else 128 - code
            if SystemClock().monotonic_s() - worker.began > STEADY_S:
                failures = 0
            wait = RESTART_WAIT_S[min(failures, len(RESTART_WAIT_S) - 1)]
            failures += 1
            log.error("worker.died", code=code, restart_in_s=wait)
            if self._signals in self._wait([], wait):
                return 0

    def _start(self) -> _Worker:
        ready, ready_worker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        handed = Inheritance(
            sockets=offer(self._bound),
            static=self._static.descriptor,
            ready=ready_worker,
            files={name: copy.descriptor for name, copy in self._certificates.items()},
        )
        user = self._user
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                # -P: no modules from the current folder, whoever may write there.
                [sys.executable, "-P", "-m", "mox.runtime.serve", str(self._files.path.absolute())],
                env={**os.environ, VARIABLE: handed.encode()},
                pass_fds=handed.descriptors,
                user=None if user is None else user.uid,
                group=None if user is None else user.gid,
                extra_groups=None if user is None else user.groups,
                umask=0o007,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        except PermissionError as error:
            name = user.name if user is not None else "this user"
            why = (
                f"user {name} may not run {sys.executable}; install mox where every user can read it"
                if error.errno == errno.EACCES
                else f"cannot become user {name}: {error.strerror}"
            )
            raise Refused(why, cause=error) from error
        finally:
            os.close(ready_worker)
        log.info("worker.started", worker=process.pid, user=user.name if user is not None else "")
        return _Worker(process, ready)

    def _attend(self, worker: _Worker) -> int:
        """Until the worker has ended; its exit code."""
        watched = [worker.exit, worker.ready]
        if self._stopping:
            worker.process.send_signal(signal.SIGTERM)
        while True:
            came = self._wait(watched, RENEW_S if self._certificates else None)
            if worker.ready in came:
                watched.remove(worker.ready)
                self._was_ready = self._was_ready or os.read(worker.ready, 1) != b""
            if worker.exit in came:
                return worker.process.wait()
            if self._signals in came:
                worker.process.send_signal(signal.SIGTERM)
            self._renew()

    def _wait(self, descriptors: list[int], seconds: float | None) -> set[int]:
        """Those that have something, the pipe of signals among them."""
        poll = select.poll()
        for descriptor in (self._signals, *descriptors):
            poll.register(descriptor, select.POLLIN)
        came = {found for found, _ in poll.poll(None if seconds is None else seconds * 1000)}
        if self._signals in came:
            os.read(self._signals, 4096)
            self._stopping = True
        return came

    def _renew(self) -> None:
        for name, copy in self._certificates.items():
            try:
                if copy.renew():
                    log.info("certificate.changed", file=name)
            except Refused as error:
                log.error("certificate.unreadable", file=name, problem=error.public)


def _end_with_parent() -> None:
    """In the worker, before it runs: a supervisor that is killed takes it along."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
