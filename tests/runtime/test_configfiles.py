"""Reload and rewriting of domains.toml."""

import os
from pathlib import Path

import pytest

from mox.base.errors import Refused
from mox.config.problems import ConfigInvalid
from mox.runtime.configfiles import ConfigFiles

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


def test_a_valid_edit_is_taken_up(files: ConfigFiles) -> None:
    assert not files.poll()
    edit(files, MORE)
    assert files.poll()
    assert addresses(files) == {"me@example.org", "also@example.org"}


def test_an_invalid_edit_leaves_the_old_configuration_and_blocks_rewriting(
    files: ConfigFiles,
) -> None:
    edit(files, DOMAINS + "nonsense = 1\n[")
    assert not files.poll()
    assert addresses(files) == {"me@example.org"}
    with pytest.raises(Refused, match="was edited and is not valid"):
        files.domains_text()
    edit(files, MORE)
    assert files.poll()


def test_rewrite_replaces_file_and_configuration(files: ConfigFiles) -> None:
    assert files.domains_text() == DOMAINS
    files.rewrite(MORE)
    assert files.domains_path.read_text() == MORE
    assert "also@example.org" in addresses(files)
    assert not files.poll()


def test_rewrite_refuses_what_is_not_valid(files: ConfigFiles) -> None:
    with pytest.raises(ConfigInvalid):
        files.rewrite('[accounts.me]\ndomain = "other.org"\n')
    assert files.domains_path.read_text() == DOMAINS
    assert addresses(files) == {"me@example.org"}


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"cannot read .*mox\.toml: No such file"):
        ConfigFiles(tmp_path / "mox.toml")
