"""Debian's Postfix with a configuration and a queue of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.counterparts import program
from support.daemon import require_root
from support.isolated import isolated, require_isolation
from support.mailservers import MailServer

OWNER = "postfix"  # Debian's user for it
MAIN = """\
compatibility_level = 3.6
config_directory = {folder}/config
queue_directory = {folder}/queue
data_directory = {folder}/data
meta_directory = /etc/postfix
maillog_file = /dev/stdout
myhostname = {hostname}
mydestination =
mynetworks =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{folder}/config/boxes
virtual_mailbox_base = {folder}/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_recipient_limit = 5000
smtp_dns_support_level = {dns}
smtp_bind_address = {address}
smtp_tls_security_level = may
smtp_helo_name = {hostname}
transport_maps = regexp:{folder}/config/transports
relay_domains = regexp:{folder}/config/transports regexp:{folder}/config/sends_to
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""
# smtpd where it listens; the others as Debian's master.cf has them, without chroot.
MASTER = """\
{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(MailServer):
    """Takes mail for its domain, and for the domains in ``routes``, which it sends on."""

    name = "postfix"

    def __init__(
        self,
        domain: str,
        users: Sequence[str] = ("bob",),
        *,
        address: str = "127.0.0.1",
        hostname: str = "",
        certificate: tuple[Path, Path] | None = None,
        routes: Mapping[str, tuple[str, int]] | None = None,
        sends_to: Sequence[str] = (),
        resolver: str = "",
        settings: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        """Input   address: also where it connects from.  routes: domain → address and port.
        sends_to: domains whose MX it asks ``resolver`` for, an address, at port 53.
        settings: further lines of main.cf.
        """
        self.executable = program("postfix")
        require_root("Postfix")
        if resolver:
            require_isolation()
        super().__init__(
            domain, users, address=address, hostname=hostname, certificate=certificate, port=port
        )
        config = self.folder / "config"
        for folder in (config, self.folder / "queue", self.folder / "data"):
            folder.mkdir()
        shutil.chown(self.folder / "data", OWNER, OWNER)
        owner = self.boxes.stat()
        main = MAIN.format(
            folder=self.folder,
            hostname=self.hostname,
            domain=domain,
            address=address,
            uid=owner.st_uid,
            gid=owner.st_gid,
            dns="dnssec" if resolver else "disabled",
        )
        # A name that stands twice is warned of by every process; before postlogd runs, ten warnings fill
        # its socket, and it waits for itself.
        lines = dict(line.split(" =", 1) for line in main.splitlines())
        lines |= {name: f" {value}" for name, value in (settings or {}).items()}
        (config / "main.cf").write_text("".join(f"{name} ={lines[name]}\n" for name in lines))
        (config / "master.cf").write_text(MASTER.format(address=address, port=self.port))
        (config / "boxes").write_text("".join(f"{u}@{domain} {u}/\n" for u in users))
        self.resolv = self.folder / "resolv.conf" if resolver else None
        if self.resolv is not None:
            self.resolv.write_text(f"nameserver {resolver}\noptions edns0 trust-ad\n")
        (config / "sends_to").write_text("".join(f"{_pattern(one)} OK\n" for one in sends_to))
        self.route(routes or {})

    def route(self, routes: Mapping[str, tuple[str, int]]) -> None:
        """Where mail for other domains goes; before it is started."""
        lines = [
            f"{_pattern(domain)} smtp:[{address}]:{port}\n"
            for domain, (address, port) in routes.items()
        ]
        (self.folder / "config" / "transports").write_text("".join(lines))

    def start(self) -> None:
        """Make its folders, run it and wait for its greeting."""
        command = [self.executable, "-c", str(self.folder / "config"), "check"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"postfix check: {done.stdout}{done.stderr}")
        super().start()

    def arguments(self) -> list[str]:
        """The command: its master process, which start-fg would leave behind."""
        command = ["/usr/lib/postfix/sbin/master", "-s", "-c", str(self.folder / "config")]
        if self.resolv is None:
            return command
        return isolated([f"mount --bind {self.resolv} /etc/resolv.conf"], command)


def _pattern(domain: str) -> str:
    return f"/(^|@){domain.replace('.', '[.]')}$/"
