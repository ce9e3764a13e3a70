"""Contents and derived values come back as they were stored."""

from collections.abc import Callable
from mmap import mmap
from pathlib import Path

from mox.base.limits import BODY_INLINE
from mox.store import reading
from mox.store.account import Account
from mox.store.blobs.memory import MemoryBlobs
from mox.store.content import Kind, NewMessage
from mox.store.messages import append
from mox.store.shard import Shard


async def test_contents_in_order(account: Account, message: Callable[..., NewMessage]) -> None:
    made = [message(f"text {number}") for number in range(5)]
    await append(account, account.mailbox("Inbox"), made)
    found = await account.shard.in_thread(reading.read_contents, account, [5, 1, 3])
    assert found == [made[4].content, made[0].content, made[2].content]
    assert await reading.content(account, 2) == made[1].content
    locations = reading.locate(account, [1, 99])
    assert reading.read_start(account, 1, locations[0], 7) == b"Subject"
    assert locations[1] is None
    assert reading.read_start(account, 99, None, 7) is None
    assert await reading.content(account, 99) is None


async def test_derived_values(account: Account, message: Callable[..., NewMessage]) -> None:
    await append(account, account.mailbox("Inbox"), [message("a"), message("b")])
    found = await reading.derived(account, [2, 1], (Kind.PREVIEW, Kind.BODY))
    assert found == [b"Subject: b\r\n\r\nb\r\n", None, b"Subject: a\r\n\r\na\r\n", None]
    assert reading.derive_again(account, 1) == {Kind.PREVIEW: b"Subject: a\r\n\r\na\r\n"}
    assert reading.derive_again(account, 99) == {}


async def test_a_large_content_is_mapped(shard: Shard, account: Account) -> None:
    content = b"Subject: large\r\n\r\n" + b"x" * 1_500_000
    large = NewMessage(content=content, received_ms=1)
    await append(account, account.mailbox("Inbox"), [large])
    found = await reading.content(account, 1)
    assert found is not None
    assert isinstance(found, mmap) == (
        shard.blobs.path(account.id, 1, _location(account)) is not None
    )
    assert await reading.piece(account, found, 10, 30) == content[10:30]
    assert reading.derive_again(account, 1) == {Kind.PREVIEW: content[:20]}


def _location(account: Account):  # type: ignore[no-untyped-def]
    found = reading.locate(account, [1])[0]
    assert found is not None
    return found


async def test_damage_is_noticed(
    shard: Shard, account: Account, message: Callable[..., NewMessage], tmp_path: Path
) -> None:
    made = [message(letter * BODY_INLINE) for letter in "ab"]
    await append(account, account.mailbox("Inbox"), made)
    packs = list(tmp_path.rglob("*.pack"))
    if not packs:
        assert isinstance(shard.blobs, MemoryBlobs)  # which has no files to damage
        return
    with packs[0].open("r+b") as file:
        data = file.read()
        file.seek(data.index(b"Subject: a"))
        file.write(b"Gubject")
    found = await account.shard.in_thread(reading.read_contents, account, [1, 2])
    assert found == [None, made[1].content]
