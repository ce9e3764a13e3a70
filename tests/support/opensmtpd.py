"""Debian's OpenSMTPD, unpacked beside Postfix, with a configuration and a queue of its own."""

from __future__ import annotations

from collections.abc import Sequence

from support.isolated import isolated, require_isolation, unpacked, with_unpacked
from support.mailservers import FOLDER_OWNER, MailServer

CONFIG = """\
pki "{hostname}" cert "{folder}/cert.pem"
pki "{hostname}" key "{folder}/key.pem"
listen on {address} port {port} {tls} hostname "{hostname}"
table users {{ {users} }}
action "deliver" maildir "{folder}/boxes/%{{dest.user}}"
match from any for domain "{domain}" rcpt-to <users> action "deliver"
"""


class OpenSmtpd(MailServer):
    """Takes plain SMTP.

    ``starttls``: offers it, and fails: version 6.8 cannot use its key with OpenSSL 3.  Its kind
    exists, and opportunistic TLS has to get past it.
    """

    name = "opensmtpd"

    def __init__(
        self,
        domain: str,
        users: Sequence[str] = ("bob",),
        *,
        address: str = "127.0.0.1",
        hostname: str = "",
        starttls: bool = False,
        port: int = 0,
    ) -> None:
        self.executable = unpacked("smtpd")
        require_isolation()
        super().__init__(domain, users, address=address, hostname=hostname, port=port)
        self.config = self.folder / "smtpd.conf"
        (self.folder / "layers").mkdir()
        self.config.write_text(
            CONFIG.format(
                folder=self.folder,
                hostname=self.hostname,
                address=address,
                port=self.port,
                tls=f'tls pki "{self.hostname}"' if starttls else "",
                domain=domain,
                users=", ".join(f'"{user}@{domain}"' for user in users),
            )
        )

    def arguments(self) -> list[str]:
        """The command."""
        setup = with_unpacked(self.folder / "layers", ["opensmtpd", "opensmtpq"])
        setup.append("mkdir -p /var/lib/opensmtpd/empty")
        # It delivers to users of the system alone; these own what the owner of the boxes owns.
        owner = f"$(id -u {FOLDER_OWNER}):$(id -g {FOLDER_OWNER})"
        for user in self.users:
            line = f"{user}:x:{owner}::{self.boxes}:/usr/sbin/nologin"
            setup.append(f'echo "{line}" >> /etc/passwd')
        return isolated(setup, [self.executable, "-d", "-f", str(self.config)])
