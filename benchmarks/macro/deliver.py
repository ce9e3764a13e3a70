"""Accept mail by SMTP: messages per second until all are on disk in the mailbox.

    python -m benchmarks.macro.deliver [--count 1000] [--rounds 5] [--save NAME]

Three servers, rounds interleaved: ours without judgement, ours with everything on (SPF, DKIM, DMARC,
iprev, a DNS list, reputation, junk filter; zones of Debian's knot behind unbound; an account with 20,000
messages), and Debian's Postfix that hands over to Dovecot by LMTP with default safety.  The load is
Debian's smtp-source, one message per connection or many; latencies are those of a client of ours.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from support.counterparts import program
from support.dnszones import Zone
from support.messages import MessageMaker
from support.nameservers import Names
from support.ports import HOST
from support.postfix import Postfix
from support.servers import MALLOC, USER, Dovecot, Mox, Server
from support.serving import Serve, wait_until
from support.smtpclient import SmtpClient

from benchmarks.macro.report import Line, Report, commit, describe_machine, save
from mox.mailauth.dkim.keyrecord import format_record, record_of
from mox.mailauth.dkim.sign import SigningKey, sign

SENDER_HOST = "sender.example"  # its name in HELO must have an address in DNS
SENDER = f"news@{SENDER_HOST}"
HISTORY = 20_000  # messages of the account that is judged for


class Load(NamedTuple):
    """How messages come."""

    size: int  # bytes
    connections: int
    keep: bool  # many messages per connection

    @property
    def name(self) -> str:
        """For the table."""
        kind = "many per connection" if self.keep else "one per connection"
        return f"{self.size // 1024} KB, {self.connections} connections, {kind}"


class Target(Protocol):
    """A server that takes mail."""

    name: str
    recipient: str

    @property
    def port(self) -> int:
        """Of SMTP."""
        ...

    def stored(self) -> int:
        """Messages in the mailbox."""
        ...


class WithoutJudgement:
    """Our server as it is for developers: nobody is judged."""

    name = "mox"

    def __init__(self, server: Mox) -> None:
        self._server = server
        self.recipient = USER
        self.port = server.port("smtp")

    def stored(self) -> int:
        """Messages in the mailbox."""
        return count_messages(self._server, "INBOX")


class WithJudgement:
    """Our server in earnest."""

    name = "mox judging"

    def __init__(self, server: Serve) -> None:
        self._server = server
        self.recipient = "alice@example.org"
        self.port = server.port("smtp")

    def stored(self) -> int:
        """Messages in the mailbox."""
        with self._server.login("alice@example.org") as client:
            return client.ok(b"EXAMINE INBOX").exists


class HandedOver:
    """Postfix in front of Dovecot."""

    name = "postfix+dovecot"

    def __init__(self, postfix: Postfix, dovecot: Server) -> None:
        self._dovecot = dovecot
        self.recipient = USER
        self.port = postfix.port

    def stored(self) -> int:
        """Messages in the mailbox."""
        return count_messages(self._dovecot, "INBOX")


def count_messages(server: Server, mailbox: str) -> int:
    """As EXAMINE says."""
    with server.imap() as client:
        return client.ok(f"EXAMINE {mailbox}".encode()).exists


# ---------------------------------------------------------------- servers


def hand_over(stack: contextlib.ExitStack, folder: Path) -> HandedOver:
    """Postfix and Dovecot, started."""
    dovecot = DovecotLmtp(folder / "dovecot", MALLOC)
    dovecot.start()
    stack.callback(dovecot.end)
    postfix = stack.enter_context(
        Postfix(
            "localhost",
            ["mox"],
            settings={
                "virtual_transport": f"lmtp:inet:{HOST}:{dovecot.lmtp}",
                "smtpd_client_connection_rate_limit": "0",
                "smtpd_client_message_rate_limit": "0",
                "message_size_limit": "104857600",
            },
        )
    )
    return HandedOver(postfix, dovecot)


class DovecotLmtp(Dovecot):
    """Dovecot that takes mail by LMTP."""

    def _write_config(self) -> None:
        super()._write_config()
        self.lmtp = self.port("submission")
        path = self.base / "dovecot.conf"
        text = path.read_text().replace("protocols = imap\n", "protocols = imap lmtp\n")
        text += (
            f"service lmtp {{\n  inet_listener lmtp {{\n    address = {HOST}\n"
            f"    port = {self.lmtp}\n  }}\n}}\n"
        )
        path.write_text(text)


def judging(stack: contextlib.ExitStack, folder: Path, key: SigningKey) -> WithJudgement:
    """Our server with everything on, started; its account has a history."""
    record = format_record(record_of(key.private.public_key()))
    zones = [
        Zone(
            "sender.example",
            {
                "sender.example": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"], "A": [HOST]},
                "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=reject"]},
                "bench._domainkey.sender.example": {"TXT": [record]},
            },
        ),
        Zone("list.example", {"2.0.0.127.list.example": {"A": ["127.0.0.2"]}}, signed=False),
    ]
    names = stack.enter_context(Names(zones))
    server = Serve(folder / "serve")
    static = server.config / "mox.toml"
    text = static.read_text()
    before = text[text.index("resolvers = ") :].splitlines()[0]
    servers = ", ".join(f'"{host}:{names.settings.port}"' for host in names.settings.servers)
    text = text.replace(before, f"resolvers = [{servers}]")
    text = text.replace(
        'first_time_sender_delay = "0s"',
        'first_time_sender_delay = "0s"\ndnsbls = ["list.example"]',
    )
    many = "[1000000000, 1000000000, 1000000000]"
    limits = (
        "connections_open",
        "connections_per_minute",
        "messages_per_minute",
        "messages_per_day",
    )
    text += "[rate_limits]\n" + "".join(f"{name} = {many}\n" for name in limits)
    text += "bytes_per_minute = [1000000000000, 1000000000000, 1000000000000]\n"
    text += "bytes_per_day = [1000000000000, 1000000000000, 1000000000000]\n"
    static.write_text(text)
    server.domains.write_text(
        server.domains.read_text().replace(
            '[accounts.alice]\ndomain = "example.org"\n',
            '[accounts.alice]\ndomain = "example.org"\nrejects_mailbox = "Rejects"\n'
            "[accounts.alice.junk_filter]\n",
        )
    )
    server.start()
    stack.callback(server.end)
    server.set_passwords("alice")
    with server.login("alice@example.org") as client:
        history = MessageMaker(1, scale=0.2).messages(0, HISTORY)
        for mailbox, flag, share in (
            ("Archive", b"$NotJunk", history[: HISTORY // 2]),
            ("Junk", b"$Junk", [other_words(n) for n in range(HISTORY // 2)]),
        ):
            client.append_many(mailbox, share)
            client.select(mailbox)
            client.ok(b"STORE 1:* +FLAGS.SILENT (" + flag + b")")
    return WithJudgement(server)


def other_words(number: int) -> bytes:
    """What junk looks like."""
    rng = random.Random(number)
    words = [
        "winner",
        "casino",
        "bonus",
        "pills",
        "lottery",
        "prize",
        "cheap",
        "urgent",
        "transfer",
    ]
    text = " ".join(rng.choice(words) for _ in range(60))
    return f"From: a@junk{number}.example\r\nSubject: {text[:40]}\r\n\r\n{text}\r\n".encode()


# ---------------------------------------------------------------- load


def message_of(size: int, key: SigningKey) -> bytes:
    """A signed message of about so many bytes, of words."""
    body = b""
    number = 0
    while len(body) < size - 900:
        text = MessageMaker(2, scale=0.2).messages(number, number + 1)[0]
        body += text.partition(b"\r\n\r\n")[2]
        number += 1
    body = b"".join(line + b"\r\n" for line in body[: size - 900].split(b"\r\n") if line.isascii())
    head = (
        f"From: {SENDER}\r\nTo: alice@example.org\r\nSubject: agenda of the meeting\r\n"
        f"Date: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-Id: <bench-{size}@sender.example>\r\n"
        "Content-Type: text/plain\r\n\r\n"
    ).encode()
    message = head + body
    return sign(message, [key], now_s=1_790_000_000) + message


def run_source(target: Target, load: Load, count: int, file: Path) -> float:
    """Messages per second, from the first connection until all are stored."""
    before = target.stored()
    command = [
        program("smtp-source", "postfix"),
        *("-M", SENDER_HOST, "-s", str(load.connections), "-m", str(count)),
        *(["-d"] if load.keep else []),
        *("-f", SENDER, "-t", target.recipient, "-F", str(file)),
        f"{HOST}:{target.port}",
    ]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=1200)
    wait_until(lambda: target.stored() >= before + count, 600.0)
    return count / (time.perf_counter() - began)


def latencies(target: Target, load: Load, count: int, message: bytes) -> list[float]:
    """Milliseconds from MAIL to the last reply, on kept connections."""
    found: list[float] = []

    def work() -> None:
        with SmtpClient(HOST, target.port) as client:
            client.ehlo()
            for _ in range(count // load.connections):
                began = time.perf_counter()
                client.deliver(SENDER.encode(), [target.recipient.encode()], message)
                found.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=work) for _ in range(load.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


LOADS = [
    Load(size * 1024, connections, keep)
    for size in (4, 50)
    for connections in (1, 10, 50)
    for keep in (False, True)
]


def measure(
    targets: list[Target], rounds: int, count: int, key: SigningKey, folder: Path
) -> list[Line]:
    """All loads, interleaved, each round in another order; the first one warms up."""
    lines = []
    rng = random.Random(1)
    for load in LOADS:
        file = folder / f"message-{load.size}"
        # smtp-source writes line ends itself.
        file.write_bytes(message_of(load.size, key).replace(b"\r\n", b"\n"))
        found: dict[str, list[float]] = {target.name: [] for target in targets}
        for n in range(rounds + 1):
            for target in rng.sample(targets, len(targets)):
                share = count if load.connections > 1 else count // 4
                value = run_source(target, load, share, file)
                if n:
                    found[target.name].append(value)
        print(
            f"{load.name}: "
            + ", ".join(
                f"{name} {statistics.median(values):,.0f}/s" for name, values in found.items()
            ),
            file=sys.stderr,
            flush=True,
        )
        lines.append(
            Line(measure=load.name, unit="messages/s", rate=True, messages=count, rounds=found)
        )
    return lines


def main() -> None:
    """Read the arguments, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="messages of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="names of servers, separated by commas")
    parser.add_argument("--save", default="", help="name of the result; empty: do not save")
    given = parser.parse_args()
    only = set(filter(None, given.only.split(",")))
    key = SigningKey(
        domain="sender.example", selector="bench", private=generate_private_key(65537, 2048)
    )
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mox-bench-")))
        folder.chmod(0o755)
        machine = describe_machine(folder)
        targets: list[Target] = []
        if not only or "mox" in only:
            server = Mox(folder / "mox", MALLOC)
            server.start()
            stack.callback(server.end)
            targets.append(WithoutJudgement(server))
        if not only or "judging" in only:
            targets.append(judging(stack, folder, key))
        if not only or "postfix" in only:
            targets.append(hand_over(stack, folder))
        lines = measure(targets, given.rounds, given.count, key, folder)
        waits = {}
        load = Load(4096, 10, True)
        for target in targets:
            found = latencies(target, load, given.count, message_of(4096, key))
            waits[f"p50 and p99 of a message, ms: {target.name}"] = {
                "p50": found[len(found) // 2],
                "p99": found[len(found) * 99 // 100],
            }
    report = Report(
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        commit=commit(),
        machine=machine,
        malloc=MALLOC,
        versions={},
        lines=lines,
        longest_wait_ms=waits,
    )
    print_table(report)
    if given.save:
        print(f"saved: {save(report, given.save)}", file=sys.stderr)


def print_table(report: Report) -> None:
    """Markdown."""
    names = list(report.lines[0].rounds)
    print("| load | " + " | ".join(names) + " |")
    print("|" + "---|" * (len(names) + 1))
    for line in report.lines:
        cells = [f"{line.median(name):,.0f}" for name in names]
        print(f"| {line.measure} | " + " | ".join(cells) + " |")
    for name, values in report.longest_wait_ms.items():
        print(f"\n{name}: " + ", ".join(f"{kind} {value:.1f}" for kind, value in values.items()))


if __name__ == "__main__":
    main()
