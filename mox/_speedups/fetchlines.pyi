from array import array
from typing import Final

from mox._speedups.columns import Columns

FETCH_UID: Final = 1
FETCH_FLAGS: Final = 2
FETCH_MODSEQ: Final = 4
FETCH_INTERNALDATE: Final = 8
FETCH_SIZE: Final = 16
FETCH_SAVEDATE: Final = 32
FETCH_RECENT: Final = 64

def format_fetch(
    columns: Columns,
    slots: array[int],
    seqs: array[int],
    items: int,
    keyword_names: list[bytes],
    start: int = 0,
    max_bytes: int = 65536,
    *,
    uidfetch: bool = False,
    recent_from_uid: int = 0,
) -> tuple[bytes, int]: ...
def format_items(
    columns: Columns,
    slot: int,
    seq: int,
    items: int,
    keyword_names: list[bytes],
    *,
    uidfetch: bool = False,
    recent_from_uid: int = 0,
) -> bytes: ...
