"""What foreign mail servers under test have in common: a port, a certificate, Maildirs to look into."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from support.daemon import Daemon, answers_tcp, free_port, greets
from support.servers import make_certificate
from support.serving import wait_until
from support.smtpclient import SmtpClient

FOLDER_OWNER = "mail"  # Debian's user for mail; every system has it


class MailServer(Daemon):
    """Takes mail for ``users`` of ``domain`` by SMTP with STARTTLS, into a Maildir for each."""

    def __init__(
        self,
        domain: str,
        users: Sequence[str],
        *,
        address: str = "127.0.0.1",
        hostname: str = "",
        certificate: tuple[Path, Path] | None = None,
        port: int = 0,
    ) -> None:
        """Input   certificate: files of chain and key; None: a self-signed one for localhost.

        port: 0: any that is free.
        """
        super().__init__()
        self.domain = domain
        self.users = users
        self.hostname = hostname or f"mx.{domain}"
        self.address = address
        self.port = port or free_port()
        self.certificate, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        if certificate is None:
            make_certificate(self.certificate, self.key)
        else:
            for source, copy in zip(certificate, (self.certificate, self.key), strict=True):
                shutil.copyfile(source, copy)
        self.key.chmod(0o600)
        self.boxes = self.folder / "boxes"
        self.boxes.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.boxes, FOLDER_OWNER, FOLDER_OWNER)

    def is_ready(self) -> bool:
        """Whether it greets."""
        return answers_tcp(self.port, greets, self.address)

    def smtp(self, timeout: float = 20.0) -> SmtpClient:
        """A new connection to it, before EHLO."""
        return SmtpClient(self.address, self.port, timeout=timeout)

    def messages(self, localpart: str) -> list[bytes]:
        """What was delivered, in no order."""
        found = []
        for name in ("new", "cur"):
            found += [file.read_bytes() for file in (self.boxes / localpart / name).glob("*")]
        return found

    def wait_for(self, localpart: str, count: int = 1, seconds: float = 60.0) -> list[bytes]:
        """The messages, once there are so many.    Errors: TimeoutError."""
        wait_until(
            lambda: len(self.messages(localpart)) >= count,
            seconds,
            lambda: f"{self.name}: {len(self.messages(localpart))} messages: {self.said()}",
        )
        return self.messages(localpart)
