"""APPEND: octets, spooling, and that nothing is left behind."""

from collections.abc import Sequence

import pytest
from support.imaphouse import Client, House

from mox.base.limits import IMAP_LINE_DISCARD, KEYWORDS_PER_MAILBOX, MESSAGE_IN_MEMORY
from mox.imapserver.spooling import Spooling
from mox.store.blobs.base import SpoolFile

LARGE = b"Subject: large\r\n\r\n" + b"a line of this message\r\n" * 60_000
assert len(LARGE) > MESSAGE_IN_MEMORY


async def body(client: Client, number: int = 1) -> bytes:
    found = await client.command(b"f FETCH %d BODY.PEEK[]" % number)
    head, _, rest = found[0].partition(b"}\r\n")
    return rest[: int(head.rpartition(b"{")[2])]


def spooled(house: House) -> Sequence[str]:
    return [path.name for path in house.shard.spool_folder.iterdir()]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"a: b\n\nc\n", b"a: b\r\n\r\nc\r\n"),
        (b"a: b\r\n\r\nc", b"a: b\r\n\r\nc"),
        (b"\n\n\r\n\n", b"\r\n\r\n\r\n\r\n"),
        (b"a: b\r\n\r\nc\r", b"a: b\r\n\r\nc\r"),
        (b"no header", b"no header"),
    ],
)
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytes"])
async def test_lone_line_feeds_become_line_ends(
    house: House, sent: bytes, kept: bytes, bytewise: bool
) -> None:
    client = await house.connect(bytewise=bytewise)
    found = await client.command(b"a APPEND Inbox {%d+}\r\n%b" % (len(sent), sent))
    assert b"APPENDUID" in found[-1], found
    await client.command(b"s SELECT Inbox")
    assert await body(client) == kept
    found = await client.command(b"f FETCH 1 RFC822.SIZE")
    assert found[0] == b"* 1 FETCH (UID 1 RFC822.SIZE %d)" % len(kept)


@pytest.mark.rfc("3516 §4.4")
async def test_a_literal8_is_kept_octet_for_octet(client: Client) -> None:
    sent = b"a: b\n\nc\n\r"
    await client.command(b"a APPEND Inbox ~{%d+}\r\n%b" % (len(sent), sent))
    await client.command(b"s SELECT Inbox")
    assert await body(client) == sent


@pytest.mark.parametrize("piece", [65_536, 999_999])
async def test_a_large_message_goes_by_way_of_a_file(
    house: House, client: Client, piece: int
) -> None:
    await client.command(b"s SELECT Inbox")
    await client.send(b"a APPEND Inbox {%d}\r\n" % len(LARGE))
    assert (await client.response() or b"").startswith(b"+ ")
    for at in range(0, len(LARGE), piece):
        await client.send(LARGE[at : at + piece])
        await client.quiet()
    found = await client.command(b"")
    assert found[0] == b"* 1 EXISTS"
    assert b"APPENDUID" in found[-1]
    assert await body(client) == LARGE
    assert spooled(house) == []


@pytest.mark.parametrize("ending", [b" (\\Bad) {1+}\r\nx", b" leftover", b" {0+}\r\n"])
async def test_nothing_is_left_of_a_command_that_fails(
    house: House, client: Client, ending: bytes
) -> None:
    found = await client.command(b"a APPEND Inbox {%d+}\r\n%b%b" % (len(LARGE), LARGE, ending))
    assert found[-1].startswith((b"a BAD ", b"a NO ")), found
    assert spooled(house) == []
    found = await client.command(b"s STATUS Inbox (MESSAGES)")
    assert found[0] == b"* STATUS Inbox (MESSAGES 0)"


async def test_nothing_is_left_of_a_client_that_leaves(house: House, client: Client) -> None:
    await client.send(b"a APPEND Inbox {%d+}\r\n%b" % (len(LARGE) + 1, LARGE))
    await client.quiet()
    assert len(spooled(house)) == 1
    await client.close()
    assert spooled(house) == []


@pytest.mark.rfc("9208 §4.2")
async def test_quota_is_looked_at_before_the_data(house: House, client: Client) -> None:
    account = await house.shard.account("mox")
    account.quota_bytes = 1000
    found = await client.command(b"a APPEND Inbox {1001}")
    assert found[-1].startswith(b"a NO [OVERQUOTA] ")
    message = b"x" * 600
    found = await client.command(b"a APPEND Inbox {600+}\r\n%b {600+}\r\n%b" % (message, message))
    assert found[-1].startswith(b"a NO [OVERQUOTA] ")
    found = await client.command(b"a APPEND Inbox {600+}\r\n%b" % message)
    assert found[-1].startswith(b"a OK [APPENDUID ")
    found = await client.command(b"s SELECT Inbox")
    found = await client.command(b"c COPY 1 Archive")
    assert found[-1].startswith(b"c NO [OVERQUOTA] ")
    found = await client.command(b"m MOVE 1 Archive")
    assert found[-1].startswith(b"m OK ")


@pytest.mark.rfc("7889 §4")
async def test_more_than_can_be_skipped_ends_the_connection(house: House, client: Client) -> None:
    house.service.append_limit = 1000
    found = await client.command(b"a APPEND Inbox {%d+}" % (IMAP_LINE_DISCARD + 1))
    assert found == [] or found[0].startswith(b"* BYE"), found
    assert await client.closed()


@pytest.mark.rfc("7889 §4")
async def test_a_message_over_the_limit_is_skipped(house: House, client: Client) -> None:
    house.service.append_limit = 1000
    found = await client.command(b"a APPEND Inbox {1001+}\r\n%b" % (b"x" * 1001))
    assert found[-1].startswith(b"a NO [TOOBIG] ")
    found = await client.command(b"n NOOP")
    assert found[-1].startswith(b"n OK ")


async def test_keywords_have_a_limit(client: Client) -> None:
    await client.command(b"s SELECT Inbox")
    names = b" ".join(b"k%d" % number for number in range(KEYWORDS_PER_MAILBOX))
    found = await client.command(b"a APPEND Inbox (%b) {2+}\r\n\r\n" % names)
    assert found[-1].startswith(b"a OK [APPENDUID ")
    found = await client.command(b"a APPEND Inbox (one-more) {2+}\r\n\r\n")
    assert found[-1].startswith(b"a NO [LIMIT] ")
    found = await client.command(b"t STORE 1 FLAGS (one-more)")
    assert found[-1].startswith(b"t NO [LIMIT] ")
    found = await client.command(b"t STORE 1 FLAGS (k999 K7)")
    assert found[-2] == b"* 1 FETCH (UID 1 FLAGS (\\Recent k7 k999))"
    assert b"\\*" not in next(line for line in found if b"PERMANENTFLAGS" in line)
    found = await client.command(b"f SEARCH KEYWORD k999 KEYWORD k7 UNKEYWORD k998")
    assert found[0] == b"* SEARCH 1"
    found = await client.command(b"t STORE 1 FLAGS (%b)" % (b"x" * 256))
    assert found[-1].startswith(b"t NO ")


async def test_spooling_gives_what_was_written(house: House) -> None:
    spooling = Spooling(house.shard)
    async with spooling.message(as_is=False) as sink:
        await sink(b"a\r")
        await sink(b"\nb\n")
    assert spooling.take() == b"a\r\nb\r\n"
    async with spooling.message(as_is=True) as sink:
        for _ in range(5):
            await sink(b"\n" * 300_000)
    file = spooling.take()
    assert isinstance(file, SpoolFile)
    assert file.path.read_bytes() == b"\n" * 1_500_000
    await spooling.discard()
    assert spooled(house) == []
