"""HMAC-MD5 whose keyed states can be stored, as CRAM-MD5 needs.

``hashlib`` does not show the state of a hash, and keeping the password itself is out of the
question.  Only for CRAM-MD5, whose messages are a few dozen bytes.

Source  RFC 1321 §3.4 (compression), RFC 2104 §4 (storing the two states).
"""

import hashlib
import struct
from typing import Final, TypeAlias

from mox.sasl.mechanism import CramSecret

_State: TypeAlias = tuple[int, int, int, int]

_START: Final[_State] = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_MASK: Final = 0xFFFFFFFF
_BLOCK: Final = 64
_SHIFTS: Final = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
# RFC 1321 §3.4: T[i] = floor(2^32 * abs(sin(i))), i from 1 to 64.
_TABLE: Final = struct.unpack(
    ">64I",
    bytes.fromhex(
        "d76aa478e8c7b756242070dbc1bdceeef57c0faf4787c62aa8304613fd469501"
        "698098d88b44f7afffff5bb1895cd7be6b901122fd987193a679438e49b40821"
        "f61e2562c040b340265e5a51e9b6c7aad62f105d02441453d8a1e681e7d3fbc8"
        "21e1cde6c33707d6f4d50d87455a14eda9e3e905fcefa3f8676f02d98d2a4c8a"
        "fffa39428771f6816d9d6122fde5380ca4beea444bdecfa9f6bb4b60bebfbc70"
        "289b7ec6eaa127fad4ef308504881d05d9d4d039e6db99e51fa27cf8c4ac5665"
        "f4292244432aff97ab9423a7fc93a039655b59c38f0ccc92ffeff47d85845dd1"
        "6fa87e4ffe2ce6e0a30143144e0811a1f7537e82bd3af2352ad7d2bbeb86d391"
    ),
)


def hmac_secret(key: bytes) -> CramSecret:
    """The states after the two pads.    RFC 2104 §4."""
    if len(key) > _BLOCK:
        key = hashlib.md5(key, usedforsecurity=False).digest()
    key = key.ljust(_BLOCK, b"\0")
    inner = _compress(_START, bytes(byte ^ 0x36 for byte in key))
    outer = _compress(_START, bytes(byte ^ 0x5C for byte in key))
    return CramSecret(inner=struct.pack("<4I", *inner), outer=struct.pack("<4I", *outer))


def hmac_digest(secret: CramSecret, message: bytes) -> bytes:
    """HMAC-MD5 of the message, from the stored states."""
    return _finish(secret.outer, _finish(secret.inner, message))


def _finish(state: bytes, message: bytes) -> bytes:
    # One block, the pad, went in before.
    length = (_BLOCK + len(message)) * 8
    padded = message + b"\x80" + b"\0" * (-(len(message) + 9) % _BLOCK) + struct.pack("<Q", length)
    a, b, c, d = struct.unpack("<4I", state)
    current: _State = (a, b, c, d)
    for start in range(0, len(padded), _BLOCK):
        current = _compress(current, padded[start : start + _BLOCK])
    return struct.pack("<4I", *current)


def _compress(state: _State, block: bytes) -> _State:
    words = struct.unpack("<16I", block)
    a, b, c, d = state
    for i in range(64):
        kind = i // 16
        if kind == 0:
            mixed, word = (b & c) | (~b & d), i
        elif kind == 1:
            mixed, word = (b & d) | (c & ~d), (5 * i + 1) % 16
        elif kind == 2:
            mixed, word = b ^ c ^ d, (3 * i + 5) % 16
        else:
            mixed, word = c ^ (b | (~d & _MASK)), (7 * i) % 16
        total = (a + mixed + words[word] + _TABLE[i]) & _MASK
        shift = _SHIFTS[kind][i % 4]
        a, d, c, b = d, c, b, (b + ((total << shift) | (total >> (32 - shift)))) & _MASK
    return (
        (state[0] + a) & _MASK,
        (state[1] + b) & _MASK,
        (state[2] + c) & _MASK,
        (state[3] + d) & _MASK,
    )
