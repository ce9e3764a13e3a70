"""What a connection costs in memory while its large message arrives.

python -m benchmarks.macro.smtpmemory [--connections 40] [--megabytes 50]    (PYTHONPATH=tests, as in ci/bench)

Every connection sends a message side by side with the others, and stops for the measurement when 60 %
of it is there.  Told are the growth of the server's resident memory by connection, at that moment and
at its peak on the way, in clear and over TLS, by DATA and by BDAT.  mox localserve, which judges nobody;
with judging the hash of the body is kept besides.
"""

from __future__ import annotations

import argparse
import fcntl
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.servers import MALLOC, Mox, tls_context
from support.smtpclient import SmtpClient

SLICE = 64 * 1024
LINE = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789\r\n"
SHARE = 0.6
WAIT_S = 120.0


class Memory:
    """Resident memory of a process, in bytes."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def reset_peak(self) -> None:
        (self._folder / "clear_refs").write_text("5")

    def now(self) -> int:
        return self._read("VmRSS")

    def peak(self) -> int:
        return self._read("VmHWM")

    def _read(self, name: str) -> int:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"{name} is not in {self._folder}/status")


def unsent(client: SmtpClient) -> int:
    """Bytes the server's machine has not acknowledged."""
    answer = fcntl.ioctl(client.sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return int(struct.unpack("i", answer)[0])


@contextmanager
def connected(server: Mox, count: int, *, tls: bool) -> Iterator[list[SmtpClient]]:
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(
                SmtpClient("127.0.0.1", server.port("smtp"), timeout=WAIT_S)
            )
            client.ehlo()
            if tls:
                client.starttls(tls_context())
                client.ehlo()
            client.command(b"MAIL FROM:<a@far.example>", 250)
            client.command(b"RCPT TO:<mox@localhost>", 250)
            clients.append(client)
        yield clients


def spooled(folder: Path) -> int:
    """Bytes of messages that are on disk already."""
    total = 0
    for path in folder.rglob("spool-*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def measure(server: Mox, count: int, size: int, *, tls: bool, chunked: bool) -> tuple[float, float]:
    """Bytes by connection: in the middle, and at the peak."""
    memory = Memory(server.pid)
    body = LINE * (SLICE // len(LINE))
    with connected(server, count, tls=tls) as clients:
        before = memory.now()
        memory.reset_peak()
        for client in clients:
            if chunked:
                client.send(b"BDAT %d LAST\r\n" % (len(body) * (size // len(body))))
            else:
                client.command(b"DATA", 354)
            client.send(b"Subject: large\r\n\r\n")
        for _ in range(int(size * SHARE) // len(body)):
            for client in clients:
                client.send(body)
        until = time.monotonic() + WAIT_S
        # What is smaller than a file is in memory.
        expected = 0 if size < 2_000_000 else count * int(size * SHARE * 0.95)
        while any(map(unsent, clients)) or spooled(server.folder) < expected:
            if time.monotonic() > until:
                raise TimeoutError("the server does not read")
            time.sleep(0.05)
        return (memory.now() - before) / count, (memory.peak() - before) / count


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--megabytes", type=int, default=50)
    options = parser.parse_args()
    size = options.megabytes * 1_000_000
    print("| way in | KiB by connection | at the peak |")
    print("|---|---|---|")
    for tls in (False, True):
        for chunked in (False, True):
            # A server of its own for each: freed memory stays with the process, and would not be seen.
            with (
                tempfile.TemporaryDirectory(prefix="mox-memory-") as folder,
                Mox(Path(folder) / "mox", MALLOC) as server,
            ):
                measure(server, 1, 200_000, tls=tls, chunked=chunked)  # loads what is loaded late
                middle, peak = measure(server, options.connections, size, tls=tls, chunked=chunked)
            name = f"{'BDAT' if chunked else 'DATA'} {'over TLS' if tls else 'in clear'}"
            print(f"| {name} | {middle / 1024:.0f} | {peak / 1024:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
