"""Logging in at a smart host.    RFC 4954; spec/smtp-client-queue.md section 3."""

import asyncio
import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

import msgspec

from mox.base.errors import MoxError
from mox.sasl.client import ScramClient, cram_md5, plain
from mox.smtp.reply import Reply
from mox.smtpclient.dialogue import Dialogue
from mox.smtpclient.errors import DeliveryError, NotSupported, ProtocolBroken, ServerRefused

# Never shows the password; those that do are used only where the configuration names them.
DEFAULT_MECHANISMS: Final = (
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "CRAM-MD5",
)
_HASHES: Final = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """As whom.    ``mechanisms`` in order of preference."""

    username: str
    password: str
    mechanisms: tuple[str, ...] = DEFAULT_MECHANISMS

    def __repr__(self) -> str:
        """Without the password, for logs."""
        return f"Login(username={self.username!r})"


async def log_in(dialogue: Dialogue, login: Login, binding: bytes | None) -> None:
    """Log in by the best mechanism both sides know.

    Input   binding: channel binding ``tls-server-end-point`` of this connection; None without TLS.
    Errors  NotSupported: no mechanism in common; ServerRefused; ProtocolBroken, other DeliveryError.
    """
    offered = dialogue.extensions.mechanisms
    name = choose(login.mechanisms, offered, can_bind=binding is not None)
    if name is None:
        raise NotSupported(
            "the smart host offers none of our login mechanisms: it has"
            f" {' '.join(offered[:20]) or 'none'}",
            permanent=True,
        )
    try:
        if name == "PLAIN":
            reply = await _say(dialogue, "AUTH PLAIN", plain(login.username, login.password))
        elif name == "LOGIN":
            reply = await _login(dialogue, login)
        elif name == "CRAM-MD5":
            challenge = _challenge(await dialogue.exchange("AUTH CRAM-MD5", shown="AUTH"))
            answer = cram_md5(login.username, login.password, challenge)
            reply = await _say(dialogue, "", answer)
        else:
            reply = await _scram(dialogue, login, name, offered, binding)
    except DeliveryError:
        raise
    except MoxError as error:
        # The mechanism's own complaint about the server.
        raise ProtocolBroken(f"login: {error.public}", cause=error) from error
    if reply.code != 235:
        # A password may be put right in time: the message waits (not a verdict on the message).
        raise ServerRefused("AUTH", reply, permanent=False)


def choose(wanted: Sequence[str], offered: Sequence[str], *, can_bind: bool) -> str | None:
    """The first wanted mechanism that is offered; -PLUS only with a channel binding."""
    for name in wanted:
        if name in offered and (can_bind or not name.endswith("-PLUS")):
            return name
    return None


async def _login(dialogue: Dialogue, login: Login) -> Reply:
    _challenge(await dialogue.exchange("AUTH LOGIN", shown="AUTH"))
    _challenge(await _say(dialogue, "", login.username.encode()))
    return await _say(dialogue, "", login.password.encode())


async def _scram(
    dialogue: Dialogue, login: Login, name: str, offered: Sequence[str], binding: bytes | None
) -> Reply:
    binds = name.endswith("-PLUS")
    if binds:
        gs2 = "p=tls-server-end-point,,"
    else:
        # RFC 5802 §6: "we could bind, you say you cannot", so that a man in the middle who took
        # -PLUS out of the list is found out.
        gs2 = "y,," if binding is not None and f"{name}-PLUS" not in offered else "n,,"
    client = ScramClient(
        _HASHES[name.removesuffix("-PLUS")],
        login.username,
        login.password,
        gs2=gs2,
        channel=binding or b"" if binds else b"",
    )
    first = _challenge(await _say(dialogue, f"AUTH {name}", client.first()))
    # Thousands of hashes: not on the event loop.
    final = await asyncio.to_thread(client.final, first)
    reply = await _say(dialogue, "", final)
    if reply.code == 334:
        client.check(_challenge(reply))
        return await _say(dialogue, "", b"")
    if reply.code == 235:
        # RFC 4954 §4: additional data with success come in a 334 only; it did not prove itself.
        raise ProtocolBroken("login: the server did not prove that it knows the password")
    return reply


async def _say(dialogue: Dialogue, command: str, data: bytes) -> Reply:
    encoded = b64encode(data).decode("ascii")
    # RFC 4954 §4: an empty initial response is "=".
    line = f"{command} {encoded or '='}" if command else encoded
    return await dialogue.exchange(line, shown="AUTH")


def _challenge(reply: Reply) -> bytes:
    """Errors: ServerRefused, ProtocolBroken."""
    if reply.code != 334:
        raise ServerRefused("AUTH", reply, permanent=False)
    try:
        return b64decode(reply.text, validate=True)
    except binascii.Error as error:
        raise ProtocolBroken("login: bad base64 from the server", cause=error) from error
