"""``mox serve`` under test: its configuration, its processes, and the command line beside it."""

from __future__ import annotations

import functools
import os
import re
import socket
import ssl
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import mox
from mox.base.clock import SystemClock
from mox.runtime.certificate import make_self_signed
from support.imapclient import ImapClient
from support.localnames import local_names
from support.ports import HOST
from support.servers import PORTS, Server, tls_context
from support.smtpclient import SmtpClient

METRICS = 81
STATIC = """\
data_dir = "../data"
log_level = "info"
hostname = "mail.example.org"
user = "{user}"
[postmaster]
account = "alice"
mailbox = "Postmaster"
[dns]
resolvers = ["{resolver}"]
[listeners.main]
ips = ["127.0.0.1"]
[listeners.main.tls]
[[listeners.main.tls.key_certs]]
cert_file = "../tls/cert.pem"
key_file = "../tls/key.pem"
[listeners.main.smtp]
enabled = true
port = {smtp}
first_time_sender_delay = "0s"
[listeners.main.submission]
enabled = true
port = {submission}
[listeners.main.submissions]
enabled = true
port = {submissions}
[listeners.main.imap]
enabled = true
port = {imap}
[listeners.main.imaps]
enabled = true
port = {imaps}
[listeners.main.metrics_http]
enabled = true
port = {metrics}
"""
DOMAINS = """\
# Kept through every change by command.
[domains."example.org"]
localpart_catchall_separator = "+"
[domains."example.net"]

[accounts.alice]
domain = "example.org"
[accounts.alice.destinations."alice@example.org"]
[accounts.bob]
domain = "example.net"
[accounts.bob.destinations."bob@example.net"]
[accounts.bob.destinations."bob@example.org"]
"""


def password_of(account: str) -> str:
    """The password that tests give an account."""
    return f"secret of {account}"


@functools.cache
def everybodys_python() -> tuple[str, dict[str, str]]:
    """A Python that also an unprivileged user can run mox with, and the environment it needs.

    As root ours may be out of the reach of others, in /root.
    """
    here = [str(Path(mox.__file__).parents[1]), *map(sysconfig.get_path, ("purelib", "platlib"))]
    choices = [(sys.executable, {}), ("/usr/bin/python3", {"PYTHONPATH": ":".join(here)})]
    for python, env in choices:
        try:
            done = subprocess.run(
                [python, "-c", "import mox.runtime.worker"],
                env={**os.environ, **env},
                cwd="/",
                capture_output=True,
                timeout=60,
                check=False,
                user="nobody" if os.geteuid() == 0 else None,
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python, env
    pytest.skip("no Python here that the user nobody can run mox with")


class Serve(Server):
    """Our server as it runs in earnest: two processes, two domains, accounts alice and bob."""

    name = "mox serve"
    services: tuple[str, ...] = ("imap", "smtp", "submission")

    def __init__(
        self,
        folder: Path,
        *,
        user: str = "nobody",
        python: tuple[str, dict[str, str]] | None = None,
    ) -> None:
        executable, env = python or everybodys_python()
        super().__init__(folder, env)
        self.command = [executable, "-P", "-m", "mox.cli.main"]
        self.config = folder / "config"
        self.domains = self.config / "domains.toml"
        for name in ("config", "tls"):
            (folder / name).mkdir(parents=True)
        ports = {service: self.port(service) for service in PORTS}
        static = STATIC.format(
            user=user, metrics=METRICS + self.offset, resolver=local_names(), **ports
        )
        (self.config / "mox.toml").write_text(static)
        self.domains.write_text(DOMAINS)
        self.renew_certificate()

    def renew_certificate(self) -> bytes:
        """Put a new certificate in place, which only its owner may read; gives it as DER."""
        cert, key = self.folder / "tls" / "cert.pem", self.folder / "tls" / "key.pem"
        names = ("localhost", "127.0.0.1")
        make_self_signed(cert, key, clock=SystemClock(), hostname="mail.example.org", names=names)
        return ssl.PEM_cert_to_DER_cert(cert.read_text())

    def certificate(self, service: str = "imaps") -> bytes:
        """The certificate that a new connection is shown, as DER."""
        with (
            socket.create_connection((HOST, self.port(service)), timeout=10) as plain,
            tls_context().wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""

    def arguments(self) -> list[str]:
        """The command."""
        return [*self.command, "--config", str(self.config / "mox.toml"), "serve"]

    def mox(self, line: str, *more: str, stdin: bytes = b"", code: int = 0) -> tuple[str, str]:
        """A command beside the server, with the exit code it must have; what it printed."""
        done = subprocess.run(
            [*self.command, "--config", str(self.config / "mox.toml"), *line.split(), *more],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, **self.env},
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        if done.returncode != code:
            raise AssertionError(f"mox {line}: exit code {done.returncode}: {out}{err}")
        if "Traceback" in err:
            raise AssertionError(f"mox {line}: {err}")
        return out, err

    def set_passwords(self, *accounts: str) -> None:
        """Give accounts the password that ``login`` uses."""
        for account in accounts:
            self.mox("setaccountpassword", account, stdin=password_of(account).encode() + b"\n")

    def worker(self) -> int:
        """The id of the worker's process."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        if len(children) != 1:
            raise RuntimeError(f"{self.name} has {len(children)} children")
        return int(children[0])

    def login(self, address: str, account: str = "") -> ImapClient:
        """An IMAP connection of a user."""
        account = account or address.partition("@")[0]
        client = ImapClient(HOST, self.port("imaps"), tls=tls_context())
        try:
            client.login(address, password_of(account))
        except BaseException:
            client.close()
            raise
        return client

    def submit_as(self, address: str, account: str = "") -> SmtpClient:
        """A submission connection of a user, logged in."""
        account = account or address.partition("@")[0]
        client = self.smtp("submissions")
        try:
            client.ehlo()
            client.auth_plain(address, password_of(account))
        except BaseException:
            client.close()
            raise
        return client

    def wait_for_log(self, pattern: str, seconds: float = 10.0) -> None:
        """Until a line of the log matches."""
        wait_until(
            lambda: re.search(pattern, self.log.read_text(errors="replace")) is not None,
            seconds,
            lambda: f"{pattern!r} is not in the log:\n{self.said()}",
        )


def wait_until(
    true: Callable[[], bool], seconds: float = 10.0, why: Callable[[], str] | None = None
) -> None:
    """Until something is so.    Errors: TimeoutError."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(why() if why is not None else f"not so within {seconds} s")
        time.sleep(0.02)
