"""How long one command over very many messages keeps the event loop from everybody else.

python -m benchmarks.macro.stalls [--messages 100000] [--rounds 5]    (the store alone, no server;
with PYTHONPATH=tests, as in ci/bench)

In each round: copy all, set a flag of all, set it where nothing changed since, move all to another
mailbox, mark all as deleted, expunge all, delete the mailbox.  A task that wants to run every
millisecond tells how late it was at worst.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from support.servers import MALLOC

from mox.base import flags as flagbits
from mox.runtime.worker import SWITCH_INTERVAL_S
from mox.store.account import Account
from mox.store.content import NewMessage
from mox.store.flags import How, change_flags
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import create, delete
from mox.store.messages import append, copy, expunge
from mox.store.shard import open_shard
from mox.store.view import View

GROUP = 1000  # messages of one append while filling
PERIOD_S = 0.001


class Loop:
    """Watches the event loop: the longest time it ran nothing of ours."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(PERIOD_S)
            self.longest = max(self.longest, time.perf_counter() - before - PERIOD_S)

    async def close(self) -> None:
        """Stop watching."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Rounds:
    """Milliseconds by command: of the whole, and of the longest stall in it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.whole: dict[str, list[float]] = {}
        self.stall: dict[str, list[float]] = {}

    async def measure(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run a command to its end."""
        await asyncio.sleep(5 * PERIOD_S)  # what went before is not counted here
        self._loop.longest = 0.0
        began = time.perf_counter()
        await work()
        took = time.perf_counter() - began
        await asyncio.sleep(5 * PERIOD_S)  # so that the watch sees a stall at the end
        self.whole.setdefault(name, []).append(took * 1000)
        self.stall.setdefault(name, []).append(self._loop.longest * 1000)


async def fill(account: Account, mailbox: Mailbox, count: int) -> None:
    """Small messages with few keywords."""
    for first in range(0, count, GROUP):
        new = [
            NewMessage(
                content=b"Subject: %d\r\n\r\nhello\r\n" % number,
                keywords=("$Forwarded",) if number % 10 == 0 else (),
                received_ms=number,
            )
            for number in range(first, min(first + GROUP, count))
        ]
        await append(account, mailbox, new)


async def store(account: Account, view: View, flags: int, since: int | None = None) -> None:
    """STORE 1:* +FLAGS.SILENT, to the write-ahead log and to the disk."""
    slots, _ = view.split_gone(view.slots_by_seq([(1, view.exists)]))
    done = change_flags(
        account, view.mailbox, slots, How.ADD, flags, ("$Junk",), unchanged_since=since
    )
    if len(done.changed) != len(slots):
        raise RuntimeError("not all were changed")
    view.own(done.modseq)
    await account.committer.synced(done.ticket)
    view.poll(expunge=True)


async def expunge_deleted(account: Account, view: View) -> None:
    """EXPUNGE."""
    slots = view.columns.with_flags(view.limit, view.told, flagbits.DELETED, flagbits.DELETED)
    live, _ = view.split_gone(slots)
    with view.mailbox.pinned():
        await expunge(account, view.mailbox, live)
    view.poll(expunge=True)
    view.mailbox.compact()


async def one_round(account: Account, rounds: Rounds, full: View) -> None:
    """All commands once, on a copy of the full mailbox."""
    box, other = (await create(account, "box"))[0], (await create(account, "other"))[0]
    every: array[int] = full.slots_by_seq([(1, full.exists)])
    await rounds.measure("COPY", lambda: copy(account, full.mailbox, every, box))
    view = await account.open_view(box, read_only=False)
    await rounds.measure("STORE", lambda: store(account, view, flagbits.SEEN))
    await rounds.measure(
        "STORE UNCHANGEDSINCE",
        lambda: store(account, view, flagbits.FLAGGED, account.record.modseq),
    )
    await rounds.measure("MOVE", lambda: copy(account, box, every, other, move=True))
    view.close()
    view = await account.open_view(other, read_only=False)
    await rounds.measure("STORE \\Deleted", lambda: store(account, view, flagbits.DELETED))
    await rounds.measure("EXPUNGE", lambda: expunge_deleted(account, view))
    view.close()
    if other.record.messages or box.record.messages:
        raise RuntimeError("messages are left")
    await copy(account, full.mailbox, every, other)
    await delete(account, "box")
    await rounds.measure("DELETE", lambda: delete(account, "other"))
    await account.shard.eraser.idle()


async def run(count: int, number: int, folder: Path) -> None:
    """Fill, warm up once, measure, print a table."""
    shard = open_shard(folder / "shard", lambda content: {})
    account = await shard.create_account("mox", mailboxes=())
    inbox = account.mailbox("Inbox")
    await fill(account, inbox, count)
    view = await account.open_view(inbox, read_only=False)
    loop = Loop()
    rounds = Rounds(loop)
    for at in range(number + 1):
        if at == 1:
            rounds = Rounds(loop)
        await one_round(account, rounds, view)
    await loop.close()
    view.close()
    await shard.close()
    print(f"| {count:,} messages | ms in all | longest stall of the event loop, ms |")
    print("|---|---|---|")
    for name, stalls in rounds.stall.items():
        print(f"| {name} | {_said(rounds.whole[name])} | {_said(stalls)} |")


def _said(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not MALLOC.items() <= os.environ.items():
        command = [sys.executable, "-m", "benchmarks.macro.stalls", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **MALLOC})
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(run(arguments.messages, arguments.rounds, Path(folder)))


if __name__ == "__main__":
    main()
