"""Send mail: messages per second from submission until all are at the next server, everything durable.

    python -m benchmarks.macro.send [--count 2000] [--rounds 3] [--save NAME]

Ours signs each message with DKIM (RSA 2048) and sends it to Debian's smtp-sink; Debian's Postfix beside us
takes the same load and sends to the same sink, unsigned.  Clients submit over TLS to both, with PIPELINING.  A second server
of ours does the same while mail for a destination that accepts connections and then hangs waits in its
queue.  Rounds are interleaved.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.counterparts import program
from support.daemon import free_port
from support.ports import HOST
from support.postfix import Postfix
from support.servers import MALLOC
from support.serving import Serve, wait_until
from support.smtpclient import SmtpClient, stuffed

from benchmarks.macro.deliver import print_table
from benchmarks.macro.report import Line, Report, commit, describe_machine, save

CONNECTIONS = 10
HANGING = 50  # messages for the destination that hangs
SIZES = (4 * 1024, 100 * 1024)
_COUNT = re.compile(rb"mesg=(\d+)")


class Sink:
    """smtp-sink, which takes everything and counts."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        self.port = free_port()
        self._said = folder / "sink"
        out = stack.enter_context(self._said.open("wb"))
        command = [
            program("smtp-sink", "postfix"),
            "-u",
            "nobody",
            "-c",
            f"{HOST}:{self.port}",
            "1000",
        ]
        self._process = subprocess.Popen(command, stdout=out, stderr=out)
        stack.callback(self._end)

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()

    def count(self) -> int:
        """Messages so far."""
        with self._said.open("rb") as file:
            file.seek(max(0, self._said.stat().st_size - 500))
            found = _COUNT.findall(file.read())
        return int(found[-1]) if found else 0


class Hanging:
    """A destination that accepts connections and never says a word."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._socket = stack.enter_context(socket.create_server((HOST, 0), backlog=100))
        self.port: int = self._socket.getsockname()[1]
        self._held: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                self._held.append(self._socket.accept()[0])


class Sender(NamedTuple):
    """A server under test."""

    name: str
    connect: Callable[[], SmtpClient]
    sender: bytes


def ours(stack: contextlib.ExitStack, folder: Path, sink: Sink) -> Sender:
    """mox serve, which signs."""
    server = _serve(stack, folder, "serve", sink.port, sink.port)
    return Sender("mox", lambda: server.submit_as("alice@example.org"), b"alice@example.org")


def ours_beside(stack: contextlib.ExitStack, folder: Path, sink: Sink) -> Sender:
    """The same, with mail for a destination that hangs."""
    server = _serve(stack, folder, "hanging", sink.port, Hanging(stack).port)
    stack.callback(server.kill)  # a stop waits for deliveries
    message = b"From: alice@example.org\r\nSubject: waits\r\n\r\n" + b"x\r\n" * 1000
    with server.submit_as("alice@example.org") as client:
        for number in range(HANGING):
            to = b"user%d@hanging.example" % number
            client.deliver(b"alice@example.org", [to], message)
    return Sender(
        "mox beside a destination that hangs",
        lambda: server.submit_as("alice@example.org"),
        b"alice@example.org",
    )


def _serve(
    stack: contextlib.ExitStack, folder: Path, name: str, sink_port: int, hanging_port: int
) -> Serve:
    server = Serve(folder / name)
    key = generate_private_key(65537, 2048)
    (server.config / "dkim.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (server.config / "dkim.pem").chmod(0o644)
    static = server.config / "mox.toml"
    static.write_text(
        static.read_text()
        + "".join(
            f'[transports.{name}.smtp]\nhost = "{HOST}"\nport = {port}\nno_starttls = true\n'
            for name, port in (("sink", sink_port), ("hanging", hanging_port))
        )
    )
    text = server.domains.read_text()
    text = text.replace(
        '[domains."example.net"]\n',
        '[domains."example.org".dkim]\nsign = ["bench"]\n'
        '[domains."example.org".dkim.selectors.bench]\nprivate_key_file = "dkim.pem"\n'
        '[domains."example.net"]\n',
    )
    text = text.replace(
        '[accounts.alice]\ndomain = "example.org"\n',
        '[accounts.alice]\ndomain = "example.org"\n'
        "max_outgoing_messages_per_day = 1000000000\n"
        "max_first_time_recipients_per_day = 1000000000\n",
    )
    server.domains.write_text(
        text
        + '[[routes]]\nto_domain = ["hanging.example"]\ntransport = "hanging"\n'
        + '[[routes]]\ntransport = "sink"\n'
    )
    server.start()
    stack.callback(server.end)
    server.set_passwords("alice")
    return server


def theirs(stack: contextlib.ExitStack, _folder: Path, sink: Sink) -> Sender:
    """Postfix."""
    postfix = stack.enter_context(
        Postfix(
            "localhost",
            ["mox"],
            settings={
                "mynetworks": "127.0.0.0/8",
                "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
                "transport_maps": f"static:smtp:[{HOST}]:{sink.port}",
                "relay_domains": "static:all",
                "smtp_tls_security_level": "none",
                "smtpd_client_connection_rate_limit": "0",
            },
        )
    )

    context = ssl.create_default_context(cafile=str(postfix.certificate))

    def connect() -> SmtpClient:
        client = postfix.smtp()
        client.ehlo()
        client.starttls(context)
        client.ehlo()
        return client

    return Sender("postfix", connect, b"alice@example.org")


def run(sender: Sender, sink: Sink, size: int, count: int) -> float:
    """Messages per second, from the first MAIL until the sink has all."""
    body = stuffed((b"x" * 76 + b"\r\n") * (size // 78))
    before = sink.count()
    numbers = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        with sender.connect() as client:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                header = f"From: alice@example.org\r\nSubject: message {number}\r\n\r\n".encode()
                to = f"user{number % 7}@d{number % 5}.example".encode()
                # RFC 2920: both servers offer PIPELINING.
                client.send(b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\n" % (sender.sender, to))
                for code in (250, 250, 354):
                    client.expect(client.read_reply(), code)
                client.send(header + body)
                client.expect(client.read_reply(), 250)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: sink.count() >= before + count, 600.0)
    return count / (time.perf_counter() - began)


def main() -> None:
    """Read the arguments, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="messages of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="some of mox,hanging,postfix")
    parser.add_argument("--save", default="", help="name of the result; empty: do not save")
    given = parser.parse_args()
    lines: list[Line] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mox-bench-")))
        folder.chmod(0o755)
        machine = describe_machine(folder)
        sink = Sink(stack, folder)
        makers = {"mox": ours, "hanging": ours_beside, "postfix": theirs}
        wanted = given.only.split(",") if given.only else list(makers)
        senders = [makers[name](stack, folder, sink) for name in wanted]
        rng = random.Random(1)
        for size in SIZES:
            found: dict[str, list[float]] = {sender.name: [] for sender in senders}
            for n in range(given.rounds + 1):
                for sender in rng.sample(senders, len(senders)):
                    value = run(sender, sink, size, given.count)
                    if n:
                        found[sender.name].append(value)
            name = f"{size // 1024} KB, {CONNECTIONS} connections, to the next server"
            told = ", ".join(f"{one} {statistics.median(v):,.0f}/s" for one, v in found.items())
            print(f"{name}: {told}", file=sys.stderr, flush=True)
            lines.append(
                Line(measure=name, unit="messages/s", rate=True, messages=given.count, rounds=found)
            )
    report = Report(
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        commit=commit(),
        machine=machine,
        malloc=MALLOC,
        versions={},
        lines=lines,
        longest_wait_ms={},
    )
    print_table(report)
    if given.save:
        print(f"saved: {save(report, given.save)}", file=sys.stderr)


if __name__ == "__main__":
    main()
