"""PLAIN: user and password in one message.    RFC 4616."""

from mox.base.errors import Malformed
from mox.sasl.mechanism import (
    Failed,
    Failure,
    Mechanism,
    Run,
    ServerContext,
    Succeeded,
    ask,
    look_up,
    verify,
)
from mox.sasl.prepare import decode_username
from mox.sasl.secretset import NOBODY


def check_password(username: bytes, password: bytes) -> Run:
    """The end of PLAIN and LOGIN.    An unknown user costs as much time as a known one."""
    try:
        name = decode_username(username)
    except Malformed:
        return Failed(Failure.BAD_CREDENTIALS)
    try:
        text = password.decode("utf-8")
    except UnicodeDecodeError:
        return Failed(Failure.BAD_CREDENTIALS, name)
    credentials = yield from look_up(name)
    ok = yield from verify(credentials or NOBODY, text)
    return Succeeded(name) if ok and credentials else Failed(Failure.BAD_CREDENTIALS, name)


def _run(_context: ServerContext, initial: bytes | None) -> Run:
    message = (yield from ask(b"")) if initial is None else initial
    parts = message.split(b"\0")
    if len(parts) != 3:
        # RFC 4616 §2: message = [authzid] NUL authcid NUL passwd
        return Failed(Failure.MALFORMED)
    authzid, authcid, password = parts
    try:
        if authzid and decode_username(authzid) != decode_username(authcid):
            return Failed(Failure.OTHER_IDENTITY)
    except Malformed:
        return Failed(Failure.MALFORMED)
    return (yield from check_password(authcid, password))


PLAIN = Mechanism(name="PLAIN", run=_run, plaintext=True)
