"""Reload and rewriting of domains.toml."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from mox.base.errors import Refused
from mox.config.live import Config
from mox.config.problems import ConfigInvalid
from mox.runtime.configfiles import Change, ConfigFiles

STATIC = """
data_dir = "../data"
log_level = "info"
hostname = "mail.example.org"
[postmaster]
account = "me"
mailbox = "Postmaster"
[listeners.public]
ips = ["127.0.0.1"]
"""
DOMAINS = """
# kept comment
[domains."example.org"]
[accounts.me]
domain = "example.org"
[accounts.me.destinations."me@example.org"]
"""
MORE = DOMAINS + '[accounts.me.destinations."also@example.org"]\n'


@pytest.fixture
def files(tmp_path: Path) -> ConfigFiles:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "mox.toml").write_text(STATIC)
    (tmp_path / "config" / "domains.toml").write_text(DOMAINS)
    return ConfigFiles(tmp_path / "config" / "mox.toml")


def edit(files: ConfigFiles, text: str) -> None:
    before = files.domains_path.stat().st_mtime_ns
    files.domains_path.write_text(text)
    os.utime(files.domains_path, ns=(before + 1_000_000, before + 1_000_000))


def addresses(files: ConfigFiles) -> set[str]:
    return set(files.live.config.domains.accounts["me"].destinations)


def test_paths_are_relative_to_the_file(files: ConfigFiles, tmp_path: Path) -> None:
    assert files.data_dir == tmp_path / "data"


async def test_a_valid_edit_is_taken_up(files: ConfigFiles) -> None:
    assert not await files.poll()
    edit(files, MORE)
    assert await files.poll()
    assert addresses(files) == {"me@example.org", "also@example.org"}
    assert not await files.poll()


async def test_an_invalid_edit_leaves_the_old_configuration_and_blocks_rewriting(
    files: ConfigFiles,
) -> None:
    edit(files, DOMAINS + "nonsense = 1\n[")
    assert not await files.poll()
    assert addresses(files) == {"me@example.org"}
    with pytest.raises(Refused, match="was edited and is not valid"):
        await files.edit(lambda _config, _text: MORE)
    assert files.domains_path.read_text().endswith("[")
    edit(files, MORE)
    assert await files.poll()


async def test_an_edit_begins_with_what_was_edited_by_hand(files: ConfigFiles) -> None:
    edit(files, MORE)
    seen: list[str] = []

    def change(config: Config, text: str) -> str:
        seen.append(text)
        assert "also@example.org" in config.domains.accounts["me"].destinations
        return text + "# more\n"

    await files.edit(change)
    assert seen == [MORE]
    assert files.domains_path.read_text() == MORE + "# more\n"


async def test_an_edit_replaces_file_and_configuration(files: ConfigFiles) -> None:
    told: list[Config] = []
    files.live.listen(lambda _old, new: told.append(new))
    await files.edit(lambda _config, text: text + MORE.removeprefix(DOMAINS))
    assert files.domains_path.read_text() == MORE
    assert files.domains_path.stat().st_mode & 0o777 == 0o640
    assert "also@example.org" in addresses(files)
    assert told == [files.live.config]
    assert not await files.poll()


async def test_an_edit_to_something_invalid_is_refused(files: ConfigFiles) -> None:
    with pytest.raises(ConfigInvalid):
        await files.edit(lambda _config, _text: '[accounts.me]\ndomain = "other.org"\n')
    assert files.domains_path.read_text() == DOMAINS
    assert addresses(files) == {"me@example.org"}


async def test_edits_run_one_at_a_time_off_the_loop(files: ConfigFiles) -> None:
    """Each begins with the result of the one before it; the loop goes on meanwhile."""
    running: list[int] = []

    def adding(number: int) -> Change:
        def change(_config: Config, text: str) -> str:
            running.append(number)
            assert len(running) == 1
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            time.sleep(0.01)
            running.clear()
            return text + f'[accounts.me.destinations."n{number}@example.org"]\n'

        return change

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(files.edit(adding(number)) for number in range(5)), files.poll())
    ticking.cancel()
    assert addresses(files) == {
        "me@example.org",
        *(f"n{number}@example.org" for number in range(5)),
    }
    assert ticks > 10


async def test_an_edit_by_hand_during_an_edit_is_not_overwritten(files: ConfigFiles) -> None:
    def change(_config: Config, _text: str) -> str:
        edit(files, MORE)  # somebody else, at this moment
        return DOMAINS + "# ours\n"

    with pytest.raises(Refused, match="edited at this moment"):
        await files.edit(change)
    assert files.domains_path.read_text() == MORE


async def test_a_folder_that_cannot_be_written(
    files: ConfigFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mox.runtime.configfiles.write_atomic", refuse)
    with pytest.raises(
        Refused, match=r"cannot replace .*domains\.toml: Permission denied; its folder"
    ):
        await files.edit(lambda _config, _text: MORE)
    assert addresses(files) == {"me@example.org"}


def test_the_static_file_may_be_given(files: ConfigFiles) -> None:
    """A worker that is started again goes on with what its supervisor has read."""
    files.path.write_text("[")
    again = ConfigFiles(files.path, static_text=files.static_text)
    assert again.live.config.static.hostname == "mail.example.org"


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"cannot read .*mox\.toml: No such file"):
        ConfigFiles(tmp_path / "mox.toml")
