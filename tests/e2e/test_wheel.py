"""The wheel, installed in a new venv with an empty home, answers on its ports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.messages import small_message
from support.servers import USER, Mox

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "ci" / "constraints.txt"

pytestmark = pytest.mark.slow


def run(*arguments: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": "", **(env or {})},
        cwd=cwd,
    )
    assert done.returncode == 0, (arguments, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


def copied_source(target: Path) -> Path:
    """What belongs to the project, so that building leaves no trace in the working tree."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file() and name.split("/")[0] not in ("tests", "benchmarks", "docs"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The venv's folder of programs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copied_source(folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder / "dist", source)
    (wheel,) = (folder / "dist").glob("mox-*.whl")
    run(sys.executable, "-m", "venv", folder / "venv")
    programs = folder / "venv" / "bin"
    # The dependencies that the wheel itself names, at the versions we test with.
    cache = run(*pip, "cache", "dir").strip()
    home = folder / "home"
    home.mkdir()
    env = {"HOME": str(home), "PIP_CACHE_DIR": cache, "PIP_CONSTRAINT": str(CONSTRAINTS)}
    run(programs / "python", "-m", "pip", "install", "--quiet", wheel, env=env, cwd=folder)
    return programs


def test_the_installed_package_is_complete_and_compiled(installed: Path, tmp_path: Path) -> None:
    program = "import mox._speedups as s; print(s.__file__, s.IMPLEMENTATION)"
    where, implementation = run(installed / "python", "-c", program, cwd=tmp_path).split()
    assert Path(where).is_relative_to(installed.parent)
    assert implementation == "cython"
    assert "pyx" not in {file.suffix for file in Path(where).parent.iterdir()}
    assert run(installed / "mox", "version", cwd=tmp_path).strip()


def test_localserve_from_the_wheel_answers_and_takes_a_message(
    installed: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "XDG_CONFIG_HOME": "", "PYTHONPATH": ""}
    with Mox(tmp_path / "mox", env, executable=installed / "mox") as server:
        with server.smtp() as sender:
            sender.ehlo()
            sender.deliver(b"a@example.org", [USER.encode()], small_message("from-the-wheel"))
        for tls in (False, True):
            with server.imap(tls=tls) as client:
                assert client.select("INBOX").exists == 1
                found = client.ok(b"FETCH 1 (BODY.PEEK[])").fetched()[1][b"BODY[]"]
                assert isinstance(found, bytes)
                assert found.endswith(small_message("from-the-wheel"))
        assert server.stop() == 0
