"""The client side of the mechanisms.    RFC 4616, 2195, 5802, 7677."""

import binascii
import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode

from mox.base.errors import Malformed, Refused
from mox.sasl import md5
from mox.sasl.prepare import prepare_password

_SERVER_FIRST = re.compile(rb"r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,8})(?:,.*)?")
_MAX_ITERATIONS = 1_000_000  # a hostile server must not keep us busy


def plain(username: str, password: str, authzid: str = "") -> bytes:
    """The one message of PLAIN."""
    return "\0".join((authzid, username, prepare_password(password))).encode()


def cram_md5(username: str, password: str, challenge: bytes) -> bytes:
    """The answer to the challenge of CRAM-MD5."""
    secret = md5.hmac_secret(prepare_password(password).encode())
    return f"{username} {md5.hmac_digest(secret, challenge).hex()}".encode()


class ScramClient:
    """SCRAM: ``first``, then ``final``, then ``check``.

    Input  hash_name: ``sha1`` or ``sha256``; gs2: the channel binding flag with its commas;
           channel: the channel binding bytes with ``p=``.
    """

    __slots__ = (
        "_auth_message",
        "_bare",
        "_channel",
        "_gs2",
        "_hash",
        "_nonce",
        "_password",
        "_salted",
    )

    def __init__(
        self,
        hash_name: str,
        username: str,
        password: str,
        *,
        gs2: str = "n,,",
        channel: bytes = b"",
        nonce: str = "",
    ) -> None:
        self._hash = hash_name
        self._password = prepare_password(password).encode()
        self._gs2 = gs2.encode()
        self._channel = channel
        self._nonce = (nonce or secrets.token_urlsafe()).encode()
        name = username.replace("=", "=3D").replace(",", "=2C").encode()
        self._bare = b"n=%b,r=%b" % (name, self._nonce)
        self._auth_message = b""
        self._salted = b""

    def first(self) -> bytes:
        """The initial response."""
        return self._gs2 + self._bare

    def final(self, server_first: bytes) -> bytes:
        """The answer to the server's first message.    Errors: Malformed."""
        match = _SERVER_FIRST.fullmatch(server_first)
        if match is None or not match[1].startswith(self._nonce) or match[1] == self._nonce:
            raise Malformed("bad first message of the server")
        try:
            salt = b64decode(match[2], validate=True)
        except binascii.Error as e:
            raise Malformed("bad salt", cause=e) from e
        iterations = int(match[3])
        if iterations > _MAX_ITERATIONS:
            raise Malformed("too many iterations")
        self._salted = hashlib.pbkdf2_hmac(self._hash, self._password, salt, iterations)
        client_key = hmac.digest(self._salted, b"Client Key", self._hash)
        stored_key = hashlib.new(self._hash, client_key).digest()
        without_proof = b"c=%b,r=%b" % (b64encode(self._gs2 + self._channel), match[1])
        self._auth_message = b",".join((self._bare, server_first, without_proof))
        signature = hmac.digest(stored_key, self._auth_message, self._hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + b64encode(proof)

    def check(self, server_final: bytes) -> None:
        """Has the server proved itself?    Errors: Refused, with its own error if it sent one."""
        server_key = hmac.digest(self._salted, b"Server Key", self._hash)
        expected = b"v=" + b64encode(hmac.digest(server_key, self._auth_message, self._hash))
        if not hmac.compare_digest(expected, server_final):
            raise Refused("the server did not prove itself", answer=server_final)
