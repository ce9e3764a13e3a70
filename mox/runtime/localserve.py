"""``mox localserve``: the real server on high ports with a ready account, made at first start.

Source  spec/cli.md section 6; spec/smtp-server.md section 0.  Every recipient of any domain is delivered
to the one account, no DNS is asked, and there are no deliberate delays.
"""

import os
import sys
from pathlib import Path

from mox.base.clock import SystemClock
from mox.base.errors import Refused
from mox.base.files import write_atomic
from mox.base.version import mox_version
from mox.config.static import Listener
from mox.runtime.certificate import make_self_signed
from mox.runtime.configfiles import DOMAINS_FILE, ConfigFiles
from mox.runtime.worker import WorkerOptions, run_worker

ACCOUNT = "mox"
ADDRESS = "mox@localhost"
PASSWORD = "moxmoxmox"  # noqa: S105 - for tests on this machine; printed at start
DEFAULT_IP = "127.0.0.1"
DEFAULT_OFFSET = 1000
STATIC_FILE = "mox.toml"
FOLDERS = ("config", "data", "tls")
CERT_FILE = "tls/localhost.crt"
KEY_FILE = "tls/localhost.key"

STATIC = """\
# Made by mox localserve: a mail server for tests on this machine.
data_dir = "../data"
log_level = "info"
hostname = "localhost"

[postmaster]
account = "{account}"
mailbox = "Inbox"

[listeners.local]
ips = ["{ip}"]
[listeners.local.tls]
[[listeners.local.tls.key_certs]]
cert_file = "../tls/localhost.crt"
key_file = "../tls/localhost.key"
[listeners.local.smtp]
enabled = true
port = {smtp}
[listeners.local.submission]
enabled = true
port = {submission}
no_require_starttls = true
[listeners.local.submissions]
enabled = true
port = {submissions}
[listeners.local.imap]
enabled = true
port = {imap}
no_require_starttls = true
[listeners.local.imaps]
enabled = true
port = {imaps}
[listeners.local.metrics_http]
enabled = true
port = {metrics}
"""

DOMAINS = """\
# Mail for any other address of any domain goes to this account as well.
[domains.localhost]
localpart_catchall_separator = "+"

[accounts.{account}]
domain = "localhost"
# It learns from $Junk and $NotJunk.
[accounts.{account}.junk_filter]
[accounts.{account}.destinations."{address}"]
"""

LOCALPARTS = """\
A recipient rcptto-CODE@..., a sender mailfrom-CODE@... or any other recipient ...-CODE@...
gets that error at RCPT TO, MAIL FROM or after DATA; besides codes 400 to 599 there are the words
temperror, permerror and timeout. A recipient queue-CODE@... of a submission gets it when the queue
delivers.
"""


def default_folder() -> Path:
    """The folder of this user."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "mox-localserve"


def prepare(folder: Path, ip: str | None, port_offset: int | None) -> ConfigFiles:
    """Make the folder at the first start, then read its configuration.

    Errors  Refused: it holds something else, or was made with another address or ports.
    """
    static = folder / "config" / STATIC_FILE
    try:
        if not static.exists():
            if not _is_ours_to_fill(folder):
                raise Refused(
                    f"{folder} holds files, but none of mox localserve; choose another --dir"
                )
            _make(folder, ip or DEFAULT_IP, DEFAULT_OFFSET if port_offset is None else port_offset)
    except OSError as error:
        raise Refused(f"cannot use {folder}: {error.strerror}", cause=error) from error
    files = ConfigFiles(static, fallback_account=ACCOUNT)
    listener = _listener(files)
    if ip is not None and ip not in listener.ips:
        raise Refused(f"{folder} was made with --ip {listener.ips[0]}; use another --dir for {ip}")
    if port_offset is not None and listener.smtp.port != port_offset + 25:
        raise Refused(
            f"{folder} was made with --port-offset {listener.smtp.port - 25}; use another --dir"
            f" for {port_offset}"
        )
    return files


def run_localserve(
    folder: Path | None, ip: str | None, port_offset: int | None, init_only: bool
) -> int:
    """Prepare, announce, serve until stopped; the exit code.    Errors: Refused, Unavailable."""
    folder = (folder or default_folder()).resolve()
    files = prepare(folder, ip, port_offset)
    if init_only:
        sys.stdout.write(f"{folder} is ready; start with: mox localserve --dir {folder}\n")
        return 0

    def ready() -> None:
        sys.stdout.write(announcement(files, folder))
        sys.stdout.flush()

    options = WorkerOptions(
        delays=False,
        special_localparts=True,
        local=True,
        new_accounts={ACCOUNT: PASSWORD},
        ready=ready,
    )
    return run_worker(files, options)


def announcement(files: ConfigFiles, folder: Path) -> str:
    """What a developer needs to know, with commands that work as they are."""
    listener = _listener(files)
    ip = listener.ips[0]
    host = f"[{ip}]" if ":" in ip else ip
    login = f"{ADDRESS} / {PASSWORD}"
    lines = [
        f"mox {mox_version()} is ready, data in {folder}",
        "",
        f"  login        {login}",
        f"  SMTP         {host}:{listener.smtp.port}",
        f"  submission   {host}:{listener.submission.port}  (STARTTLS or plain)",
        f"  submissions  {host}:{listener.submissions.port}  (TLS)",
        f"  IMAP         {host}:{listener.imap.port}  (STARTTLS or plain)",
        f"  IMAPS        {host}:{listener.imaps.port}  (TLS)",
        f"  metrics      http://{host}:{listener.metrics_http.port}/metrics",
        f"  certificate  {folder / CERT_FILE}  (self-signed)",
        "",
        "Mail to any address of any domain is delivered to this account. Try:",
        f"  swaks --server {host}:{listener.smtp.port} --to {ADDRESS}",
        f"  curl 'imap://{host}:{listener.imap.port}/INBOX' -u {ADDRESS}:{PASSWORD}"
        " -X 'FETCH 1:* (FLAGS ENVELOPE)'",
        "",
        LOCALPARTS,
    ]
    return "\n".join(lines)


def _listener(files: ConfigFiles) -> Listener:
    try:
        return files.live.config.static.listeners["local"]
    except KeyError as error:
        raise Refused(f"{files.path} has no listener named local", cause=error) from error


def _is_ours_to_fill(folder: Path) -> bool:
    """Is it missing, empty, or what a first start left that was ended half-way?"""
    if not folder.exists():
        return True
    made = {CERT_FILE, KEY_FILE, f"config/{DOMAINS_FILE}", f"config/{STATIC_FILE}"}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        # ``write_atomic`` writes under a hidden name first.
        temporary = path.name.startswith(".") and path.parent.name in FOLDERS
        if not (name in FOLDERS if path.is_dir() else name in made or temporary):
            return False
    return True


def _make(folder: Path, ip: str, offset: int) -> None:
    if not 0 <= offset <= 65535 - 993:
        raise Refused(f"--port-offset {offset} leads to ports beyond 65535")
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    make_self_signed(
        folder / CERT_FILE,
        folder / KEY_FILE,
        clock=SystemClock(),
        names=tuple(dict.fromkeys(("127.0.0.1", "::1", ip))),
        hostname="localhost",
    )
    domains = DOMAINS.format(account=ACCOUNT, address=ADDRESS)
    write_atomic(folder / "config" / DOMAINS_FILE, domains.encode())
    static = STATIC.format(
        account=ACCOUNT,
        ip=ip,
        smtp=25 + offset,
        submission=587 + offset,
        submissions=465 + offset,
        imap=143 + offset,
        imaps=993 + offset,
        metrics=81 + offset,
    )
    # Last: its presence says that the folder is complete.
    write_atomic(folder / "config" / STATIC_FILE, static.encode())
