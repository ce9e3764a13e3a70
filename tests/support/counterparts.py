"""Foreign programs that tests talk to: there, or skipped with a reason, or (in CI) a failure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def require(what: str, package: str, found: bool, *, how: str = "") -> None:
    """Skip if a counterpart is missing; fail where CI promises that it is there (MOX_CI)."""
    if found:
        return
    reason = f"{what} is missing; install it with: {how or f'apt install {package}'}"
    if os.environ.get("MOX_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str, package: str = "") -> str:
    """The path of a program; see require()."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    require(name, package or name, path is not None)
    return str(path)


def folder(path: str, package: str) -> Path:
    """A folder that a Debian package brings; see require()."""
    require(path, package, Path(path).is_dir())
    return Path(path)


def judges() -> str:
    """Python with the packages of ci/judges.txt; see require()."""
    python = Path(__file__).parents[2] / ".venv" / "judges" / "bin" / "python"
    require(str(python), "", python.exists(), how="bash ci/setup --apt")
    return str(python)
