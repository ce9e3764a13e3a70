"""What one installation keeps secret: the key of Received ids, and the salt of unknown users."""

import itertools
import secrets
from pathlib import Path

from mox.base.errors import Broken
from mox.base.files import write_atomic
from mox.message.traceid import FIXED_BYTES, KEY_BYTES, TraceIds

RECEIVED_ID_FILE = "receivedid.key"  # the key of an AES block, then its fixed bytes
SERVER_SECRET_FILE = "server.key"  # noqa: S105 - a file name


def read_or_make(path: Path, length: int) -> bytes:
    """Random bytes kept in a file, made at the first start.    Errors: OSError, Broken."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = secrets.token_bytes(length)
        write_atomic(path, content)
    if len(content) != length:
        raise Broken(
            f"{path} has {len(content)} bytes instead of {length}; restore it from a backup"
        )
    return content


def read_or_make_trace_ids(folder: Path) -> TraceIds:
    """The ids of Received fields of this installation.    Errors: OSError, Broken."""
    secret = read_or_make(folder / RECEIVED_ID_FILE, KEY_BYTES + FIXED_BYTES)
    return TraceIds(secret[:KEY_BYTES], secret[KEY_BYTES:])


def connection_ids(now_ms: int) -> "itertools.count[int]":
    """Numbers of connections, unique over restarts (spec/cli.md section 9)."""
    return itertools.count(now_ms)
