"""The example runs as it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "check_spf.py"
ZONES = {
    "a.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all exp=why.a.example"]},
    "why.a.example": {"TXT": ["%{i} is a stranger"]},
}


@pytest.mark.parametrize(
    ("ip", "code", "wanted"),
    [
        ("192.0.2.1", 0, "pass: ip4:192.0.2.1 (0 terms asked the DNS)\nReceived-SPF: pass "),
        ("192.0.2.2", 1, "fail: -all (0 terms asked the DNS)\na.example explains: 192.0.2.2 is a"),
    ],
)
def test_check_spf(tmp_path: Path, ip: str, code: int, wanted: str) -> None:
    zones = tmp_path / "zones.json"
    zones.write_text(json.dumps(ZONES))
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), ip, "x@a.example", "mx.a.example", str(zones)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == code
    assert done.stdout.startswith(wanted)


def test_it_is_short_and_says_how_it_is_used() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "check_spf.py IP SENDER" in done.stderr
