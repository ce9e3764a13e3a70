"""The example runs."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "sum_reports.py"
SAMPLES = ROOT / "tests" / "data" / "reports"


def run(*files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_sums_up(tmp_path: Path) -> None:
    files: list[Path] = []
    for name in ("plain.xml", "namespace.xml", "plain.xml"):
        files.append(tmp_path / f"{len(files)}.eml")
        content = (SAMPLES / name).read_bytes()
        files[-1].write_bytes(b"Content-Type: text/xml\r\n\r\n" + content)
    done = run(*files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "example.org from 192.0.2.7: 24 passed, 0 failed",
        "news.example.org from 2001:db8::25: 0 passed, 3 failed",
    ]


def test_what_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(b"Subject: x\r\n\r\nhello\r\n")
    done = run(tmp_path / "mail")
    assert (done.returncode, done.stdout) == (1, "")
    assert "without a DMARC report" in done.stderr


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
