"""Where the control socket is, also when its path is longer than a socket address may be."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 107  # bytes of a Unix socket's path on Linux, without the final NUL


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address for bind and connect.    Errors: OSError when the folder cannot be opened."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def new_socket() -> socket.socket:
    """A stream socket of the kind used here."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
