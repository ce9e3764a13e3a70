"""Start, stop and kill servers under test: ours, and Debian's Dovecot to compare with.

Each has its own folder and its own free ports on loopback, and is ended by its own process id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.counterparts import program
from support.imapclient import ImapClient
from support.ports import HOST, free_offset, wait_for_answer
from support.smtpclient import SmtpClient

USER = "mox@localhost"
PASSWORD = "moxmoxmox"
PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993}
OTHER_PORTS = (80, 81, 443)  # what localserve may listen on besides

# engine.md section 6: the same malloc settings on both sides, or a comparison measures glibc.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "8388608",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "MALLOC_TOP_PAD_": "4194304",
}


def tls_context() -> ssl.SSLContext:
    """A client context that takes any certificate: both servers make their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Server:
    """What all servers have in common."""

    name = ""
    services: tuple[str, ...] = ()
    start_seconds = 30.0

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.env = dict(env or {})
        self.offset = free_offset([*PORTS.values(), *OTHER_PORTS])
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder.parent / f"{folder.name}.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def port(self, service: str) -> int:
        """The port of smtp, submission, submissions, imap or imaps."""
        return PORTS[service] + self.offset

    @property
    def pid(self) -> int:
        """Of the running server."""
        if self.process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self.process.pid

    def arguments(self) -> list[str]:
        """The command that runs the server in the foreground."""
        raise NotImplementedError

    def start(self, before: Sequence[str] = ()) -> None:
        """Run it and wait until all ports answer.   before: a command to run it under."""
        if self.process is not None:
            raise RuntimeError(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*before, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        process = self.process
        try:
            ports = [self.port(service) for service in self.services if service[-1] != "s"]
            wait_for_answer(ports, lambda: process.poll() is None, self.start_seconds)
        except Exception as e:
            self.kill()
            raise RuntimeError(f"{self.name} does not start: {e}\n{self.said()}") from e

    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; gives the exit code."""
        process = self.process
        if process is None:
            raise RuntimeError(f"{self.name} does not run")
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{self.name} is still there {seconds} s after SIGTERM") from None
        self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL for the server and all that it started."""
        process = self.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own group: start_new_session
        process.wait()
        self.process = None

    def end(self) -> None:
        """Stop it if it runs."""
        if self.process is not None:
            self.stop()

    def rss(self) -> int:
        """Bytes of memory in use now."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """Bytes of memory in use at the worst moment since forget_peak()."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """The worst moment is now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"no {name} in /proc")

    def imap(self, *, tls: bool = False, login: bool = True, timeout: float = 20.0) -> ImapClient:
        """A new IMAP connection."""
        client = ImapClient(
            HOST,
            self.port("imaps" if tls else "imap"),
            tls=tls_context() if tls else None,
            timeout=timeout,
        )
        if login:
            try:
                client.login(USER, PASSWORD)
            except BaseException:
                client.close()
                raise
        return client

    def smtp(self, service: str = "smtp", timeout: float = 20.0) -> SmtpClient:
        """A new SMTP connection, before EHLO."""
        tls = tls_context() if service == "submissions" else None
        return SmtpClient(HOST, self.port(service), tls=tls, timeout=timeout)


class Mox(Server):
    """Our server: mox localserve, as it is installed beside this Python."""

    name = "mox"
    services: tuple[str, ...] = ("imap", "imaps", "smtp", "submission", "submissions")

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str] | None = None,
        executable: Path | None = None,
    ) -> None:
        super().__init__(folder, env)
        self.executable = executable or Path(sys.executable).with_name("mox")

    def arguments(self) -> list[str]:
        """The command."""
        return [
            str(self.executable),
            "localserve",
            "--dir",
            str(self.folder),
            "--ip",
            HOST,
            "--port-offset",
            str(self.offset),
        ]

    def verifydata(self, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """mox verifydata on the data of the server, which does not run, or on a copy."""
        return subprocess.run(
            [str(self.executable), "verifydata", str(folder or self.folder / "data")],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


class FaultyMox(Mox):
    """Our server with a committer that promises too early (``support/faulty.py``)."""

    def __init__(self, folder: Path, fault: str, env: Mapping[str, str] | None = None) -> None:
        paths = [str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(":")]
        super().__init__(folder, {"PYTHONPATH": ":".join(filter(None, paths)), **(env or {})})
        self.fault = fault

    def arguments(self) -> list[str]:
        """The command, by way of the fault."""
        return [sys.executable, "-m", "support.faulty", self.fault, *super().arguments()[1:]]


DOVECOT_CONFIG = """\
base_dir = {base}/run
state_dir = {base}/state
instance_name = mox-{port}
protocols = imap
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
default_process_limit = 300
default_client_limit = 2000
default_vsz_limit = 0
log_path = {base}/log
mail_location = sdbox:{base}/mail
mail_home = {base}/home
mail_uid = {mail}
mail_gid = {mail_group}
first_valid_uid = 1
mail_max_userip_connections = 1000
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{base}/cert.pem
ssl_key = <{base}/key.pem
import_environment = TZ {environment}
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid={mail} gid={mail_group} home={base}/home
}}
protocol imap {{
  mail_max_userip_connections = 1000
}}
service imap-login {{
  {chroot}
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {port_tls}
    ssl = yes
  }}
}}
service anvil {{
  {chroot}
}}
service imap {{
  process_limit = 300
}}
service stats {{
  {chroot}
}}
"""


class Dovecot(Server):
    """Debian's Dovecot 2.3 with sdbox; touches nothing of the system's own configuration."""

    name = "dovecot"
    services: tuple[str, ...] = ("imap", "imaps")

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, env)
        self.executable = program("dovecot", "dovecot-imapd")
        # Its processes run as other users, who may not enter a test's folder.
        self.base = Path(tempfile.mkdtemp(prefix="mox-dovecot-"))
        self._write_config()

    def _write_config(self) -> None:
        root = os.geteuid() == 0
        me = str(os.geteuid())
        self.base.chmod(0o755)
        make_certificate(self.base / "cert.pem", self.base / "key.pem")
        (self.base / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        (self.base / "users").chmod(0o644)
        for name in ("run", "state"):
            (self.base / name).mkdir(mode=0o755)
        for name in ("mail", "home"):
            (self.base / name).mkdir(mode=0o777)
            (self.base / name).chmod(0o777)
        (self.base / "dovecot.conf").write_text(
            DOVECOT_CONFIG.format(
                base=self.base,
                internal="dovecot" if root else me,
                internal_group="dovecot" if root else str(os.getegid()),
                login="dovenull" if root else me,
                mail="mail" if root else me,
                mail_group="mail" if root else str(os.getegid()),
                chroot="" if root else "chroot =",
                environment=" ".join(f"{name}={value}" for name, value in self.env.items()),
                port=self.port("imap"),
                port_tls=self.port("imaps"),
            )
        )

    def arguments(self) -> list[str]:
        """The command."""
        return [self.executable, "-F", "-c", str(self.base / "dovecot.conf")]

    def said(self) -> str:
        """What it printed and logged."""
        log = self.base / "log"
        return super().said() + (log.read_text(errors="replace")[-4000:] if log.exists() else "")

    def end(self) -> None:
        """Stop it and remove its folder."""
        super().end()
        shutil.rmtree(self.base)


def make_certificate(certificate: Path, key: Path) -> None:
    """A self-signed certificate for localhost, made by openssl."""
    subprocess.run(
        [
            program("openssl"),
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "30", "-subj", "/CN=localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
