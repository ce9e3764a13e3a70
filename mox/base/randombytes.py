"""Random bytes for ids, from a stock: asking the system for each id lets other threads take the GIL."""

import secrets
from threading import Lock
from typing import Final

_STOCK: Final = 4096  # bytes

_lock = Lock()
_stock = b""


def random_bytes(count: int) -> bytes:
    """So many of the system's random bytes, at most 4,096, never given twice in this process.

    For what must be unique and not guessed, not for keys: a fork would share the stock.
    Errors  ValueError for more of them.
    """
    global _stock
    if count > _STOCK:
        raise ValueError(f"at most {_STOCK} bytes at a time")
    with _lock:
        if len(_stock) < count:
            _stock = secrets.token_bytes(_STOCK)
        taken, _stock = _stock[:count], _stock[count:]
    return taken
