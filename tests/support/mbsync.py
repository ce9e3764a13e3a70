"""mbsync between a server's mailbox and a Maildir."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.counterparts import program
from support.ports import HOST
from support.servers import PASSWORD, USER, Server

CONFIG = """\
FSync no

IMAPAccount server
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account server

MaildirStore near
Path {folder}/
Inbox {folder}/inbox
SubFolders Verbatim

Channel all
Far :far:{mailbox}
Near :near:{mailbox}
Create Near
Expunge Both
CopyArrivalDate yes
SyncState *
"""


class Sync:
    """One mailbox, kept in one folder."""

    def __init__(self, server: Server, mailbox: str, folder: Path) -> None:
        self._program = program("mbsync", "isync")
        self.folder = folder
        folder.mkdir(parents=True)
        self.maildir = folder / mailbox
        self._config = folder / "mbsyncrc"
        self._config.write_text(
            CONFIG.format(
                host=HOST,
                port=server.port("imap"),
                user=USER,
                password=PASSWORD,
                folder=folder,
                mailbox=mailbox,
            )
        )

    def run(self) -> None:
        """Synchronise; any complaint of mbsync but the one about plain passwords is an error."""
        done = subprocess.run(
            [self._program, "-q", "-c", str(self._config), "all"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        complaints = [line for line in done.stderr.splitlines() if "sent in the clear" not in line]
        if done.returncode or complaints:
            raise AssertionError(f"mbsync: exit {done.returncode}: {complaints}")

    def files(self) -> list[Path]:
        """The messages of the Maildir."""
        return sorted([*self.maildir.glob("new/*"), *self.maildir.glob("cur/*")])

    def uid(self, file: Path) -> int:
        """The UID that mbsync keeps in the name."""
        match = re.search(r",U=(\d+)", file.name)
        if match is None:
            raise AssertionError(f"no UID in {file.name}")
        return int(match[1])

    def set_flags(self, file: Path, letters: str) -> None:
        """What a Maildir reader does: S seen, F flagged, R answered, T trashed."""
        base = file.name.partition(":2,")[0]
        file.rename(self.maildir / "cur" / f"{base}:2,{''.join(sorted(letters))}")
