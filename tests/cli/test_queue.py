"""``mox queue`` through a control socket, over a queue that is really there."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.queueing import CONTENT, Carrier, Mailbox, delayed, keep, refused, submission

from mox.base.clock import SystemClock
from mox.cli.main import run
from mox.config.live import Live
from mox.ctl.server import ControlServer, Handlers
from mox.queue import keys, suppressing
from mox.queue.adding import add
from mox.queue.database import Database, memory_queue, open_queue
from mox.queue.entry import Entry
from mox.queue.filter import EVERY
from mox.queue.listing import page
from mox.queue.schedule import Schedule
from mox.queue.scheduler import Scheduler
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.queuecontrol import QueueControl
from mox.smtp.address import parse_address
from mox.store.engine.base import Family
from mox.store.shard import open_shard

Capture = pytest.CaptureFixture[str]


class Place:
    """A control server in a thread of its own, with a queue; the command line blocks."""

    def __init__(self, folder: Path, live: Live) -> None:
        self.folder = folder
        self.live = live
        self.loop = asyncio.new_event_loop()
        self.database: Database
        self.carrier = Carrier()
        self.returns = Mailbox()

    @contextmanager
    def running(self) -> Iterator["Place"]:
        started, end = threading.Event(), asyncio.Event()

        async def serve() -> None:
            self.database = memory_queue(self.folder, keep=keep)
            handlers = Handlers()
            QueueControl(self.database, Schedule(), self.live).add_to(handlers)
            server = ControlServer(self.folder / "config" / "data", handlers)
            await server.start()
            started.set()
            await end.wait()
            await server.stop()
            await self.database.close()

        thread = threading.Thread(target=lambda: self.loop.run_until_complete(serve()))
        thread.start()
        assert started.wait(30)
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(end.set)
            thread.join(30)
            self.loop.close()

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def add(self, *recipients: str, **changes: Any) -> list[Entry]:
        found: list[Entry] = self.do(add(self.database, submission(*recipients, **changes)))
        return found

    def deliver(self, answer: Any = None) -> None:
        async def once() -> None:
            if answer is not None:
                self.carrier.answer = answer
            made = Scheduler(self.database, self.carrier, self.returns, "mail.example.org")
            await made.step()
            await made.idle()
            await made.notices.step()

        self.do(once())

    def entry(self, number: int) -> Entry:
        found: Entry = self.do(self.database.get(number))
        return found


TRANSPORTS = """
[transports.relay]
[transports.relay.submission]
host = "relay.example.net"
"""


@pytest.fixture
def place(folder: Path) -> Iterator[Place]:
    static = folder / "config" / "mox.toml"
    static.write_text(static.read_text() + TRANSPORTS)
    live = ConfigFiles(static).live
    with Place(folder, live).running() as made:
        yield made


def said(capsys: Capture, line: str, code: int = 0) -> str:
    words = [word.strip("'") for word in line.split()]
    found = run(["queue", *words])
    out, err = capsys.readouterr()
    assert (found, err if code == 0 else "") == (code, ""), err
    return str(out if code == 0 else err)


def test_an_empty_queue(place: Place, capsys: Capture) -> None:
    assert said(capsys, "list") == "messages:\n(none)\n"
    assert said(capsys, "list --json") == "[]\n"
    assert said(capsys, "retired list") == "retired messages:\n(none)\n"
    assert said(capsys, "holdrules list") == "(none)\n"
    assert said(capsys, "suppress list") == "(none)\n"
    assert said(capsys, "hold") == "0 messages on hold\n"


def test_list(place: Place, capsys: Capture) -> None:
    first, second = place.add("a@x.example", "b@y.example")
    place.deliver(delayed)
    place.add("c@x.example", account="other", transport="relay", require_tls=False)
    text = said(capsys, "list --sort queued")
    head, *lines = text.splitlines()
    assert head == "messages:"
    assert [line.split()[0] for line in lines] == [
        str(first.id),
        str(second.id),
        lines[2].split()[0],
    ]
    assert "<me@example.org>  <a@x.example>  next in 7 min  last 0 s ago" in lines[0]
    assert lines[0].endswith("error RCPT TO: try again later")
    assert "transport relay  requiretls no  no error" in lines[2]
    found = json.loads(said(capsys, "list --json --to @x.example --account me"))
    assert [one["id"] for one in found] == [first.id]
    assert found[0]["recipient_domain"] == "x.example"
    assert found[0]["attempts"] == 1
    assert len(json.loads(said(capsys, "list --json -n 2 --desc"))) == 2
    assert len(json.loads(said(capsys, f"list --json --ids {first.id},{second.id}"))) == 2


@pytest.mark.parametrize(
    ("option", "count"),
    [
        ("--submitted <1h", 1),
        ("--submitted >1h", 0),
        ("--submitted >-1h", 1),
        ("--submitted <-1h", 0),
        ("--submitted <now", 1),
        ("--nextattempt <now", 0),
        ("--nextattempt <1h", 1),
        ("--nextattempt >1h", 0),
        ("--nextattempt >1d", 0),
        ("--hold true", 0),
        ("--hold false", 1),
        ("--transport relay", 0),
        ("--from me@", 1),
        ("--from me@ --to nobody", 0),
    ],
)
def test_filters(place: Place, capsys: Capture, option: str, count: int) -> None:
    place.add("a@x.example")
    place.deliver(delayed)
    assert len(json.loads(said(capsys, f"list --json {option}"))) == count


def test_a_filter_for_no_transport(place: Place, capsys: Capture) -> None:
    place.add("a@x.example")
    assert run(["queue", "list", "--json", "--transport", ""]) == 0
    assert len(json.loads(capsys.readouterr()[0])) == 1


@pytest.mark.parametrize(
    "line",
    [
        "list --ids a",
        "list --ids 1,,x",
        "list --submitted 1h",
        "list --submitted <1",
        "list --nextattempt >x",
        "list --sort lastactivity",
        "retired list --result maybe",
        "schedule 1",
        "schedule",
        "requiretls maybe",
        "transport",
    ],
)
def test_what_is_not_understood(place: Place, capsys: Capture, line: str) -> None:
    assert run(["queue", *line.split()]) == 2


def test_many_messages_are_shown(place: Place, capsys: Capture) -> None:
    place.add(*(f"u{n}@x.example" for n in range(450)))
    found = json.loads(said(capsys, "list --json"))
    assert len({one["id"] for one in found}) == 450


def test_changes(place: Place, capsys: Capture) -> None:
    first, second = place.add("a@x.example", "b@y.example")
    assert said(capsys, "hold --to @y.example") == "1 message on hold\n"
    assert place.entry(second.id).hold
    assert "  held  " in said(capsys, "list --hold true")
    assert said(capsys, "unhold") == "2 messages released\n"
    before = place.entry(first.id).next_ms
    assert said(capsys, f"schedule 1h30m --ids {first.id}") == "1 message scheduled\n"
    assert place.entry(first.id).next_ms == before + 5_400_000
    assert said(capsys, f"schedule -30m --ids {first.id}") == "1 message scheduled\n"
    assert place.entry(first.id).next_ms == before + 3_600_000
    said(capsys, f"schedule --now 2d --ids {first.id}")
    assert abs(place.entry(first.id).next_ms - SystemClock().now_ms() - 172_800_000) < 60_000
    assert said(capsys, "kick") == "2 messages scheduled\n"
    assert place.entry(first.id).next_ms <= SystemClock().now_ms()
    assert json.loads(said(capsys, "transport relay -n 1 --json")) == {"count": 1}
    assert place.entry(first.id).transport == "relay"
    assert "there is no transport 'other'; configured: relay" in said(capsys, "transport other", 1)
    for word, value in (("yes", True), ("no", False), ("default", None)):
        assert said(capsys, f"requiretls {word}") == "2 messages changed\n"
        assert place.entry(first.id).require_tls is value
    assert said(capsys, f"drop --ids {first.id}") == "1 message removed\n"
    assert said(capsys, "fail") == "1 message given up\n"
    assert place.database.counters.queued == 0
    place.deliver()
    assert [notice.kind for notice, _ in place.returns.got] == ["failed"]


def test_transports_are_taken_back(place: Place) -> None:
    [entry] = place.add("a@x.example", transport="relay")
    assert run(["queue", "transport", ""]) == 0
    assert place.entry(entry.id).transport == ""


def test_dump(place: Place, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    large = b"Subject: large\r\n\r\n" + b"x" * 998 * 2000 + b"\r\n"
    [small] = place.add("a@x.example")
    [big] = place.add("a@x.example", content=large)
    assert run(["queue", "dump", str(small.id)]) == 0
    assert capfdbinary.readouterr()[0] == CONTENT
    assert run(["queue", "dump", str(big.id)]) == 0
    assert capfdbinary.readouterr()[0] == large
    assert run(["queue", "dump", "4711"]) == 1


def test_explain(place: Place, capsys: Capture) -> None:
    [entry] = place.add("a@x.example")
    assert "The next attempt, number 1, is now." in said(capsys, f"explain {entry.id}")
    place.deliver(delayed)
    text = said(capsys, f"explain {entry.id}")
    assert f"Message {entry.id} from <me@example.org> to <a@x.example>" in text
    assert "Failed with 450 4.2.0: RCPT TO: try again later" in text
    assert "The next attempt, number 2, is in 7 min" in text
    said(capsys, "kick")
    place.deliver(refused)
    text = said(capsys, f"explain {entry.id}")
    assert "It was not delivered: failed." in text
    assert "Attempt 2, " in text
    found = json.loads(said(capsys, f"explain {entry.id} --json"))
    assert found["message"]["event"] == "failed"
    assert found["message"]["entry"]["id"] == entry.id
    assert [one["code"] for one in found["attempts"]] == [450, 550]
    assert "there is no message 4711" in said(capsys, "explain 4711", 1)


def test_retired(place: Place, capsys: Capture) -> None:
    good, bad = place.add("a@x.example"), place.add("b@y.example")
    place.deliver()
    assert said(capsys, "retired list").count("delivered  1 attempt  no error") == 2
    [late] = place.add("c@x.example")
    place.deliver(refused)
    lines = said(capsys, "retired list --result failure").splitlines()[1:]
    assert len(lines) == 1
    assert lines[0].startswith(f"{late.id}  ")
    assert "<c@x.example>  failed  1 attempt  error RCPT TO: no such user" in lines[0]
    found = json.loads(said(capsys, "retired list --json --sort queued --lastactivity <1h"))
    assert [one["entry"]["id"] for one in found] == [good[0].id, bad[0].id, late.id]
    assert json.loads(said(capsys, "retired list --json --lastactivity >1h")) == []
    one = json.loads(said(capsys, f"retired print {late.id}"))
    assert one["success"] is False
    assert one["attempts"][0]["lines"] == ["550 5.1.1 no such user"]
    [waits] = place.add("d@x.example")
    assert "is not done" in said(capsys, f"retired print {waits.id}", 1)


def test_hold_rules(place: Place, capsys: Capture) -> None:
    place.add("a@bücher.example", "b@y.example")
    text = said(capsys, "holdrules add --account me --recipientdom bücher.example")
    number = text.split()[0]
    rule = f"{number}  account me, recipient domain xn--bcher-kva.example"
    assert text == f"{rule}: 1 in the queue put on hold\n"
    assert said(capsys, "holdrules list") == f"{rule}\n"
    assert json.loads(said(capsys, "holdrules list --json")) == [
        {
            "id": int(number),
            "account": "me",
            "sender_domain": "",
            "recipient_domain": "xn--bcher-kva.example",
        }
    ]
    everything = said(capsys, "holdrules add")
    assert everything.endswith("all messages: 1 in the queue put on hold\n")
    assert json.loads(said(capsys, "holdrules add --senderdom x.example --json"))["count"] == 0
    assert "is not a domain" in said(capsys, "holdrules add --senderdom a..b", 1)
    assert said(capsys, f"holdrules remove {number}") == "hold rule removed\n"
    assert "no such hold rule" in said(capsys, f"holdrules remove {number}", 1)
    assert place.database.counters.held == 2


def test_suppression_list(place: Place, capsys: Capture) -> None:
    assert said(capsys, "suppress add me A.b+x@x.example --reason asked") == "address suppressed\n"
    assert "already" in said(capsys, "suppress add me ab@x.example", 1)
    assert "there is no account 'x'" in said(capsys, "suppress add x ab@x.example", 1)
    assert "is not an address" in said(capsys, "suppress add me nonsense", 1)
    line = said(capsys, "suppress list").split("\t")
    assert line[:4] == ["me", "A.b+x@x.example", "ab@x.example", "manual"]
    assert line[5] == "asked\n"
    [one] = json.loads(said(capsys, "suppress list --account me --json"))
    assert one["base_address"] == "ab@x.example"
    assert said(capsys, "suppress list --account other") == "(none)\n"
    assert said(capsys, "suppress lookup AB@x.example").startswith("me\t")
    assert said(capsys, "suppress lookup c@x.example", 1) == "not suppressed\n"
    assert run(["queue", "suppress", "lookup", "--json", "c@x.example"]) == 1
    assert json.loads(capsys.readouterr()[0]) == []
    assert said(capsys, "suppress remove me ab@x.example") == "address no longer suppressed\n"
    assert "not on the suppression list" in said(capsys, "suppress remove me ab@x.example", 1)


def test_without_words_the_commands_are_listed(folder: Path, capsys: Capture) -> None:
    assert run(["queue"]) == 2
    err = capsys.readouterr()[1]
    assert "mox queue list" in err
    assert "mox queue suppress lookup" in err


def test_verifydata_looks_at_the_queue(tmp_path: Path, capsys: Capture) -> None:
    async def make(*, damaged: bool) -> None:
        database = open_queue(tmp_path / "queue", keep=keep)
        if damaged:
            [entry] = (await page(database, EVERY, limit=1)).entries
            edit = database.edit()
            edit.batch.delete(Family.IDX, keys.time_order(entry.next_ms, entry.id))
            await database.commit(edit)
        else:
            await open_shard(tmp_path / "shards" / "0", lambda content: {}).close()
            await add(database, submission("a@x.example"))
        await database.close()

    asyncio.run(make(damaged=False))
    assert run(["verifydata", str(tmp_path)]) == 0
    assert capsys.readouterr()[0] == f"{tmp_path} is consistent\n"
    asyncio.run(make(damaged=True))
    assert run(["verifydata", str(tmp_path)]) == 1
    assert "queue: order T: a row is missing" in capsys.readouterr()[0]


def test_a_removed_account_leaves_nothing(place: Place) -> None:
    place.add("a@x.example", "b@y.example")
    place.add("c@x.example", account="other")
    address = parse_address("d@x.example")
    place.do(suppressing.suppress(place.database, "me", address, "x"))
    control = QueueControl(place.database, Schedule(), place.live)
    assert place.do(control.forget_account("me")) == 2
    assert place.database.counters.queued == 1
    assert place.do(suppressing.find(place.database, "me", address)) is None
    place.deliver()
    # Whoever delivers notifications knows that the account is no more.
    assert [len(notice.recipients) for notice, _ in place.returns.got] == [2]
