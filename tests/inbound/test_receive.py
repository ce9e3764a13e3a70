import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import (
    DISK_FREE_MIN,
    HEADER_PARSE,
    MESSAGE_IN_MEMORY,
    RECEIVED_IN_MEMORY,
    RECEIVED_MORE,
    RECEIVED_ROOM,
)
from mox.inbound.deliver import remove
from mox.inbound.receive import BATCH, Received, Receiver, Room, without_own_results
from mox.store.blobs.base import SpoolFile
from mox.store.content import Spool
from mox.store.errors import DiskFull


async def receive(folder: Path, *chunks: bytes, max_size: int = 10_000_000) -> Received:
    receiver = Receiver(folder, max_size)
    for chunk in chunks:
        await receiver.write(chunk)
    assert not receiver.too_big
    assert receiver.failure is None
    return await receiver.finish()


async def test_line_ends_are_repaired_across_chunks(tmp_path: Path) -> None:
    received = await receive(tmp_path, b"Subject: x\r", b"\n\nbo", b"dy\n", b"more\r\n")
    assert received.content == b"Subject: x\r\n\r\nbody\r\nmore\r\n"
    assert received.size == len(received.content)
    assert received.header == b"Subject: x\r\n\r\n"
    assert received.has_separator
    assert not received.has_8bit


async def test_the_header_ends_where_it_ends(tmp_path: Path) -> None:
    for chunks in ((b"\r\nbody\r\n",), (b"\r", b"\nbody\r\n")):
        assert (await receive(tmp_path, *chunks)).header == b"\r\n"
    raw = b"a: b\r\n\r\nbody: c\r\n\r\n"
    single = [raw[i : i + 1] for i in range(len(raw))]
    assert (await receive(tmp_path, *single)).header == b"a: b\r\n\r\n"
    endless = await receive(tmp_path, b"x" * (HEADER_PARSE + 10))
    assert len(endless.header) == HEADER_PARSE
    remove(endless.content)


async def test_received_fields_of_the_header_are_counted(tmp_path: Path) -> None:
    raw = b"Received: a\r\n b\r\nRECEIVED : c\r\nX-Received: d\r\n\r\nReceived: e\r\n"
    assert (await receive(tmp_path, raw)).received_fields == 2


async def test_small_in_memory_large_in_a_file(tmp_path: Path) -> None:
    small = await receive(tmp_path, b"x" * MESSAGE_IN_MEMORY)
    assert isinstance(small.content, bytes)
    assert list(tmp_path.iterdir()) == []
    large = await receive(tmp_path, *[b"0123456789abcd\r\n" * 4096] * 100)
    assert isinstance(large.content, SpoolFile)
    assert large.content.path.stat().st_size == large.size == 65536 * 100
    remove(large.content)
    remove(large.content)
    assert list(tmp_path.iterdir()) == []


async def test_too_big_is_known_at_once_and_keeps_nothing(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, 2_000_000)
    for _ in range(40):
        await receiver.write(b"x" * 100_000)
    assert receiver.too_big
    assert list(tmp_path.iterdir()) == []


async def test_line_ends_count_as_they_are_stored(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, 10)
    await receiver.write(b"\n" * 5)
    assert not receiver.too_big
    await receiver.write(b"\n")
    assert receiver.too_big


async def test_a_full_disk_is_remembered_and_the_rest_passes_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Spool.write

    def failing(self: Spool, chunk: bytes) -> None:
        if self.size > 1_500_000:
            raise OSError(errno.ENOSPC, "full")
        real(self, chunk)

    monkeypatch.setattr(Spool, "write", failing)
    receiver = Receiver(tmp_path, 10_000_000)
    for _ in range(40):
        await receiver.write(b"x" * 100_000)
    assert receiver.failure is not None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="full"):
        await receiver.finish()


async def test_a_disk_that_is_nearly_full_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [DISK_FREE_MIN + 2_000_000]
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _path: SimpleNamespace(free=free[0]), raising=True
    )
    receiver = Receiver(tmp_path, 10_000_000)
    await receiver.write(b"x" * MESSAGE_IN_MEMORY + b"\r\n")
    assert len(list(tmp_path.iterdir())) == 1
    free[0] = DISK_FREE_MIN
    await receiver.write(b"y" * MESSAGE_IN_MEMORY + b"\r\n")
    assert isinstance(receiver.failure, DiskFull)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DiskFull):
        await receiver.finish()
    # What fits into memory needs no disk yet.
    assert (await receive(tmp_path, b"Subject: x\r\n\r\n")).size == 14


async def test_discarding_twice(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, 10_000_000)
    await receiver.write(b"x" * 3_000_000)
    assert len(list(tmp_path.iterdir())) == 1
    await receiver.discard()
    await receiver.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("raw", "lacks"),
    [
        (b"", True),
        (b"a: b\r\n\r\n", False),
        (b"a: b\r\n", False),
        (b"a:\r\n\tb\r\n", False),
        (b"a: b", True),
        (b"a b\r\n", True),
        (b"a: b\r\nc\r\n", True),
        (b"\xc3\xa4: b\r\n", True),
    ],
)
async def test_which_messages_need_an_empty_line(tmp_path: Path, raw: bytes, lacks: bool) -> None:
    assert (await receive(tmp_path, raw)).lacks_separator is lacks


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b":", b" ", b"ab: c\r\n"]), max_size=30))
async def test_other_chunks_same_message(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    raw = b"".join(parts)
    single = [raw[i : i + 1] for i in range(len(raw))]
    whole = await receive(folder, raw)
    assert await receive(folder, *single) == whole
    assert whole.content == raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Watching:
    def __init__(self) -> None:
        self.header = b""
        self.bodies: list[bytes] = []

    def header_arrived(self, header: bytes) -> None:
        assert not self.header
        self.header = header

    def body(self, chunk: bytes) -> None:
        assert self.header
        assert chunk
        self.bodies.append(chunk)


@pytest.mark.parametrize("step", [1, 7, 100_000])
async def test_who_watches_sees_header_and_body_as_they_come(tmp_path: Path, step: int) -> None:
    watching = Watching()
    receiver = Receiver(tmp_path, 1 << 30, watching)
    raw = b"A: 1\nB: 2\r\n\r\nbody\r\n\nmore"
    for start in range(0, len(raw), step):
        await receiver.write(raw[start : start + step])
    received = await receiver.finish()
    assert watching.header == received.header == b"A: 1\r\nB: 2\r\n\r\n"
    assert b"".join(watching.bodies) == b"body\r\n\r\nmore"


async def test_a_message_without_a_body_is_watched_too(tmp_path: Path) -> None:
    watching = Watching()
    receiver = Receiver(tmp_path, 1 << 30, watching)
    await receiver.write(b"Subject: x\r\n")
    await receiver.finish()
    assert watching.header == b"Subject: x\r\n"
    assert watching.bodies == []


OURS = (
    b"authentication-Results : (c) mail.xn--bcher-kva.example; spf=pass\r\n\tdkim=pass\r\n",
    b'AUTHENTICATION-RESULTS: "MAIL.bXcher.example" 1; none\r\n'.replace(b"X", "ü".encode()),
)
OTHERS = (
    b"Authentication-Results: other.example; spf=pass\r\n",
    b"Authentication-Results: ; broken\r\n",
    b"X: y\r\n Authentication-Results: mail.xn--bcher-kva.example; folded\r\n",
    b"X-Authentication-Results: mail.xn--bcher-kva.example; spf=pass\r\n",
)


@pytest.mark.rfc("8601 §5")
@pytest.mark.parametrize("step", [3, 100_000])
@pytest.mark.parametrize(
    "body", [b"\r\nAuthentication-Results: mail.xn--bcher-kva.example; x\r\n", b""]
)
async def test_nobody_else_speaks_in_our_name(tmp_path: Path, step: int, body: bytes) -> None:
    watching = Watching()
    receiver = Receiver(tmp_path, 1 << 30, watching, hostname="mail.xn--bcher-kva.example")
    raw = OURS[0] + OTHERS[0] + OTHERS[2] + OURS[1] + OTHERS[1] + OTHERS[3] + body
    for start in range(0, len(raw), step):
        await receiver.write(raw[start : start + step])
    received = await receiver.finish()
    left = OTHERS[0] + OTHERS[2] + OTHERS[1] + OTHERS[3] + body
    assert received.content == left
    assert received.size == len(left)
    assert received.header == left[: len(left) - max(0, len(body) - 2)]
    # What was signed was all of it.
    assert watching.header + b"".join(watching.bodies) == raw


async def test_a_large_header_is_kept_whole(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, 1 << 30, hostname="mail.example.org")
    raw = OURS[0].replace(b"mail.xn--bcher-kva.example", b"mail.example.org") + b"X: " + b"y" * 70
    raw = b"\r\n".join([raw] + [b"X: " + b"y" * 70] * 30_000) + b"\r\n\r\nbody\r\n"
    for start in range(0, len(raw), 65_536):
        await receiver.write(raw[start : start + 65_536])
    received = await receiver.finish()
    assert isinstance(received.content, SpoolFile)
    assert received.content.path.read_bytes() == raw[raw.index(b"X: ") :]
    assert received.size == received.content.size
    received.content.path.unlink()


def test_one_pass_over_hostile_headers() -> None:
    header = b"Authentication-Results: " + b"(" * 500_000 + b"\r\n" + b" x\r\n" * 100_000
    assert without_own_results(header, "mail.example.org") == header


@pytest.mark.parametrize(
    ("room", "most"), [(0, RECEIVED_IN_MEMORY), (RECEIVED_ROOM, RECEIVED_MORE)]
)
async def test_while_it_arrives_little_of_a_message_is_in_memory(
    tmp_path: Path, room: int, most: int
) -> None:
    raw = b"Subject: x\r\n\r\n" + b"0123456789abcd\r\n" * 20_000
    receiver = Receiver(tmp_path, 1 << 30, room=Room(room))
    reached = 0
    for start in range(0, len(raw), 10_000):
        await receiver.write(raw[start : start + 10_000])
        seen = min(start + 10_000, len(raw))
        on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
        reached = max(reached, seen - on_disk)
    assert most - BATCH <= reached <= most + BATCH
    received = await receiver.finish()
    assert received.content == raw  # whoever works on it has it in memory
    assert list(tmp_path.iterdir()) == []


async def test_room_is_shared_and_given_back(tmp_path: Path) -> None:
    room = Room(2 * (RECEIVED_MORE - RECEIVED_IN_MEMORY))

    async def begun(size: int) -> Receiver:
        receiver = Receiver(tmp_path, 1 << 30, room=room)
        await receiver.write(b"x" * size)
        return receiver

    def files() -> int:
        return len(list(tmp_path.iterdir()))

    first, second = await begun(100_000), await begun(100_000)
    assert files() == 0
    third = await begun(100_000)
    assert files() == 1
    await third.discard()
    await first.finish()
    fourth = await begun(100_000)
    assert files() == 0
    await fourth.write(b"x" * RECEIVED_MORE)  # what goes to disk needs no room
    assert files() == 1
    fifth = await begun(100_000)
    assert files() == 1
    for left in (second, fourth, fifth):
        await left.discard()
    assert files() == 0
    assert [room.enter(), room.enter(), room.enter()] == [True, True, False]


async def test_a_file_that_cannot_be_read_back_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: Path) -> bytes:
        raise OSError(errno.EIO, "bad")

    receiver = Receiver(tmp_path, 1 << 30)
    await receiver.write(b"x" * 500_000)
    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(OSError, match="bad"):
        await receiver.finish()
    assert list(tmp_path.iterdir()) == []


async def test_binary_octets_are_kept(tmp_path: Path) -> None:
    raw = b"Subject: x\r\n\r\n\n.\r\0\r\n\xff"
    for binary in (True, False):
        receiver = Receiver(tmp_path, 1 << 30, binary=binary)
        for at in range(len(raw)):
            await receiver.write(raw[at : at + 1])
        received = await receiver.finish()
        assert (received.content == raw) is binary
        assert received.has_8bit
        assert received.has_separator
