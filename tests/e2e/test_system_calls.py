"""Before a message is acknowledged it is on the disk: the server's system calls, in their order.

Body written, body synced, index written, index synced, then the reply; a small body is written with
the index.   decisions 0007 and 0020.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support import systemcalls
from support.messages import small_message
from support.servers import USER, Dovecot, FaultyMox, Mox, Server
from support.systemcalls import Acknowledged, Layout, Order, read_calls

MESSAGES = 8  # of each connection


def append_some(server: Server, n: int, told: list[Acknowledged]) -> None:
    with server.imap(timeout=60) as client:
        for count in range(MESSAGES):
            token = f"append-{n}-{count}-end"
            # rows, packs, and a file of its own
            size = {MESSAGES - 1: 1_200_000, 0: 40_000, 1: 40_000}.get(count, 400)
            client.append("INBOX", small_message(token, size))
            tag = client.next_tag().decode()  # one further than the APPEND's
            last = f"{tag[0]}{int(tag[1:]) - 1}"
            told.append(Acknowledged(token, client.local_port, f"{last} OK"))


def deliver_some(server: Server, n: int, told: list[Acknowledged]) -> None:
    for count in range(MESSAGES):
        # a connection for each, so that the first reply after its 354 is the one
        with server.smtp(timeout=60) as client:
            token = f"deliver-{n}-{count}-end"
            client.ehlo()
            size = 40_000 if count % 4 == 3 else 400
            client.deliver(b"s@example.org", [USER.encode()], small_message(token, size))
            told.append(Acknowledged(token, client.local_port, "250 ", after="354"))
            client.command(b"QUIT", 221)


# The event loop's own use of io_uring (registering sockets) would hide calls from the trace.
NO_IO_URING = {"UV_USE_IO_URING": "0"}

Work = Callable[[Server, int, list[Acknowledged]], None]


def faults(server: Server, layout: Layout, trace: Path, works: Sequence[Work]) -> list[str]:
    """Load under strace, then the judgement."""
    server.start(before=systemcalls.command(trace))
    told: list[Acknowledged] = []
    try:
        threads = [
            threading.Thread(target=work, args=(server, n, told)) for n, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        group = server.pid
        assert server.stop() == 0
    except BaseException:
        server.kill()
        raise
    systemcalls.wait_for_end(group)
    assert len(told) == MESSAGES * len(works)
    with trace.open(errors="replace") as lines:
        return Order(read_calls(lines), layout).faults(told)


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.rfc("5321 §6.1")
def test_every_message_is_synced_before_its_reply(tmp_path: Path) -> None:
    server = Mox(tmp_path / "mox", NO_IO_URING)
    works = [append_some, deliver_some, append_some, deliver_some]
    assert faults(server, systemcalls.MOX, tmp_path / "trace", works) == []


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.parametrize("fault", ["ack-before-sync", "ack-before-write"])
def test_control_a_server_that_acknowledges_too_early_is_found(tmp_path: Path, fault: str) -> None:
    server = FaultyMox(tmp_path / "mox", fault, NO_IO_URING)
    found = faults(server, systemcalls.MOX, tmp_path / "trace", [append_some, deliver_some])
    assert any("not synced" in line or "no index row" in line for line in found)


@pytest.mark.interop
def test_calibration_dovecot_syncs_before_its_reply(tmp_path: Path) -> None:
    server = Dovecot(tmp_path / "dovecot")
    try:
        works = [append_some, append_some]
        assert faults(server, systemcalls.DOVECOT, tmp_path / "trace", works) == []
    finally:
        server.end()


# the judge itself, on traces made by hand

BODY = "/d/shards/0/packs/1.pack"
LOG = "/d/shards/0/db/000007.log"
GOOD = [
    '9 write(5<TCP:[127.0.0.1:143->127.0.0.1:999]>, "+ \\r\\n", 4) = 4',
    f'9 writev(7<{BODY}>, [{{iov_base="hdr", iov_len=3}}, {{iov_base="..tok..", iov_len=7}}], 2) = 10',
    f"9 fdatasync(7<{BODY}> <unfinished ...>",
    "8 write(1</dev/null>, 0, 0) = 0",
    "9 <... fdatasync resumed>) = 0",
    f'9 write(6<{LOG}>, "row", 3) = 3',
    f"9 fdatasync(6<{LOG}>) = 0",
    '9 write(5<TCP:[127.0.0.1:143->127.0.0.1:999]>, "* 1 EXISTS\\r\\na3 OK done\\r\\n", 24) = 24',
]
TOLD = [Acknowledged("tok", 999, "a3 OK")]
ROW = [
    GOOD[0],
    f'9 write(6<{LOG}>, "place..a: b\\r\\n\\r\\ntok\\r\\nthe rest", 30) = 30',
    *GOOD[6:],
]


SPOOL = "/d/shards/0/tmp/spool-1"
FOLDER = "/d/shards/0/large/1"
LARGE = [
    GOOD[0],
    f'9 write(7<{SPOOL}>, "..tok..", 7) = 7',
    f'9 write(7<{SPOOL}>, "the rest", 8) = 8',
    f"9 fdatasync(7<{SPOOL}>) = 0",
    f'9 rename("{SPOOL}", "{FOLDER}/12") = 0',
    f"9 fsync(8<{FOLDER}>) = 0",
    *GOOD[5:],
]


def judged(lines: list[str]) -> list[str]:
    return Order(read_calls(lines), systemcalls.MOX).faults(TOLD)


def test_judge_accepts_the_right_order() -> None:
    assert judged(GOOD) == []


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ([0, 1, 5, 6, 7, 2, 3, 4], "body file was not synced"),
        ([0, 1, 2, 3, 5, 6, 7, 4], "body file was not synced"),
        ([0, 1, 5, 2, 3, 4, 6, 7], "no index row"),
        ([0, 1, 2, 3, 4, 7, 5, 6], "no index row"),
        ([0, 1, 2, 3, 4, 5, 7, 6], "index was not synced"),
        ([0, 1, 2, 3, 4, 5, 7], "index was not synced"),
        ([0, 2, 3, 4, 5, 6, 7], "never written"),
        ([0, 1, 2, 3, 4, 5, 6], "no reply"),
    ],
)
def test_judge_reports_each_wrong_order(order: list[int], fault: str) -> None:
    (found,) = judged([GOOD[n] for n in order])
    assert fault in found


def test_judge_accepts_a_large_message_in_a_file_of_its_own() -> None:
    assert judged(LARGE) == []


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ([0, 1, 3, 2, 4, 5, 6, 7, 8], "body file was not synced"),
        ([0, 1, 2, 3, 6, 7, 8], "did not get its name"),
        ([0, 1, 2, 3, 4, 6, 7, 8], "did not get its name"),
        ([0, 1, 2, 3, 4, 6, 5, 7, 8], "no index row"),
        ([0, 1, 2, 4, 3, 5, 6, 7, 8], "did not get its name"),
    ],
)
def test_judge_reports_each_wrong_order_of_a_large_message(order: list[int], fault: str) -> None:
    (found,) = judged([LARGE[n] for n in order])
    assert fault in found


def test_judge_accepts_a_small_message_within_its_row() -> None:
    assert judged(ROW) == []


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ([0, 2, 1, 3], "index was not synced"),
        ([0, 1, 3, 2], "index was not synced"),
        ([0, 1, 3], "index was not synced"),
        ([0, 2, 3, 1], "no index row"),
        ([0, 2, 3], "never written"),
        ([0, 1, 2], "no reply"),
    ],
)
def test_judge_reports_each_wrong_order_of_a_row(order: list[int], fault: str) -> None:
    (found,) = judged([ROW[n] for n in order])
    assert fault in found


def test_judge_does_not_take_a_mention_for_the_message() -> None:
    lines = [line.replace("\\r\\n\\r\\ntok", "Subject tok") for line in ROW]
    (found,) = judged(lines)
    assert "never written" in found


def test_judge_takes_a_failed_sync_for_none() -> None:
    lines = [line.replace(f"{LOG}>) = 0", f"{LOG}>) = -1 EIO (Input)") for line in GOOD]
    (found,) = judged(lines)
    assert "index was not synced" in found


def test_judge_knows_the_row_by_its_token() -> None:
    lines = [GOOD[0], f'9 write(6<{LOG}>, "the row of tok", 3) = 3', *GOOD[1:]]
    (found,) = judged(lines)
    assert "before its body was synced" in found
