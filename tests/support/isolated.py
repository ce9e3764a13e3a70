"""Run a program with a view of the file system, and if wanted of the network, of its own.

Linux namespaces; nothing that is mounted there is seen outside, and it ends with the program.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

UNPACKED = Path(__file__).parents[2] / ".venv" / "debian"  # by ci/setup --apt


@functools.cache
def _can_isolate() -> bool:
    done = subprocess.run(
        ["unshare", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", "/run"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def require_isolation() -> None:
    """Skip, or fail in CI, where we may not make namespaces."""
    if not _can_isolate():
        _missing("namespaces cannot be made here: needs root with CAP_SYS_ADMIN")


def isolated(setup: Sequence[str], command: Sequence[str], *, network: bool = False) -> list[str]:
    """A command that runs another after the lines of shell in ``setup``.

    Input   network: with a network of its own, in which there is nothing, not even loopback.
    """
    script = "\n".join([*setup, 'exec "$@"'])
    more = ["--net"] if network else []
    return [
        *("unshare", "--mount", "--propagation", "private", *more),
        *("sh", "-e", "-c", script, "sh", *command),
    ]


def unpacked(name: str) -> str:
    """The path that a program of ci/apt-unpacked.txt has under ``with_unpacked``.

    Skips, or in CI fails, where it is missing.
    """
    found = [path for path in (f"/usr/sbin/{name}", f"/usr/bin/{name}") if _is_unpacked(path)]
    if not found:
        _missing(f"{name} is not in {UNPACKED.name}; run: ci/setup --apt")
    return found[0]


def _missing(reason: str) -> NoReturn:
    if os.environ.get("MOX_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _is_unpacked(path: str) -> bool:
    return (UNPACKED / path.lstrip("/")).exists()


def with_unpacked(layers: Path, users: Sequence[str]) -> list[str]:
    """Lines of shell: as if the unpacked packages were installed, with these users.

    What is written to /etc, /var and /run is gone afterwards.   layers: a folder for mounting.
    """
    at = shlex.quote(str(layers))
    lines = [
        f"mount -t overlay overlay -o lowerdir={shlex.quote(str(UNPACKED / 'usr'))}:/usr /usr",
        f"mount -t tmpfs tmpfs {at}",
        f"mkdir {at}/etc {at}/etc.work {at}/var {at}/var.work",
    ]
    lines += [
        f"mount -t overlay overlay -o lowerdir=/{name},upperdir={at}/{name},workdir={at}/{name}.work"
        f" /{name}"
        for name in ("etc", "var")
    ]
    lines.append("mount -t tmpfs tmpfs /run")
    for number, user in enumerate(users, 64_000):
        lines.append(
            f"echo '{user}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin' >> /etc/passwd"
        )
        lines.append(f"echo '{user}:x:{number}:' >> /etc/group")
    return lines
