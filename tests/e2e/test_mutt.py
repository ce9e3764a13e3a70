"""mutt in batch: it opens the mailbox, flags, deletes, moves and saves."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest
from support.counterparts import program
from support.messages import small_message
from support.ports import HOST
from support.servers import PASSWORD, USER, Server

pytestmark = pytest.mark.interop

CONFIG = """\
set imap_user = "{user}"
set imap_pass = "{password}"
set folder = "imap://{host}:{port}/"
set spoolfile = "imap://{host}:{port}/{mailbox}"
set ssl_starttls = no
set ssl_force_tls = no
set header_cache = ""
set record = ""
set copy = no
set delete = yes
set confirmappend = no
set confirmcreate = no
set mark_old = no
set wait_key = no
set quit = yes
set move = no
set tmpdir = "{folder}"
set sort = mailbox-order
push "{keys}"
"""


def mutt(server: Server, mailbox: str, folder: Path, keys: str) -> None:
    """Run mutt on a terminal of its own; it types the keys itself and must end by itself."""
    path = program("mutt")
    config = folder / "muttrc"
    config.write_text(
        CONFIG.format(
            user=USER,
            password=PASSWORD,
            host=HOST,
            port=server.port("imap"),
            mailbox=mailbox,
            folder=folder,
            keys=keys,
        )
    )
    terminal, inside = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "HOME": str(folder), "LINES": "40", "COLUMNS": "100"}
    process = subprocess.Popen(
        [path, "-n", "-F", str(config)],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=env,
        start_new_session=True,
    )
    os.close(inside)
    os.set_blocking(terminal, False)
    shown = bytearray()
    until = time.monotonic() + 30
    try:
        while process.poll() is None:
            if time.monotonic() > until:
                raise TimeoutError(f"mutt does not end; it shows: {bytes(shown[-1500:])!r}")
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                time.sleep(0.02)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(terminal)
    assert process.returncode == 0, bytes(shown[-1500:])


def test_mutt_flags_deletes_and_moves(imap_server: Server, mailbox: str, tmp_path: Path) -> None:
    with imap_server.imap() as client:
        for n in range(5):
            client.append(mailbox, small_message(f"mutt{n}"))
        client.ok(f"CREATE {mailbox}-kept".encode())
    keys = (
        "<first-entry><flag-message>"  # the first: flagged
        "<first-entry><next-entry><delete-message>"  # the second: deleted
        "<first-entry><next-entry><next-entry><save-message>"
        f"<kill-line>={mailbox}-kept<enter>"  # the third: moved
        "<sync-mailbox><quit>"
    )
    mutt(imap_server, mailbox, tmp_path, keys)
    with imap_server.imap() as client:
        client.select(mailbox)
        assert client.ok(b"UID SEARCH ALL").search() == [1, 4, 5]
        assert client.ok(b"UID SEARCH FLAGGED").search() == [1]
        client.select(f"{mailbox}-kept")
        moved = client.ok(b"FETCH 1 (BODY.PEEK[])").fetched()[1][b"BODY[]"]
        assert moved == small_message("mutt2")


def test_mutt_reads_and_searches_on_the_server(
    imap_server: Server, mailbox: str, tmp_path: Path
) -> None:
    with imap_server.imap() as client:
        for n in range(4):
            client.append(mailbox, small_message(f"find{n}"))
    # =b asks the server: all whose body has the word are tagged, then copied to a local file
    saved = tmp_path / "saved"
    keys = (
        "<tag-pattern>=b find2|=b find3<enter>"
        f"<tag-prefix><copy-message><kill-line>{saved}<enter><quit>"
    )
    mutt(imap_server, mailbox, tmp_path, keys)
    text = saved.read_bytes()
    assert text.count(b"\nMessage-ID: ") == 2
    assert b"<find2@small.example>" in text
    assert b"<find3@small.example>" in text
