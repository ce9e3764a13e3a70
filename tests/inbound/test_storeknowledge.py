"""What is read where: short reads on the event loop, what blocks in threads."""

import threading
from collections.abc import Callable

import pytest
from support.judging import DOMAINS, Court, message

from mox.base.clock import FrozenClock
from mox.base.limits import LETTER_SHORT
from mox.inbound.storeknowledge import AFTER_SLOW, SLOW_S, StoreKnowledge
from mox.junk.model import Count
from mox.junk.reputation import History
from mox.store.account import Account
from mox.store.rates import Limits

FILTERED = DOMAINS.replace(
    '[accounts.me.destinations."me@example.org"]',
    '[accounts.me.junk_filter]\n[accounts.me.destinations."me@example.org"]',
)


@pytest.fixture
async def account(make_court: Callable[..., Court]) -> Account:
    court = make_court()
    found = await court.accounts.account("me")
    await court.learnt()
    return found


async def where(knowledge: StoreKnowledge, account: Account, work: Callable[[], None]) -> bool:
    """Whether history is read on the event loop; ``work`` is done there."""

    def read(_: History) -> int:
        work()
        return threading.get_ident()

    return await knowledge.by_history(account, "Inbox", read) == threading.get_ident()


async def test_after_a_slow_read_the_next_ones_run_in_threads(account: Account) -> None:
    clock = FrozenClock()
    knowledge = StoreKnowledge(Limits(), clock=clock)
    assert await where(knowledge, account, lambda: clock.advance(SLOW_S / 2))
    assert await where(knowledge, account, lambda: clock.advance(SLOW_S * 2))
    for _ in range(AFTER_SLOW):
        assert not await where(knowledge, account, lambda: None)
    assert await where(knowledge, account, lambda: None)


async def test_a_read_that_fails_slowly_counts_too(account: Account) -> None:
    clock = FrozenClock()
    knowledge = StoreKnowledge(Limits(), clock=clock)

    def fail(_: History) -> None:
        clock.advance(SLOW_S * 2)
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        await knowledge.by_history(account, "Inbox", fail)
    assert not await where(knowledge, account, lambda: None)


async def test_counts_are_read_once_then_they_are_in_memory(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    knowledge = StoreKnowledge(Limits())
    nothing = (Count(), [None, None])
    assert await knowledge.counted(account, [b"some", b"words"]) == nothing

    def refuse(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(account.shard.engine, "multi_get", refuse)
    assert await knowledge.counted(account, [b"words", b"some"]) == nothing
    with pytest.raises(AssertionError, match="read again"):
        await knowledge.counted(account, [b"words", b"others"])


@pytest.mark.parametrize("size", [100, 20_000])
async def test_words_of_long_messages_are_cut_in_a_thread(
    make_court: Callable[..., Court], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    court = make_court(domains=FILTERED, knowledge=StoreKnowledge(Limits()))
    places = []

    def cut(*arguments: object) -> set[bytes]:
        places.append(threading.get_ident() == threading.main_thread().ident)
        return {b"word"}

    monkeypatch.setattr("mox.inbound.letter.message_words", cut)
    assert (await court.one(message(body="some words\r\n" * (size // 12)))).reply.code == 250
    assert places == [size <= LETTER_SHORT]
    verdict = await court.verdict()
    assert verdict.content is not None
