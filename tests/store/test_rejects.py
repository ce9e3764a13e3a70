"""The Rejects mailbox."""

import asyncio
import hashlib
from array import array
from pathlib import Path

import msgspec
import pytest

from mox.base import flags as flagbits
from mox.base.clock import FrozenClock
from mox.store import rejects
from mox.store.account import Account
from mox.store.content import NewMessage, Spool
from mox.store.engine.base import Family
from mox.store.errors import DiskFull
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts
from mox.store.messages import copy, expunge

DAY_S = 24 * 3600


def refused(
    text: str, *, message_id: str = "", received_ms: int = 0, destined: int = 1
) -> NewMessage:
    content = f"Subject: {text}\r\n\r\n".encode()
    facts = Facts(
        message_id=message_id, destined=destined, content_hash=hashlib.sha256(content).digest()
    )
    return NewMessage(content=content, received_ms=received_ms, facts=facts)


async def keep(
    account: Account, message: NewMessage, *, now_ms: int = 0, keep_all: bool = False
) -> bool:
    return await rejects.keep(account, "Rejects", message, now_ms=now_ms, keep_all=keep_all)


def facts_of(account: Account, file: int) -> Facts:
    value = account.shard.engine.get(Family.MSG, keys.file(account.id, file))
    assert value is not None
    return rows.decode(Facts, value)


async def test_a_refused_message_is_kept_once(account: Account) -> None:
    assert await keep(account, refused("one", message_id="a@b.example"))
    mailbox = account.mailbox("Rejects")
    assert "Rejects" in account.subscriptions
    columns = await mailbox.load()
    assert columns.flags(0) == flagbits.SEEN
    facts = facts_of(account, columns.file(0))
    assert (facts.is_reject, facts.origin, facts.destined) == (True, mailbox.id, 1)
    assert not await keep(account, refused("same id", message_id="a@b.example"))
    assert not await keep(account, refused("one", message_id="same-content@b.example"))
    assert await keep(account, refused("two", message_id="other@b.example"))
    assert await keep(account, refused("no id"))
    assert not await keep(account, refused("no id"))
    assert mailbox.record.messages == 3


async def test_many_at_once_are_kept_once(account: Account) -> None:
    same = [keep(account, refused(str(n), message_id="a@b.example")) for n in range(5)]
    assert sorted(await asyncio.gather(*same)) == [False] * 4 + [True]


async def test_old_ones_make_room(
    account: Account, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "REJECTS_KEPT", 3)
    start = clock.now_ms()
    for n in range(3):
        now = start + n * 1000
        assert await keep(account, refused(str(n), received_ms=now), now_ms=now)
    fortnight = start + 14 * DAY_S * 1000
    assert not await keep(account, refused("3", received_ms=fortnight), now_ms=fortnight)
    fortnight += 1  # the first one is too old now
    assert await keep(account, refused("4", received_ms=fortnight), now_ms=fortnight)
    mailbox = account.mailbox("Rejects")
    columns = await mailbox.load()
    there = columns.visible_slots(len(columns), account.record.modseq)
    assert [columns.uid(slot) for slot in there] == [2, 3, 4]
    # With keep_all neither age nor number counts.
    much_later = start + 100 * DAY_S * 1000
    assert await keep(account, refused("5"), now_ms=much_later, keep_all=True)
    assert mailbox.record.messages == 4


async def test_an_expunged_one_is_not_known_any_more(account: Account) -> None:
    assert await keep(account, refused("one", message_id="a@b.example"))
    mailbox = account.mailbox("Rejects")
    with mailbox.pinned():
        await mailbox.load()
        await expunge(account, mailbox, array("I", [0]))
    assert await keep(account, refused("one", message_id="a@b.example"))
    await rejects.sweep(account)
    await account.settle()
    found = account.shard.engine.scan(Family.IDX, *keys.rejects_of(account.id))
    assert {keys.reject_parts(key) for key, _ in found} == {(mailbox.id, 2)}


async def test_an_accepted_message_leaves_no_reject(account: Account) -> None:
    assert await rejects.forget(account, "Rejects", "a@b.example") == 0
    assert "Rejects" not in account.by_name
    assert await keep(account, refused("one", message_id="a@b.example"))
    assert await keep(account, refused("two", message_id="c@d.example"))
    assert await rejects.forget(account, "Rejects", "") == 0
    assert await rejects.forget(account, "Rejects", "a@b") == 0
    assert await rejects.forget(account, "Rejects", "a@b.example") == 1
    assert await rejects.forget(account, "Rejects", "a@b.example") == 0
    assert account.mailbox("Rejects").record.messages == 1


async def test_a_rescued_message_stays(account: Account) -> None:
    assert await keep(account, refused("one", message_id="a@b.example"))
    mailbox, inbox = account.mailbox("Rejects"), account.mailbox("Inbox")
    with mailbox.pinned():
        columns = await mailbox.load()
        file = columns.file(0)
        await copy(account, mailbox, array("I", [0]), inbox, move=True)
    assert await rejects.forget(account, "Rejects", "a@b.example") == 0
    assert inbox.record.messages == 1
    facts = facts_of(account, file)
    assert facts.effective_origin(mailbox.id) == mailbox.id
    assert facts.effective_origin(inbox.id) == 1


async def test_a_spooled_content_is_consumed(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spooled() -> NewMessage:
        spool = Spool(tmp_path, in_memory=0)
        spool.write(b"Subject: x\r\n\r\n")
        return msgspec.structs.replace(refused("x"), content=spool.finish())

    left = set(tmp_path.glob("spool-*"))
    assert await keep(account, spooled())
    assert not await keep(account, spooled())
    monkeypatch.setattr(rejects, "REJECTS_KEPT", 1)
    assert not await keep(account, refused("y"))

    async def full(*_: object) -> None:
        raise DiskFull

    monkeypatch.setattr(rejects, "append", full)
    with pytest.raises(DiskFull):
        await rejects.keep(account, "Other", spooled(), now_ms=0, keep_all=True)
    assert set(tmp_path.glob("spool-*")) == left
