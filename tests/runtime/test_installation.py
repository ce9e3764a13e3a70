from pathlib import Path

import pytest

from mox.base.errors import Broken
from mox.runtime.installation import ReceivedIds, read_or_make

KEY = bytes(range(16)) + b"abcdefgh"


def test_received_id_of_the_specification() -> None:
    ids = ReceivedIds(KEY)
    assert ids.make(12345) == "4xmoVLI_RQ4H9NiBdWGM_A"
    assert ids.number("4xmoVLI_RQ4H9NiBdWGM_A") == 12345


def test_ids_of_others_are_refused() -> None:
    other = ReceivedIds(bytes(24)).make(1)
    with pytest.raises(ValueError, match="another installation"):
        ReceivedIds(KEY).number(other)
    for text in ("", "x", "!" * 22, "A" * 40):
        with pytest.raises(ValueError, match="Received"):
            ReceivedIds(KEY).number(text)


def test_secrets_are_made_once(tmp_path: Path) -> None:
    made = read_or_make(tmp_path / "k", 24)
    assert read_or_make(tmp_path / "k", 24) == made
    assert (tmp_path / "k").stat().st_mode & 0o077 == 0
    (tmp_path / "k").write_bytes(b"short")
    with pytest.raises(Broken, match="restore it"):
        read_or_make(tmp_path / "k", 24)
