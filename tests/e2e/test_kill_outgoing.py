"""kill -9 while mail is submitted and sent on: what was accepted arrives or is still queued.

The sink counts what it took.  Nothing may be lost, and twice may come only what was under way at a kill.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.imapclient import ConnectionEnded
from support.serving import Serve, wait_until
from support.smtpclient import SmtpClient, stuffed
from support.smtpsink import Sink, in_thread

from mox.queue.changing import kick
from mox.queue.database import open_queue
from mox.queue.listing import EVERY, page
from mox.queue.verify import verify_queue

ROUNDS = int(os.environ.get("MOX_KILL_ROUNDS", "3"))
CLIENTS = 6

pytestmark = pytest.mark.slow


class Submitters:
    """Clients that submit until the server dies; what was accepted is written down."""

    def __init__(self, server: Serve, number: int) -> None:
        self.accepted: list[tuple[str, str]] = []  # token, recipient
        self._server = server
        self._number = number
        self._threads = [
            threading.Thread(target=self._run, args=(client,)) for client in range(CLIENTS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self, client: int) -> None:
        count = 0
        try:
            with self._server.submit_as("alice@example.org") as smtp:
                while True:
                    count += 1
                    token = f"round{self._number}-client{client}-{count}"
                    body = b"x" * 70 + b"\r\n"
                    message = (
                        f"From: alice@example.org\r\nSubject: {token}\r\n\r\n".encode() + body * 20
                    )
                    recipients = self.send(smtp, client, count, message)
                    self.accepted += [(token, name) for name in recipients]
        except (OSError, AssertionError, ConnectionEnded):
            return  # the server is gone; what it promised is written down

    def send(self, smtp: SmtpClient, client: int, count: int, message: bytes) -> list[str]:
        """A transaction; to whom it was."""
        # One recipient, or two of one domain, or two of different ones.
        names = [f"a@d{client}.example", f"b@d{client}.example", "c@other.example"]
        recipients = names[: 1 + count % 3]
        smtp.deliver(b"alice@example.org", [name.encode() for name in recipients], message)
        return recipients


class Holders(Submitters):
    """Whose messages are held for a moment, for a user here."""

    def send(self, smtp: SmtpClient, client: int, count: int, message: bytes) -> list[str]:
        """A transaction; to whom it was."""
        smtp.command(b"MAIL FROM:<alice@example.org> HOLDFOR=1", 250)
        smtp.command(b"RCPT TO:<bob@example.net>", 250)
        smtp.command(b"DATA", 354)
        smtp.send(stuffed(message))
        smtp.expect(smtp.read_reply(), 250)
        return ["bob@example.net"]


class House:
    """A server whose mail goes to a sink."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        self.sink = sink
        self.server = Serve(folder)
        static = self.server.config / "mox.toml"
        static.write_text(
            static.read_text()
            + f'[transports.sink.smtp]\nhost = "127.0.0.1"\nport = {sink.port}\nno_starttls = true\n'
        )
        domains = self.server.domains
        domains.write_text(
            domains.read_text().replace(
                '[accounts.alice]\ndomain = "example.org"',
                '[accounts.alice]\ndomain = "example.org"\n'
                "max_outgoing_messages_per_day = 1000000\n"
                "max_first_time_recipients_per_day = 1000000",
            )
            + '[[routes]]\ntransport = "sink"\n'
        )

    def taken(self) -> Counter[tuple[str, str]]:
        """How often each recipient got each message."""
        found: Counter[tuple[str, str]] = Counter()
        for one in list(self.sink.taken):
            token = one.content.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()
            found.update((token, name) for name in one.recipients)
        return found

    def wait_for_more(self, count: int) -> None:
        """Until bob has so many messages more; by one connection: too many are refused."""
        with self.server.login("bob@example.net") as imap:
            before = imap.select("INBOX").exists
            wait_until(
                lambda: imap.select("INBOX").exists >= before + count, 120.0, self.server.said
            )

    def subjects(self) -> Counter[str]:
        """Of bob's messages."""
        found: Counter[str] = Counter()
        with self.server.login("bob@example.net") as imap:
            if imap.select("INBOX").exists:
                for value in imap.ok(b"FETCH 1:* (RFC822.HEADER)").fetched().values():
                    header = value.get(b"RFC822.HEADER", b"")
                    assert isinstance(header, bytes)
                    found[header.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()] += 1
        found.pop("", None)  # of one that arrived meanwhile
        return found

    def look(self) -> set[tuple[str, str]]:
        """What is queued while the server is down; all of it becomes due.    The data is sound."""

        async def run() -> set[tuple[str, str]]:
            queue = open_queue(self.server.folder / "data" / "queue")
            try:
                assert await verify_queue(queue) == []
                entries = (await page(queue, EVERY, limit=1_000_000)).entries
                await kick(queue, EVERY)
                return {(entry.subject, str(entry.recipient)) for entry in entries}
            finally:
                await queue.close()

        return asyncio.run(run())


@pytest.fixture
def house() -> Iterator[House]:
    # Not pytest's own folder: the worker is another user, who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mox-serve-"))
    folder.chmod(0o755)
    with in_thread(Sink(keywords=("PIPELINING", "8BITMIME", "SIZE 50000000"))) as sink:
        house = House(folder / "mox", sink)
        yield house
        house.server.end()
    shutil.rmtree(folder)


def test_nothing_that_was_accepted_is_lost(house: House) -> None:
    server, rng = house.server, random.Random(7)
    accepted: set[tuple[str, str]] = set()
    server.start()
    server.set_passwords("alice")
    for number in range(ROUNDS):
        before = len(house.sink.taken)
        submitters = Submitters(server, number)
        submitters.start()
        wait_until(lambda: len(house.sink.taken) > before + 40, 120.0, server.said)  # noqa: B023
        time.sleep(rng.uniform(0.0, 0.4))
        server.kill()
        submitters.join()
        accepted |= set(submitters.accepted)
        queued = house.look()
        lost = accepted - set(house.taken()) - queued
        assert not lost, f"round {number}: {len(lost)} lost, as {sorted(lost)[:5]}"
        server.start()
    # In the end everything arrives.
    wait_until(lambda: not accepted - set(house.taken()), 120.0, server.said)
    assert server.stop() == 0
    wait_until(lambda: not house.look(), 10.0)
    often = Counter(house.taken().values())
    # Only what was being delivered at one of the kills came again, and that once for each kill.
    assert max(often) <= 1 + ROUNDS
    repeated = sum(count for times, count in often.items() if times > 1)
    assert repeated <= ROUNDS * 3 * 40, often


def test_nothing_that_was_held_for_a_user_is_lost(house: House) -> None:
    server, rng = house.server, random.Random(8)
    accepted: set[str] = set()
    server.start()
    server.set_passwords("alice", "bob")
    for number in range(ROUNDS):
        holders = Holders(server, number)
        holders.start()
        house.wait_for_more(40)
        time.sleep(rng.uniform(0.0, 0.4))
        server.kill()
        holders.join()
        accepted |= {token for token, _ in holders.accepted}
        # What is still queued becomes due at once.
        queued = {subject for subject, _ in house.look()}
        server.start()
        lost = accepted - set(house.subjects()) - queued
        assert not lost, f"round {number}: {len(lost)} lost, as {sorted(lost)[:5]}"
    wait_until(lambda: not accepted - set(house.subjects()), 120.0, server.said)
    often = Counter(house.subjects().values())
    assert house.sink.taken == [], "mail for a user here went elsewhere"
    assert server.stop() == 0
    # Only what was being delivered at one of the kills came again.
    assert max(often) <= 1 + ROUNDS
    repeated = sum(count for times, count in often.items() if times > 1)
    assert repeated <= ROUNDS * 40, often
