from pathlib import Path

import pytest

from mox.base.errors import Broken
from mox.runtime.installation import RECEIVED_ID_FILE, read_or_make, read_or_make_trace_ids


def test_ids_of_received_fields_can_be_read_after_a_restart(tmp_path: Path) -> None:
    made = read_or_make_trace_ids(tmp_path).make(12345)
    assert read_or_make_trace_ids(tmp_path).read(made) == 12345
    (tmp_path / RECEIVED_ID_FILE).write_bytes(bytes(range(16)) + b"abcdefgh")
    # The example of the specification.
    assert read_or_make_trace_ids(tmp_path).make(12345) == "4xmoVLI_RQ4H9NiBdWGM_A"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    made = read_or_make(tmp_path / "k", 24)
    assert read_or_make(tmp_path / "k", 24) == made
    assert (tmp_path / "k").stat().st_mode & 0o077 == 0
    (tmp_path / "k").write_bytes(b"short")
    with pytest.raises(Broken, match="restore it"):
        read_or_make(tmp_path / "k", 24)
