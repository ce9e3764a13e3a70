"""Measure our server, alone or beside Dovecot: python -m benchmarks.macro.run [--peers].

Rounds are interleaved and the order of servers is shuffled in each; reported are medians.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from support.filling import fill
from support.messages import MessageMaker
from support.servers import MALLOC, Dovecot, Mox, Server

from benchmarks.macro.measures import APPENDS, FETCHES, Measure, mailbox_name, watched
from benchmarks.macro.report import Line, Report, commit, describe_machine, save, table

KINDS: dict[str, type[Server]] = {"mox": Mox, "dovecot": Dovecot}
SCALE = 0.2  # of message sizes: about 2 KB on average, so that 100,000 fit a small disk


def note(text: str) -> None:
    """Say what happens, beside the table."""
    print(text, file=sys.stderr, flush=True)


def fill_all(servers: list[Server], sizes: list[int]) -> None:
    """The same messages for all."""
    messages = MessageMaker(1, scale=SCALE).messages(0, max(sizes))
    for server in servers:
        for size in sizes:
            note(f"filling {server.name} with {size:,} messages")
            with server.imap() as client:
                client.ok(b"CREATE " + mailbox_name(size).encode())
            fill(server, mailbox_name(size), messages[:size])


def rounds_of(
    measure: Measure, servers: list[Server], mailbox: str, count: int
) -> dict[str, list[float]]:
    """Interleaved, each round in another order; the first, uncounted, warms up."""
    rng = random.Random(mailbox + measure.name)
    found: dict[str, list[float]] = {server.name: [] for server in servers}
    for n in range(count + 1):
        for server in rng.sample(servers, len(servers)):
            if measure.prepare:
                measure.prepare(server)
            value = measure.run(server, mailbox, n)
            if n:
                found[server.name].append(value)
    return found


def longest_wait(measure: Measure, server: Server, mailbox: str, n: int) -> float:
    """One more round, watched by another connection; its longest wait in milliseconds."""
    if measure.prepare:
        measure.prepare(server)
    told: list[float] = []
    with watched(server, told):
        measure.run(server, mailbox, n)
    return told[0]


def run(servers: list[Server], sizes: list[int], count: int, folder: Path) -> Report:
    """Everything."""
    machine = describe_machine(folder)
    fill_all(servers, sizes)
    lines: list[Line] = []
    waits: dict[str, dict[str, float]] = {}
    work = [(measure, size) for size in sizes for measure in FETCHES] + [(APPENDS, 0)]
    for measure, size in work:
        note(f"{measure.name}, {size:,} messages")
        mailbox = mailbox_name(size)
        rounds = rounds_of(measure, servers, mailbox, count)
        lines.append(
            Line(
                measure=measure.name,
                unit=measure.unit,
                rate=measure.rate,
                messages=size,
                rounds=rounds,
            )
        )
        waits[f"{measure.name}, {size:,}"] = {
            server.name: longest_wait(measure, server, mailbox, count + 1) for server in servers
        }
    versions = {server.name: version(server) for server in servers}
    return Report(
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        commit=commit(),
        machine=machine,
        malloc=MALLOC,
        versions=versions,
        lines=lines,
        longest_wait_ms=waits,
    )


def version(server: Server) -> str:
    """As the program says."""
    program = server.arguments()[0]
    word = "--version" if isinstance(server, Dovecot) else "version"
    done = subprocess.run([program, word], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[0].strip().removeprefix("mox ")


def main() -> None:
    """Read the arguments, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="store_true", help="beside Dovecot")
    parser.add_argument("--only", choices=KINDS, help="one server alone")
    parser.add_argument("--sizes", default="1000,10000,100000", help="messages per mailbox")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", default="", help="name of the result; empty: do not save")
    given = parser.parse_args()
    names = [given.only] if given.only else ["mox", "dovecot"] if given.peers else ["mox"]
    if "dovecot" in names and shutil.which("dovecot", path="/usr/sbin:/usr/bin") is None:
        sys.exit("Dovecot is missing; install it with: apt install dovecot-imapd")
    with tempfile.TemporaryDirectory(prefix="mox-bench-") as folder:
        servers = [KINDS[name](Path(folder) / name, MALLOC) for name in names]
        try:
            for server in servers:
                server.start()
            sizes = [int(size) for size in given.sizes.split(",")]
            report = run(servers, sizes, given.rounds, Path(folder))
        finally:
            for server in servers:
                server.end()
    print(table(report))
    if given.save:
        note(f"saved: {save(report, given.save)}")


if __name__ == "__main__":
    main()
