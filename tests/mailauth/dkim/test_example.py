"""The example runs."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "verify_dkim.py"
KEYS = {
    "brisbane._domainkey.football.example.com": {
        "TXT": ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]
    }
}


def test_it_verifies_the_message_of_the_rfc(tmp_path: Path) -> None:
    zones = tmp_path / "zones.json"
    zones.write_text(json.dumps(KEYS))
    message = ROOT / "tests" / "mailauth" / "data" / "rfc8463.eml"
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(message), str(zones)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "football.example.com: pass "
    assert lines[1] == "football.example.com: permerror no key for signature"
    assert lines[2] == "Authentication-Results: localhost;"


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
