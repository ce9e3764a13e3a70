"""What one installation keeps secret: the key of Received ids, and the salt of unknown users."""

import base64
import itertools
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mox.base.errors import Broken
from mox.base.files import write_atomic

RECEIVED_ID_FILE = "receivedid.key"  # 16 bytes AES key, 8 fixed bytes
SERVER_SECRET_FILE = "server.key"  # noqa: S105 - a file name


class ReceivedIds:
    """Ids for Received fields that only the administrator can map back to a connection.

    One AES block of 8 fixed bytes and the connection's number (spec/message.md section 15).
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(key[:16]), modes.ECB())  # noqa: S305 - one block
        self._fixed = key[16:24]

    def make(self, number: int) -> str:
        """22 characters for a connection number."""
        encryptor = self._cipher.encryptor()
        block = encryptor.update(self._fixed + number.to_bytes(8, "big")) + encryptor.finalize()
        return base64.urlsafe_b64encode(block).rstrip(b"=").decode()

    def number(self, text: str) -> int:
        """The connection number of an id.    Errors: ValueError when it is not one of ours."""
        try:
            block = base64.urlsafe_b64decode(text + "==")
        except ValueError as error:
            raise ValueError(f"{text} is no id of a Received field") from error
        if len(block) != 16:
            raise ValueError(f"{text} is no id of a Received field")
        decryptor = self._cipher.decryptor()
        plain = decryptor.update(block) + decryptor.finalize()
        if plain[:8] != self._fixed:
            raise ValueError(f"{text} was made by another installation")
        return int.from_bytes(plain[8:], "big")


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


def connection_ids(now_ms: int) -> "itertools.count[int]":
    """Numbers of connections, unique over restarts (spec/cli.md section 9)."""
    return itertools.count(now_ms)
