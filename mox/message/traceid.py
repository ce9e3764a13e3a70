"""The id of a Received field: a connection number that only this installation can read.

An id is one AES-128 block: eight bytes fixed for the installation, then the number.  The fixed
bytes make ids of another installation, and made-up ones, recognisable.
"""

import base64
import binascii
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mox.base.errors import Malformed

FIXED_BYTES: Final = 8
KEY_BYTES: Final = 16
_BLOCK: Final = 16


class BadTraceId(Malformed):
    """No id that this installation gave."""

    default = "not an id of this server"


class TraceIds:
    """Makes and reads ids with the key of an installation."""

    __slots__ = ("_cipher", "_encryptor", "_fixed")

    def __init__(self, key: bytes, fixed: bytes) -> None:
        if len(key) != KEY_BYTES or len(fixed) != FIXED_BYTES:
            raise ValueError("a key of 16 bytes and 8 fixed bytes are needed")
        self._fixed = fixed
        # One block, never two: there is no structure between blocks that ECB could show.
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        self._encryptor = self._cipher.encryptor()  # it keeps nothing from one block to the next

    def make(self, number: int) -> str:
        """The id of a connection number (64 bits), 22 characters."""
        block = self._encryptor.update(self._fixed + number.to_bytes(8, "big"))
        return base64.urlsafe_b64encode(block)[:22].decode()

    def read(self, text: str) -> int:
        """The connection number of an id.

        Errors  BadTraceId.
        """
        try:
            block = base64.urlsafe_b64decode(text + "==")
        except (binascii.Error, ValueError) as error:
            raise BadTraceId(cause=error) from error
        if len(block) != _BLOCK:
            raise BadTraceId
        decryptor = self._cipher.decryptor()
        plain = decryptor.update(block) + decryptor.finalize()
        if plain[:FIXED_BYTES] != self._fixed:
            raise BadTraceId
        return int.from_bytes(plain[FIXED_BYTES:], "big")
