"""BDAT and BINARYMIME: octets by count.    RFC 3030."""

import errno
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.smtpsession import BoundTLS, Client, House

from mox.sasl.secretset import SecretSet
from mox.smtpserver.receiving import CarriageReturns
from mox.store.content import Spool
from mox.store.errors import DiskFull, QuotaExceeded


async def send(client: Client, *chunks: bytes) -> None:
    """A message in chunks, pipelined; the last reply is left to be read."""
    for number, chunk in enumerate(chunks, 1):
        last = b" LAST" if number == len(chunks) else b""
        await client.send(b"BDAT %d%s\r\n%s" % (len(chunk), last, chunk))
    for chunk in chunks[:-1]:
        assert (await client.reply()).text.startswith(f"{len(chunk)} octets")


async def answered(client: Client, code: int, enhanced: str) -> None:
    reply = await client.reply()
    assert (reply.code, reply.enhanced) == (code, enhanced)


async def begin(client: Client, parameters: str = "") -> None:
    await client.say(f"MAIL FROM:<a@remote.example>{parameters}", 250, "2.1.0")
    await client.say("RCPT TO:<mox@example.org>", 250, "2.1.0")


@pytest.mark.rfc("3030 §2")
async def test_chunks_are_one_message_wherever_they_are_cut(house: House, client: Client) -> None:
    raw = b"Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
    for cuts in ([], [11], [12], [13, 14], [15, 20, 24, 25], [0, len(raw)]):
        await begin(client)
        places = [0, *cuts, len(raw)]
        await send(client, *(raw[a:b] for a, b in pairwise(places)))
        await answered(client, 250, "2.2.0")
        assert house.store.messages[-1][2].content == raw
    await client.say("NOOP", 250, "2.0.0")


async def test_bare_line_feeds_are_repaired_also_across_chunks(
    house: House, client: Client
) -> None:
    await begin(client)
    await send(client, b"Subject: x\r", b"\n\n", b"a\n", b"b\r\n.\n")
    await answered(client, 250, "2.2.0")
    assert house.store.messages[0][2].content == b"Subject: x\r\n\r\na\r\nb\r\n.\r\n"


@pytest.mark.rfc("5321 §2.3.8; 3030 §2")
@pytest.mark.parametrize(
    "chunks",
    [
        (b"Subject: x\r\n\r\na\r.\rb\r\n",),
        (b"Subject: x\r\n\r\na\r", b".\r\n"),
        (b"Subject: x\r\n\r\na\r", b""),
        (b"Subject: x\r\n\r\na\r\r", b"\n"),
        (b"Subject: x\rBcc: y\r\n\r\n",),
    ],
)
async def test_text_with_a_bare_carriage_return_is_refused(
    house: House, client: Client, chunks: tuple[bytes, ...]
) -> None:
    await begin(client)
    await send(client, *chunks)
    await answered(client, 500, "5.5.2")
    assert house.store.messages == []
    await client.say("MAIL FROM:<a@remote.example>", 250, "2.1.0")


@pytest.mark.rfc("3030 §3")
async def test_binary_octets_are_kept(house: House, client: Client) -> None:
    header = b"Content-Transfer-Encoding: binary\r\n\r\n"
    body = bytes(range(256)) + b"\n.\n\r.\r\0\r\n.\r\n\n"
    await begin(client, " BODY=BINARYMIME")
    await send(client, header, body[:270], body[270:])
    await answered(client, 250, "2.2.0")
    message = house.store.messages[0][2]
    assert message.content == header + body
    assert message.prefix.endswith(b"+0000\r\n")


@pytest.mark.parametrize(
    "header",
    [b"Subject: x\nBcc: y\r\n\r\n", b"Subject: x\ry\r\n\r\n", b"Subject: x\0y\r\n\r\n", b"text\n"],
)
async def test_a_binary_message_has_a_header_of_text(
    house: House, client: Client, header: bytes
) -> None:
    await begin(client, " BODY=BINARYMIME")
    await send(client, header + b"x" * 1_500_000)
    await answered(client, 500, "5.5.2")
    assert list(house.spool_folder.iterdir()) == []
    assert house.store.messages == []


async def test_large_chunks_go_through_a_file(house: House, client: Client) -> None:
    raw = b"Subject: x\r\n\r\n" + b"0123456789abcdef0123456789abcd\r\n" * 70_000
    await begin(client)
    await client.send(b"BDAT %d LAST\r\n" % len(raw))
    sizes = set()
    for start in range(0, len(raw), 100_000):
        await client.send(raw[start : start + 100_000])
        await client.settle()
        sizes.add(sum(path.stat().st_size for path in house.spool_folder.iterdir()))
    await answered(client, 250, "2.2.0")
    assert max(sizes) > 1_000_000
    assert house.store.messages[0][2].content == raw


@pytest.mark.parametrize("ending", ["RSET", "EHLO x", "QUIT", "STARTTLS", ""])
async def test_chunks_that_are_not_wanted_any_more_leave_nothing(house: House, ending: str) -> None:
    client = await house.connect(tls=BoundTLS())
    await client.say("EHLO client.example", 250)
    await begin(client)
    await client.send(b"BDAT 2000000\r\n" + b"x" * 2_000_000)
    await answered(client, 250, "2.0.0")
    assert len(list(house.spool_folder.iterdir())) == 1
    if ending:
        await client.send(ending.encode() + b"\r\n")
        assert (await client.reply()).is_positive
    else:
        client.wire.hang_up()
    await client.settle()
    assert list(house.spool_folder.iterdir()) == []
    assert house.store.messages == []


async def test_a_chunk_that_does_not_come_whole(house: House, client: Client) -> None:
    await begin(client)
    await client.send(b"BDAT 100 LAST\r\nSubject: x\r\n\r\n.\r\n")
    await client.settle()
    client.wire.time_out()
    await answered(client, 421, "4.4.2")
    await client.expect_end()
    assert house.store.messages == []


async def test_a_message_in_chunks_takes_at_most_half_an_hour(house: House, client: Client) -> None:
    await begin(client)
    for _ in range(7):
        await client.send(b"BDAT 1\r\nx")
        await answered(client, 250, "2.0.0")
        house.clock.advance(4 * 60 + 20)
    await client.send(b"BDAT 1\r\nx")
    await answered(client, 421, "4.4.2")
    await client.expect_end()


@pytest.mark.rfc("3030 §2")
async def test_a_disk_that_is_full_is_told_after_the_chunk(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Spool, _chunk: bytes) -> None:
        raise DiskFull

    await begin(client)
    monkeypatch.setattr(Spool, "write", full)
    await client.send(b"BDAT 300002\r\n\r\n" + b"x" * 300_000 + b"BDAT 4 LAST\r\nQUIT")
    await answered(client, 452, "4.3.1")
    await answered(client, 503, "5.5.1")
    monkeypatch.undo()
    await begin(client)
    await send(client, b"Subject: x\r\n\r\n")
    await answered(client, 250, "2.2.0")


@pytest.mark.parametrize(
    ("failure", "code", "enhanced"),
    [(QuotaExceeded(), 452, "4.2.2"), (OSError(errno.EIO, "bad"), 451, "4.3.0")],
)
async def test_what_the_store_refuses(
    house: House, client: Client, failure: Exception, code: int, enhanced: str
) -> None:
    house.store.failures["mox"] = failure
    await begin(client)
    await send(client, b"Subject: x\r\n\r\n", b"y" * 2_000_000)
    await answered(client, code, enhanced)
    await send(client, b"x")
    await answered(client, 503, "5.5.1")


async def test_bad_chunks_count_as_bad_messages(house: House) -> None:
    client = await house.connect(max_size=10)
    await client.say("EHLO client.example", 250)
    for _ in range(11):
        await begin(client)
        await client.send(b"BDAT 11\r\n" + b"x" * 11)
        await answered(client, 552, "5.2.3")
    await client.say("MAIL FROM:<a@remote.example>", 550, "5.1.0")
    await client.expect_end()


async def test_nothing_is_drained_for_ever(house: House, client: Client) -> None:
    await client.send(b"BDAT 99999999999999999999\r\n")
    for _ in range(11):
        await client.send(b"QUIT\r\n")
        await client.settle()
        house.clock.advance(170)
    await client.send(b"QUIT\r\n")
    await answered(client, 421, "4.4.2")
    await client.expect_end()


TEXT = st.lists(
    st.sampled_from([b"a", b".", b"\r\n", b"\r\n.\r\n", b"\r", b"\n", b"x" * 90]), max_size=12
)


@given(TEXT, st.lists(st.integers(0, 400), max_size=6))
def test_bare_carriage_returns_are_found_wherever_text_is_cut(
    parts: list[bytes], cuts: list[int]
) -> None:
    raw = b"".join(parts)
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    finder = CarriageReturns()
    for a, b in pairwise(places):
        if a < b:
            finder.feed(raw[a:b])
    assert finder.bare == (raw.count(b"\r") != raw.count(b"\r\n"))


@settings(max_examples=40)
@given(TEXT, st.lists(st.integers(0, 400), max_size=4))
async def test_both_ways_in_give_the_same_message(
    tmp_path_factory: pytest.TempPathFactory,
    secrets_of_mox: SecretSet,
    parts: list[bytes],
    cuts: list[int],
) -> None:
    """What both ways accept is the same message; and BDAT accepts whatever DATA does."""
    folder: Path = tmp_path_factory.mktemp("spool")
    raw = b"Subject: x\r\n\r\n" + b"".join(parts) + b"\r\n"
    house = House(folder, secrets_of_mox)
    client = await house.connect()
    await client.say("EHLO client.example", 250)
    await begin(client)
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    await send(client, *(raw[a:b] for a, b in pairwise(places)))
    by_count = await client.reply()
    await begin(client)
    await client.say("DATA", 354)
    await client.send(raw.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    by_dot = await client.reply()
    assert by_dot.code in {250, 500}
    assert (by_count.code == 500) == (raw.count(b"\r") != raw.count(b"\r\n"))
    if by_dot.code == 250:
        assert by_count.code == 250
        first, second = (message.content for _, _, message in house.store.messages)
        assert first == second
    await client.say("NOOP", 250, "2.0.0")
    await house.close()
