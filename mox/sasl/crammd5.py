"""CRAM-MD5: a keyed hash of the server's challenge.    RFC 2195."""

import hmac
import re

from mox.base.errors import Malformed
from mox.sasl import md5
from mox.sasl.mechanism import (
    CramSecret,
    Failed,
    Failure,
    Mechanism,
    Run,
    ServerContext,
    Succeeded,
    ask,
    look_up,
)
from mox.sasl.prepare import decode_username

_DIGEST = re.compile(rb"[0-9a-f]{32}")  # RFC 2195 §2: lower case
_NO_SECRET = CramSecret(inner=bytes(16), outer=bytes(16))


def _run(context: ServerContext, initial: bytes | None) -> Run:
    if initial is not None:
        # RFC 4954 §4: the server speaks first.
        return Failed(Failure.NO_INITIAL)
    # RFC 2195 §2: in the form of a Message-ID, never the same twice.
    challenge = f"<{context.nonce()}.{context.now_ms}@{context.hostname}>".encode()
    response = yield from ask(challenge)
    username, _, digest = response.rpartition(b" ")
    try:
        name = decode_username(username)
    except Malformed:
        return Failed(Failure.MALFORMED)
    if not _DIGEST.fullmatch(digest):
        return Failed(Failure.MALFORMED, name)
    credentials = yield from look_up(name)
    secret = credentials.cram_md5() if credentials else None
    # Calculated in any case, so that an unknown user takes as long as a known one.
    expected = md5.hmac_digest(secret or _NO_SECRET, challenge).hex().encode()
    fits = hmac.compare_digest(expected, digest)
    if credentials and secret is None:
        return Failed(Failure.NO_SECRETS, name)
    return Succeeded(name) if fits and secret else Failed(Failure.BAD_CREDENTIALS, name)


CRAM_MD5 = Mechanism(name="CRAM-MD5", run=_run)
