"""The queue with a million entries: adding, finding what is due, starting, memory.

    .venv/bin/python -m benchmarks.micro.bench_queue [--entries 1000000] [--domains 200000]

Under pytest (``ci/bench micro``) only the short ones run, on a small queue.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from mox.base.clock import FrozenClock
from mox.queue.adding import NewRecipient, Submission, add
from mox.queue.carry import Carried, Outcome, Result
from mox.queue.database import Database, open_queue
from mox.queue.filter import EVERY
from mox.queue.finishing import settle
from mox.queue.listing import page
from mox.queue.schedule import Schedule
from mox.queue.taking import Slots, Taken, _Look, take
from mox.smtp.address import Address

CONTENT = b"Subject: hello\r\n\r\n" + b"x" * 70 + b"\r\n"
SENDER = Address("me", "example.org")
EVERYBODY = Slots(
    total=500, fresh=450, retry=350, room=lambda domain: 5, not_before_ms=lambda domain: 0
)


def submission(recipients: int, first: int = 0, domains: int = 1000, **values: int) -> Submission:
    return Submission(
        account="me",
        sender=SENDER,
        recipients=tuple(
            NewRecipient(address=Address(f"u{first + n}", f"d{(first + n) % domains}.example"))
            for n in range(recipients)
        ),
        content=CONTENT,
        message_id="1@example.org",
        subject="hello",
        **values,  # type: ignore[arg-type]
    )


def rss_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def timed_adds(database: Database, recipients: int, rounds: int) -> list[float]:
    """Milliseconds for each message."""
    found = []
    for n in range(rounds):
        start = time.perf_counter()
        await add(database, submission(recipients, n * recipients))
        found.append((time.perf_counter() - start) * 1000)
    return found


async def look(database: Database) -> tuple[float, float, Taken]:
    """Milliseconds, and those of the processor, for a look that begins nothing: selection alone."""
    floors = database.lanes.begin_look()
    made = _Look(database, EVERYBODY, floors, database.clock.now_ms())

    def run() -> float:
        start = time.thread_time()
        made.run()
        return (time.thread_time() - start) * 1000

    try:
        start = time.perf_counter()
        busy = await database.in_thread(run)
        took = (time.perf_counter() - start) * 1000
    finally:
        database.lanes.end_look()
    taken = await take(database, EVERYBODY, Schedule(), lambda: 1.0)
    return took, busy, taken


async def fill(folder: Path, entries: int, domains: int) -> None:
    """Entries that are due in the next days, some of them now."""
    clock = FrozenClock()
    database = open_queue(folder, clock=clock)
    start = time.perf_counter()
    size = 1000
    now = clock.now_ms()
    for first in range(0, entries, size):
        release = now if first % 100_000 == 0 else now + 60_000 + first * 100
        await add(database, submission(size, first, domains, release_ms=release))
    print(f"filled with {entries} entries in {time.perf_counter() - start:.0f} s")
    await database.close()


async def measure(folder: Path) -> dict[str, float]:
    """In a fresh process: what a start costs, and what work costs then."""
    before = rss_mib()
    start = time.perf_counter()
    database = open_queue(folder, clock=FrozenClock())
    opened = (time.perf_counter() - start) * 1000
    looks, busy = [], []
    delivered = 0
    for _ in range(100):
        took, processor, taken = await look(database)
        looks.append(took)
        busy.append(processor)
        for group in taken.groups:
            outcomes = tuple(
                Outcome(entry_id=entry.id, result=Result.DELIVERED, code=250) for entry in group
            )
            await settle(database, Carried(outcomes=outcomes), Schedule())
            delivered += len(outcomes)
        if not taken.groups:
            break
    await database.contents.idle()
    start = time.perf_counter()
    await page(database, EVERY, limit=200)
    listed = (time.perf_counter() - start) * 1000
    after = rss_mib()
    adds = await timed_adds(database, 1000, 5)
    singles = await timed_adds(database, 1, 50)
    await database.close()
    return {
        "open ms": opened,
        "first look ms": looks[0],
        "look median ms": statistics.median(looks),
        "look worst ms": max(looks[1:], default=looks[0]),
        "look processor median ms": statistics.median(busy),
        "look processor worst ms": max(busy),
        "looks": len(looks),
        "delivered": delivered,
        "first page ms": listed,
        "rss growth MiB": after - before,
        "rss growth with adds MiB": rss_mib() - before,
        "add 1000 recipients ms, median": statistics.median(adds),
        "add 1000 recipients ms, worst": max(adds),
        "add 1 recipient ms, median": statistics.median(singles),
    }


def main() -> None:
    """Fill, then measure in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--domains", type=int, default=200_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        print(json.dumps(asyncio.run(measure(arguments.folder))))
        return
    folder = Path(tempfile.mkdtemp(prefix="mox-queue-"))
    try:
        asyncio.run(fill(folder / "queue", arguments.entries, arguments.domains))
        command = [sys.executable, "-m", "benchmarks.micro.bench_queue"]
        done = subprocess.run(
            [*command, "--folder", str(folder / "queue")],
            capture_output=True,
            text=True,
            check=True,
        )
        for name, value in json.loads(done.stdout).items():
            print(f"{name:35} {value:10.2f}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- short ones, for ci/bench micro


def test_add_a_thousand_recipients(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    with contextlib.closing(asyncio.new_event_loop()) as loop:

        async def opened() -> Database:
            return open_queue(tmp_path / "queue")

        database = loop.run_until_complete(opened())
        benchmark(lambda: loop.run_until_complete(add(database, submission(1000))))
        loop.run_until_complete(database.close())


def test_add_one_recipient(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    with contextlib.closing(asyncio.new_event_loop()) as loop:

        async def opened() -> Database:
            return open_queue(tmp_path / "queue")

        database = loop.run_until_complete(opened())
        benchmark(lambda: loop.run_until_complete(add(database, submission(1))))
        loop.run_until_complete(database.close())


if __name__ == "__main__":
    main()
