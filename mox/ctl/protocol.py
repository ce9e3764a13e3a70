"""What goes over the control socket: JSON lines, and raw chunks for message data.

    server   {"mox":"0.1.0","protocol":1}                        greeting
    client   {"command":"account_add","arguments":{...}}         one request at a time
    client   chunks, if the command takes a body: 4 bytes of length, big-endian, then so many bytes;
             length 0 ends the body
    server   {"type":"progress","value":...}                     any number of them
    server   {"type":"done","result":...}  or  {"type":"failed","family":"refused","error":"..."}

Source  spec/cli.md section 10, with its weakness removed: values travel, the client formats them.
"""

from typing import Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from mox.base.errors import Broken, Malformed, MoxError, Refused, Unavailable

PROTOCOL = 1
SOCKET_NAME = "ctl"

A = TypeVar("A", bound=Struct)
R = TypeVar("R", bound=Struct)
T = TypeVar("T")


class Command(Generic[A, R]):
    """A command with the types of its arguments and of its result."""

    __slots__ = ("arguments", "name", "result", "takes_body")

    def __init__(
        self, name: str, arguments: type[A], result: type[R], *, takes_body: bool = False
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.result = result
        self.takes_body = takes_body


class Greeting(Struct, frozen=True, kw_only=True):
    """The first line of the server."""

    mox: str
    protocol: int


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the client."""

    command: str
    arguments: Raw = Raw(b"{}")


class Progress(Struct, frozen=True, kw_only=True, tag="progress"):
    """Something to show while the command runs."""

    value: Raw


class Done(Struct, frozen=True, kw_only=True, tag="done"):
    """The command succeeded."""

    result: Raw


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """The command failed; ``family`` is one of ``FAMILIES``."""

    family: str
    error: str


Reply = Progress | Done | Failed

_REPLY: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)

FAMILIES: dict[str, type[MoxError]] = {
    "malformed": Malformed,
    "refused": Refused,
    "unavailable": Unavailable,
    "broken": Broken,
}


def family_of(error: MoxError) -> str:
    """The name of an error's family."""
    return next((name for name, kind in FAMILIES.items() if isinstance(error, kind)), "broken")


def encode_line(value: object) -> bytes:
    """A value as one line."""
    return msgspec.json.encode(value) + b"\n"


def decode_line(line: bytes, kind: type[T]) -> T:
    """A line as a value.    Errors: Malformed."""
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.MsgspecError as error:
        raise Malformed(f"not understood: {error}", cause=error) from error


def decode_reply(line: bytes) -> Reply:
    """A line of the server after its greeting.    Errors: Malformed."""
    try:
        return _REPLY.decode(line)
    except msgspec.MsgspecError as error:
        raise Malformed(f"not understood: {error}", cause=error) from error


def encode_chunk(data: bytes) -> bytes:
    """A piece of a body; the empty one ends it."""
    return len(data).to_bytes(4, "big") + data
