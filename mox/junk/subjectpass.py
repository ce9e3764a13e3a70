"""Subject pass: a token that lets a first message through when it comes again with it.

The token says when it was made and, by a keyed hash, for which sender; nothing is stored.
    (pass: base64url of  4 bits version 0, 28 bits of the time, 12 bytes of HMAC-SHA256 )
Source  RFC 2104, RFC 4648 §5.
"""

import base64
import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from mox.base.errors import Malformed
from mox.base.limits import SUBJECTPASS_SUBJECT
from mox.dns.name import BadName, parse_domain
from mox.message import header, mime
from mox.message.address import Address
from mox.message.buffer import Buffer
from mox.message.envelope import BadFrom, from_address

KEY_LENGTH: Final = 16
RESOLUTION_S: Final = 256  # seconds a token's time is rounded down to
_KEY_CHARACTERS = string.ascii_letters + string.digits
_TOKEN = re.compile(rb"\(pass:([^)]*+)\)")
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]{22}")  # 16 bytes
_HASH_SIZE = 12
_TIME_MAX = (1 << 36) - 1  # seconds; after the year 4000


class Result(StrEnum):
    """What became of a token."""

    VALID = "ok"
    MALFORMED_MESSAGE = "malformed message"
    ABSENT = "absent"
    BAD_FROM = "bad from"
    MALFORMED_TOKEN = "malformed token"  # noqa: S105 - no password
    WRONG = "verification failed"
    EXPIRED = "expired"


def new_key(choose: Callable[[Sequence[str]], str] = secrets.choice) -> str:
    """A new key: random letters and digits."""
    return "".join(choose(_KEY_CHARACTERS) for _ in range(KEY_LENGTH))


def sender_of(author: Address) -> str:
    """The address as it is hashed: local part as in the header, domain in Unicode form.

    Errors  BadName for a domain that is none.
    """
    mailbox = (author.mailbox or b"").decode("utf-8", "surrogateescape")
    host = (author.host or b"").decode("utf-8", "surrogateescape")
    return f"{mailbox}@{parse_domain(host, lax=True).unicode}"


def make(key: str, sender: str, now_s: int) -> str:
    """The token for a sender: "(pass:...)".

    Input  ``sender``: as ``sender_of`` writes it.  ``now_s``: unix time in seconds.
    """
    stamp = (min(max(now_s, 0), _TIME_MAX) >> 8).to_bytes(4, "big")
    token = base64.urlsafe_b64encode(stamp + _hash(key, stamp, sender)).rstrip(b"=")
    return f"(pass:{token.decode()})"


def _hash(key: str, stamp: bytes, sender: str) -> bytes:
    said = stamp + sender.encode("utf-8", "surrogateescape")
    return hmac.digest(key.encode(), said, hashlib.sha256)[:_HASH_SIZE]


def verify(content: Buffer, key: str, *, period_s: int, now_s: int) -> Result:
    """Whether the Subject of a message holds a valid token for its sender.

    Input   ``period_s``: seconds a token is good for.  ``now_s``: unix time in seconds.
    Source  the Subject is searched as it is written; encoded words are not decoded.
    """
    try:
        message = mime.parse_strict(content)
    except Malformed:
        return Result.MALFORMED_MESSAGE
    block = bytes(content[message.header_offset : message.body_offset])
    subjects = header.values_of(block, [b"subject"]).get(b"subject", [])
    token = find_token(subjects[0]) if subjects else None
    if token is None:
        return Result.ABSENT
    try:
        sender = sender_of(from_address(block))
    except (BadFrom, BadName):
        return Result.BAD_FROM
    return verify_token(token, key, sender, period_s=period_s, now_s=now_s)


def find_token(subject: bytes) -> bytes | None:
    """What stands in the first "(pass:...)" of a subject as it is written; None without one."""
    found = _TOKEN.search(subject[:SUBJECTPASS_SUBJECT])
    return None if found is None else found[1]


def verify_token(token: bytes, key: str, sender: str, *, period_s: int, now_s: int) -> Result:
    """The same for what stands between "(pass:" and ")"."""
    if not _BASE64URL.fullmatch(token):
        return Result.MALFORMED_TOKEN
    data = base64.urlsafe_b64decode(token + b"==")
    stamp = data[:4]
    if stamp[0] >> 4:  # a later version
        return Result.MALFORMED_TOKEN
    if not hmac.compare_digest(data[4:], _hash(key, stamp, sender)):
        return Result.WRONG
    if now_s > (int.from_bytes(stamp, "big") << 8) + period_s:
        return Result.EXPIRED
    return Result.VALID
