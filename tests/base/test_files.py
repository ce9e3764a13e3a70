import os
from pathlib import Path

import pytest

from mox.base.files import write_all, write_atomic


def test_write_atomic_replaces_the_whole_file_and_leaves_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "config.toml"
    write_atomic(target, b"old and longer")
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_write_atomic_keeps_the_old_file_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "config.toml"
    write_atomic(target, b"old")

    def failing(fd: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"]


def test_write_all_survives_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.writev

    def short(fd: int, views: list[memoryview]) -> int:
        return real(fd, [views[0][:3]])

    monkeypatch.setattr(os, "writev", short)
    fd = os.open(tmp_path / "x", os.O_CREAT | os.O_RDWR)
    try:
        write_all(fd, [b"hello", b"", b"wonderful", b"world"])
    finally:
        os.close(fd)
    assert (tmp_path / "x").read_bytes() == b"hellowonderfulworld"
