"""SCRAM with SHA-1 and SHA-256, with and without channel binding: the server side.

Source  RFC 5802, RFC 7677; channel bindings RFC 5929.
Laws    an unknown user gets a salt that is always the same and fails at the end, so that nobody
        can find out which users exist.
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Final

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import SCRAM_NONCE_MIN
from mox.sasl.mechanism import (
    Failed,
    Failure,
    Mechanism,
    Run,
    ScramSecret,
    ServerContext,
    Succeeded,
    ask,
    look_up,
    tell_failure,
)
from mox.sasl.prepare import decode_username

SALT_LENGTH: Final = 12  # bytes
# RFC 7677 §4: at least 4096; SHA-1 is the weaker hash and gets more.
ITERATIONS: Final[dict[str, int]] = {"sha1": 8192, "sha256": 4096}

# RFC 5802 §7
_GS2 = re.compile(rb"((?:n|y|p=([A-Za-z0-9.-]+)),(?:a=([^,\0]+))?,)(.*)", re.DOTALL)
_FIRST = re.compile(rb"(m=[^,]*,)?n=([^,\0]+),r=([!-+\--~]+)(?:,.*)?", re.DOTALL)
_FINAL = re.compile(rb"((c=([A-Za-z0-9+/=]+),r=([!-+\--~]+)(?:,[^\0]*?)?),p=([^,]*))", re.DOTALL)
_ESCAPE = re.compile(rb"=(..?|$)", re.DOTALL)


class _ClientFirst(msgspec.Struct, frozen=True, kw_only=True):
    gs2: bytes  # header, as sent
    flag: str  # "n", "y" or "p"
    binding: str  # name of the channel binding type with "p"
    authzid: str
    username: str
    bare: bytes  # without the header
    nonce: bytes


def make_secret(
    hash_name: str, password: bytes, salt: bytes, *, iterations: int | None = None
) -> ScramSecret:
    """What to store of a prepared password.    RFC 5802 §3.    Slow: milliseconds."""
    count = iterations or ITERATIONS[hash_name]
    salted = hashlib.pbkdf2_hmac(hash_name, password, salt, count)
    client_key = hmac.digest(salted, b"Client Key", hash_name)
    return ScramSecret(
        salt=salt,
        iterations=count,
        stored_key=hashlib.new(hash_name, client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", hash_name),
    )


def fake_secret(hash_name: str, server_secret: bytes, identity: str) -> ScramSecret:
    """The secret of a user who does not exist: the same at every try, matched by no proof."""
    seed = f"{hash_name}\0{identity}".encode()
    stored_key = hmac.digest(server_secret, b"scram key\0" + seed, hash_name)
    return ScramSecret(
        salt=hmac.digest(server_secret, b"scram salt\0" + seed, "sha256")[:SALT_LENGTH],
        iterations=ITERATIONS[hash_name],
        stored_key=stored_key,
        server_key=stored_key,
    )


def _server(hash_name: str, *, plus: bool) -> Callable[[ServerContext, bytes | None], Run]:
    def run(context: ServerContext, initial: bytes | None) -> Run:
        message = (yield from ask(b"")) if initial is None else initial
        try:
            first = _read_first(message)
        except Malformed as e:
            return Failed(Failure.PROTOCOL, detail=e.public)
        refusal = _refuse_binding(first, context, plus=plus)
        if refusal:
            return Failed(Failure.PROTOCOL, first.username, refusal)
        if first.authzid and first.authzid != first.username:
            return Failed(Failure.OTHER_IDENTITY, first.username)

        credentials = yield from look_up(first.username)
        real = credentials.scram(hash_name) if credentials else None
        # An account has one salt for all spellings of its address; so must one that is not there.
        identity = context.identity(first.username)
        secret = real or fake_secret(hash_name, context.server_secret, identity)
        nonce = first.nonce + context.nonce().encode("ascii")
        server_first = b"r=%b,s=%b,i=%d" % (nonce, b64encode(secret.salt), secret.iterations)

        final = yield from ask(server_first)
        match = _FINAL.fullmatch(final)
        if match is None or match[4] != nonce:
            return (yield from _fail(b"other-error", Failure.PROTOCOL, first))
        without_proof, encoded_binding, encoded_proof = match[2], match[3], match[5]
        # RFC 5802 §7: c= repeats the header, with the channel's own bytes behind it.
        if encoded_binding != b64encode(first.gs2 + _channel(first, context)):
            return (
                yield from _fail(b"channel-bindings-dont-match", Failure.CHANNEL_BINDING, first)
            )
        try:
            proof = b64decode(encoded_proof, validate=True)
        except binascii.Error:
            return (yield from _fail(b"invalid-encoding", Failure.ENCODING, first))
        auth_message = b",".join((first.bare, server_first, without_proof))
        ok = _proof_fits(hash_name, secret, auth_message, proof)
        if not ok or real is None:
            failure = Failure.NO_SECRETS if credentials and not real else Failure.BAD_CREDENTIALS
            return (yield from _fail(b"invalid-proof", failure, first))
        verifier = hmac.digest(secret.server_key, auth_message, hash_name)
        # The server proves itself too; the client's answer to that is empty.
        last = yield from ask(b"v=" + b64encode(verifier))
        if last:
            return Failed(Failure.PROTOCOL, first.username, "unexpected message after success")
        return Succeeded(first.username)

    return run


def _fail(error: bytes, failure: Failure, first: _ClientFirst) -> Run:
    # RFC 5802 §7: server-error in place of the verifier.
    return (yield from tell_failure(b"e=" + error, Failed(failure, first.username)))


def _read_first(message: bytes) -> _ClientFirst:
    header = _GS2.fullmatch(message)
    if header is None:
        raise Malformed("bad gs2 header")
    gs2, binding, authzid, bare = header.groups()
    found = _FIRST.fullmatch(bare)
    if found is None:
        raise Malformed("bad client-first message")
    mandatory, username, nonce = found.groups()
    if mandatory:
        raise Malformed("extensions-not-supported")  # RFC 5802 §5.1: "m" must be refused
    if len(nonce) < SCRAM_NONCE_MIN:
        raise Malformed("nonce too short")
    return _ClientFirst(
        gs2=gs2,
        flag=gs2[:1].decode("ascii"),
        binding=(binding or b"").decode("ascii"),
        authzid=decode_username(_unescape(authzid)) if authzid else "",
        username=decode_username(_unescape(username)),
        bare=bare,
        nonce=nonce,
    )


def _unescape(saslname: bytes) -> bytes:
    # RFC 5802 §5.1: "," is "=2C", "=" is "=3D"; any other "=" is an error.
    def replace(match: re.Match[bytes]) -> bytes:
        plain = {b"=2C": b",", b"=3D": b"="}.get(match[0])
        if plain is None:
            raise Malformed("bad escape in a name")
        return plain

    return _ESCAPE.sub(replace, saslname)


def _refuse_binding(first: _ClientFirst, context: ServerContext, *, plus: bool) -> str:
    """Why the client's channel binding flag cannot be taken; empty when it can.    RFC 5802 §6."""
    if first.flag == "p":
        if not context.bindings:
            return "channel-binding-not-supported"
        return "" if first.binding in context.bindings else "unsupported-channel-binding-type"
    if plus:
        return "channel binding required"
    if first.flag == "y" and context.bindings:
        # The client believes that we have none: somebody took -PLUS out of our list.
        return "server-does-support-channel-binding"
    return ""


def _channel(first: _ClientFirst, context: ServerContext) -> bytes:
    return context.bindings[first.binding] if first.flag == "p" else b""


def _proof_fits(hash_name: str, secret: ScramSecret, auth_message: bytes, proof: bytes) -> bool:
    # RFC 5802 §3: ClientKey = ClientProof XOR ClientSignature; its hash is what we stored.
    signature = hmac.digest(secret.stored_key, auth_message, hash_name)
    if len(proof) != len(signature):
        return False
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    digest = hashlib.new(hash_name, client_key).digest()
    return hmac.compare_digest(digest, secret.stored_key)


SCRAM_SHA_256_PLUS = Mechanism(
    name="SCRAM-SHA-256-PLUS", run=_server("sha256", plus=True), binds=True
)
SCRAM_SHA_256 = Mechanism(name="SCRAM-SHA-256", run=_server("sha256", plus=False))
SCRAM_SHA_1_PLUS = Mechanism(name="SCRAM-SHA-1-PLUS", run=_server("sha1", plus=True), binds=True)
SCRAM_SHA_1 = Mechanism(name="SCRAM-SHA-1", run=_server("sha1", plus=False))
