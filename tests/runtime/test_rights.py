"""Which folders root gives away, and which never."""

import os
import pwd
from pathlib import Path

import pytest

from mox.base.errors import Refused
from mox.runtime.rights import User, find_user, give_config, give_data

NOBODY = User(name="nobody", uid=65534, gid=65534, groups=())


class Given:
    """What would have been changed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.owners: dict[Path, tuple[int, int]] = {}
        self.followed: set[Path] = set()
        monkeypatch.setattr(os, "chown", self._chown)

    def _chown(self, path: Path, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        self.owners[path] = uid, gid
        if follow_symlinks:
            self.followed.add(path)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    return Given(monkeypatch)


def test_users_by_name_and_number() -> None:
    entry = pwd.getpwnam("nobody")
    found = find_user("nobody")
    assert (found.uid, found.gid) == (entry.pw_uid, entry.pw_gid)
    assert entry.pw_gid in found.groups
    assert find_user("54321") == User(name="54321", uid=54321, gid=54321, groups=())
    for name in ("no-such-user", "0", "-1", "4294967295", "4294967296", "²", "no such"):
        with pytest.raises(Refused, match=r"does not exist; make it with: useradd"):
            find_user(name)
    with pytest.raises(Refused, match="must not be root"):
        find_user("root")


def test_a_new_data_folder(tmp_path: Path, given: Given) -> None:
    data = tmp_path / "a" / "data"
    give_data(data, NOBODY)
    assert data.is_dir()
    assert data.stat().st_mode & 0o777 == 0o750
    assert given.owners == {data: (65534, 65534)}


def test_a_data_folder_with_everything_in_it(tmp_path: Path, given: Given) -> None:
    for name in ("shards/0/db", "tmp"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".server.key.1a2b").touch()
    (tmp_path / "shards" / "0" / "link").symlink_to("/etc")
    (tmp_path / "server.key").write_text("x")
    give_data(tmp_path, NOBODY)
    assert given.owners.keys() == {tmp_path, *tmp_path.rglob("*")}
    assert not given.followed & {tmp_path / "shards" / "0" / "link"}
    assert not any(path.is_relative_to("/etc") for path in given.owners)


@pytest.mark.parametrize("name", ["home", ".ssh", "passwd", "shards2", ".x"])
def test_a_data_folder_of_somebody_else(tmp_path: Path, given: Given, name: str) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / name).touch()
    with pytest.raises(Refused, match=rf"not mox's, such as {name}; choose a data_dir of its own"):
        give_data(tmp_path, NOBODY)
    assert given.owners == {}


def test_a_folder_that_is_the_users_already(tmp_path: Path, given: Given) -> None:
    me = User(name="me", uid=os.getuid(), gid=os.getgid(), groups=())
    (tmp_path / "anything").touch()
    give_data(tmp_path, me)
    give_config(tmp_path / "mox.toml", tmp_path / "domains.toml", me, [])
    assert given.owners == {}


def test_a_data_folder_that_cannot_be(tmp_path: Path, given: Given) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        Refused, match=r"cannot give the data folder .*/file/x to user nobody: Not a"
    ):
        give_data(tmp_path / "file" / "x", NOBODY)


def test_the_configuration(tmp_path: Path, given: Given) -> None:
    static, domains = tmp_path / "my.toml", tmp_path / "domains.toml"
    for path in (static, domains, tmp_path / "key.pem", tmp_path / ".domains.toml.1a"):
        path.touch(mode=0o600)
    (tmp_path / "dkim").mkdir()
    give_config(static, domains, NOBODY, [tmp_path / "key.pem"])
    assert given.owners.keys() == {tmp_path, static, domains}
    assert static.stat().st_mode & 0o777 == domains.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_the_configuration_in_a_folder_of_others(tmp_path: Path, given: Given) -> None:
    static, domains = tmp_path / "mox.toml", tmp_path / "domains.toml"
    for path in (static, domains, tmp_path / "passwd"):
        path.touch(mode=0o600)
    give_config(static, domains, NOBODY, [])
    assert given.owners == {}
    assert domains.stat().st_mode & 0o777 == 0o600
