"""Debian's Exim, unpacked beside Postfix, with a configuration and a spool of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.isolated import isolated, require_isolation, unpacked, with_unpacked
from support.mailservers import FOLDER_OWNER, MailServer

USER = "Debian-exim"
CONFIG = """\
primary_hostname = {hostname}
exim_path = {executable}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path =
keep_environment =
local_interfaces = {address}
daemon_smtp_ports = {port}
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
tls_advertise_hosts = *
chunking_advertise_hosts = *
dsn_advertise_hosts = *
acl_smtp_rcpt = recipients
acl_smtp_data = accept
smtp_accept_max = 0
recipients_max = 5000
begin acl
recipients:
  accept condition = ${{if inlisti{{$local_part@$domain}}{{{users}}}}}
  deny message = no such user here
begin routers
boxes:
  driver = accept
  local_parts = {names}
  transport = box
begin transports
box:
  driver = appendfile
  maildir_format
  directory = {folder}/boxes/$local_part_data
  create_directory
  user = {owner}
begin retry
* * F,1h,1s
"""


class Exim(MailServer):
    """Delivers at once; what it cannot deliver stays in the spool."""

    name = "exim"

    def __init__(
        self,
        domain: str,
        users: Sequence[str] = ("bob",),
        *,
        address: str = "127.0.0.1",
        hostname: str = "",
        certificate: tuple[Path, Path] | None = None,
        port: int = 0,
    ) -> None:
        self.executable = unpacked("exim4")
        require_isolation()
        super().__init__(
            domain, users, address=address, hostname=hostname, certificate=certificate, port=port
        )
        self.config = self.folder / "exim.conf"
        for name in ("spool", "log", "layers"):
            (self.folder / name).mkdir()
        self.config.write_text(
            CONFIG.format(
                folder=self.folder,
                hostname=self.hostname,
                executable=self.executable,
                address=address,
                port=self.port,
                owner=FOLDER_OWNER,
                names=" : ".join(users),
                users=" : ".join(f"{user}@{domain}" for user in users),
            )
        )

    def arguments(self) -> list[str]:
        """The command."""
        setup = with_unpacked(self.folder / "layers", [USER])
        setup.append(f"chown {USER} {self.folder}/spool {self.folder}/log {self.folder}/*.pem")
        # Where it looks by itself: with any other place named, it gives up being root.
        setup.append(f"mkdir /etc/exim4 && cp {self.config} /etc/exim4/exim4.conf")
        return isolated(setup, [self.executable, "-bdf"])

    def said(self) -> str:
        """What it printed and logged."""
        logs = sorted((self.folder / "log").glob("*log"))
        return super().said() + "".join(log.read_text(errors="replace")[-2000:] for log in logs)
