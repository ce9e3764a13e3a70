"""The unprivileged user that a server started by root becomes, and the folders it needs.

Nothing outside mox's own two folders is touched, and these only while they hold nothing else: a
``data_dir`` that names somebody else's folder by mistake must not cost them their rights.

Source  spec/cli.md section 9 (permissions), spec/config.md section 2 (``user``, ``no_fix_permissions``).
"""

import os
import pwd
from collections.abc import Collection, Iterable
from pathlib import Path

from msgspec import Struct

from mox.base.errors import Refused
from mox.base.log import get_logger

log = get_logger("supervisor")

FOLDER_MODE = 0o750
FILE_MODE = 0o640
DATA_NAMES = frozenset(
    ("FORMAT", "accounts", "ctl", "lmtp", "queue", "rates.json", "receivedid.key", "server")
    + ("server.key", "shards", "tls", "tmp", "lost+found")
)
CONFIG_NAMES = frozenset(("mox.toml", "domains.toml", "adminpasswd", "dkim", "hostkeys", "tls"))


class User(Struct, frozen=True, kw_only=True):
    """Who the worker runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def find_user(name: str) -> User:
    """The user of ``mox.toml``, by name or number.    Errors: Refused."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        # A number that is no name is user and group id: spec/config.md section 2.
        if name.isascii() and name.isdigit() and 0 < int(name) < (1 << 32) - 1:
            return User(name=name, uid=int(name), gid=int(name), groups=())
        raise Refused(
            f"user {name} of mox.toml does not exist; make it with: useradd --system {name}",
            cause=error,
        ) from error
    if entry.pw_uid == 0:
        raise Refused("user in mox.toml must not be root: the server never runs as root")
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return User(name=name, uid=entry.pw_uid, gid=entry.pw_gid, groups=groups)


def find_uid(name: str) -> int:
    """The number of a system user, given by name or number.    Errors: Refused."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        if name.isascii() and name.isdigit() and int(name) < (1 << 32) - 1:
            return int(name)
        raise Refused(f"user {name} of lmtp.users does not exist", cause=error) from error


def give_data(folder: Path, user: User) -> None:
    """Make the data folder the user's, with all that is in it.

    Errors  Refused when it is not the user's and holds what is not ours.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        if folder.stat().st_uid == user.uid:
            return
        foreign = _foreign(folder, DATA_NAMES)
        if foreign:
            raise Refused(
                f"the data folder {folder} does not belong to user {user.name} and holds files that"
                f" are not mox's, such as {foreign}; choose a data_dir of its own"
            )
        for path in (*folder.rglob("*"), folder):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
        folder.chmod(FOLDER_MODE)
    except OSError as error:
        raise Refused(
            f"cannot give the data folder {folder} to user {user.name}: {error.strerror}",
            cause=error,
        ) from error


def give_config(static: Path, domains: Path, user: User, own: Collection[Path]) -> None:
    """Let the user read the configuration and replace ``domains.toml``.

    Input   own: other files of the configuration that may be in its folder; they are left alone.
    A folder that holds something else is left alone, with a warning: then the configuration cannot be
    changed by commands, and perhaps not read.
    """
    folder = static.parent
    if folder.stat().st_uid == user.uid:
        return
    names = CONFIG_NAMES | {static.name, domains.name} | {path.name for path in own}
    foreign = _foreign(folder, names)
    if foreign:
        log.warn("rights.config_left_alone", folder=str(folder), user=user.name, because_of=foreign)
        return
    for path in (static, domains):
        os.chown(path, user.uid, user.gid)
        path.chmod(FILE_MODE)
    os.chown(folder, user.uid, user.gid)
    folder.chmod(FOLDER_MODE)


def _foreign(folder: Path, names: Iterable[str]) -> str:
    """The name of an entry that is not one of ours; a hidden one is one of our temporary files."""
    return next(
        (
            path.name
            for path in folder.iterdir()
            if path.name not in names
            and not any(path.name.startswith(f".{name}.") for name in names)
        ),
        "",
    )
