"""One configuration at a time, and everyone is told."""

import pytest

from mox.config import load
from mox.config.live import Config, Live


def test_swap_tells_everyone_in_order(static_text: str, domains_text: str) -> None:
    old = load.load(static_text, domains_text)
    new = load.load(static_text, domains_text.replace("Books", "Library"))
    live = Live(old)
    told: list[tuple[str, bool, bool]] = []

    def listener(name: str, before: Config, after: Config) -> None:
        told.append((name, before is old, after is new and live.config is new))

    end = live.listen(lambda before, after: listener("a", before, after))
    live.listen(lambda before, after: listener("b", before, after))
    live.swap(new)
    assert told == [("a", True, True), ("b", True, True)]
    end()
    live.swap(old)
    assert [one[0] for one in told] == ["a", "b", "b"]


def test_a_failing_listener_keeps_nobody_from_knowing(static_text: str, domains_text: str) -> None:
    config = load.load(static_text, domains_text)
    live = Live(config)
    told: list[str] = []

    def fails(_before: Config, _after: Config) -> None:
        raise OSError("x")

    live.listen(fails)
    live.listen(lambda _before, _after: told.append("b"))
    new = load.load(static_text, domains_text)
    with pytest.raises(ExceptionGroup):
        live.swap(new)
    assert told == ["b"]
    assert live.config is new
