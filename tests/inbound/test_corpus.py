"""Weeks of made-up mail: the same seed makes the same decisions, and marking mail helps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from support.corpusmail import WEEK_MS, Corpus, Sent
from support.corpusrun import USERS, Curve, Run, User

from mox.base.clock import FrozenClock

START_MS = FrozenClock().now_ms()
ANA = USERS[0]
IDLE = User(name=ANA.name, text="does nothing", days=7)


async def run(folder: Path, user: User) -> tuple[Curve, list[Sent]]:
    folder.mkdir()
    made = Run(folder, seed=7, users=[user], weeks=2)
    return await made.run(), made.accepted


def repeated(accepted: list[Sent]) -> list[int]:
    """Spam of senders that stay who they are, by week."""
    weeks = Counter(
        (one.at_ms - START_MS) // WEEK_MS
        for one in accepted
        if one.kind in ("marketer", "service-abuse")
    )
    return [weeks[0], weeks[1]]


def test_the_seed_decides_over_the_mail() -> None:
    def made(seed: int) -> Corpus:
        return Corpus(seed, ["ana", "ben"], 2, START_MS)

    first, second = made(3), made(3)
    assert first.letters == second.letters
    assert first.zones == second.zones
    assert [one.raw for one in made(4).letters] != [one.raw for one in first.letters]
    assert {one.user for one in first.letters} == {"ana", "ben"}
    assert len({one.id for one in first.letters}) == len(first.letters)
    assert [one.at_ms for one in first.letters] == sorted(one.at_ms for one in first.letters)


@pytest.mark.slow
async def test_two_weeks_of_one_user(tmp_path: Path) -> None:
    curve, accepted = await run(tmp_path / "1", ANA)
    again, accepted_again = await run(tmp_path / "2", ANA)
    assert msgspec.json.encode(curve) == msgspec.json.encode(again)
    assert [one.id for one in accepted] == [one.id for one in accepted_again]
    idle, accepted_by_idle = await run(tmp_path / "3", IDLE)

    first, second = repeated(accepted)
    assert first > 0
    assert second <= first
    # The same senders go on to somebody who never marks.
    assert sum(repeated(accepted_by_idle)) > first + second
    weeks, idle_weeks = curve[ANA.name], idle[ANA.name]
    assert [(one.ham, one.spam) for one in weeks] == [(one.ham, one.spam) for one in idle_weeks]
    assert weeks[1].spam_in_inbox < idle_weeks[1].spam_in_inbox
    for tally in (*weeks, *idle_weeks):
        assert 0 <= tally.ham_lost <= tally.ham_put_aside + tally.ham_refused <= tally.ham
        assert tally.spam_in_inbox <= tally.spam
