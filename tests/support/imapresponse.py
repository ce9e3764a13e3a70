"""IMAP responses as tokens.   RFC 9051 §9, read generously and without knowing any command."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STATUS = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")

_ATOM = re.compile(rb'[^\x00-\x20()"{\[]+')
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LITERAL = re.compile(rb"~?\{([0-9]+)\+?\}\r\n")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class String(bytes):
    """A quoted string or a literal; an atom is plain bytes.   NIL is None."""


Token = bytes | None | list["Token"]


class ResponseError(AssertionError):
    """The server sent something that is no IMAP response."""


@dataclass(frozen=True)
class Response:
    """One line from the server, literals included."""

    tag: bytes  # b"*", b"+" or a command's tag
    tokens: list[Token] = field(default_factory=list)  # status: only the word; else everything
    code: list[Token] | None = None  # of a status response: what stood in brackets
    text: bytes = b""  # of a status response or a continuation
    raw: bytes = b""

    @property
    def kind(self) -> bytes:
        """The word that says what this is: FETCH, EXISTS, OK, LIST, … in upper case."""
        for token in self.tokens[:2]:
            if isinstance(token, bytes) and not token.isdigit():
                return bytes(token.upper())
        return b""

    @property
    def number(self) -> int:
        """The number in front: of EXISTS, EXPUNGE, FETCH."""
        first = self.tokens[0]
        if not isinstance(first, bytes) or not first.isdigit():
            raise ResponseError(f"no number in front: {self.raw[:200]!r}")
        return int(first)

    @property
    def code_name(self) -> bytes:
        """The word of the response code, empty if there is none."""
        if self.code and isinstance(self.code[0], bytes):
            return bytes(self.code[0].upper())
        return b""

    def pairs(self) -> dict[bytes, Token]:
        """The list of a FETCH (or the last list of any response) as name → value."""
        items = self.tokens[-1]
        if not isinstance(items, list) or len(items) % 2:
            raise ResponseError(f"no list of pairs: {self.raw[:200]!r}")
        return {atom(items[i]).upper(): items[i + 1] for i in range(0, len(items), 2)}


def atom(token: Token) -> bytes:
    """The token, which must be an atom or a string."""
    if not isinstance(token, bytes):
        raise ResponseError(f"an atom or a string was expected: {token!r}")
    return token


def number(token: Token) -> int:
    """The token, which must be a number."""
    value = atom(token)
    if not value.isdigit():
        raise ResponseError(f"a number was expected: {value!r}")
    return int(value)


def sequence(token: Token) -> list[Token]:
    """The token, which must be a list."""
    if not isinstance(token, list):
        raise ResponseError(f"a list was expected: {token!r}")
    return token


def _read_atom(raw: bytes, pos: int) -> tuple[bytes, int]:
    """An atom; brackets in it (BODY[HEADER.FIELDS (A B)]<0>) belong to it with all they hold."""
    start = pos
    while True:
        match = _ATOM.match(raw, pos)
        if match:
            pos = match.end()
        if raw[pos : pos + 1] != b"[":
            break
        closing = raw.find(b"]", pos)
        if closing < 0:
            raise ResponseError(f"unclosed bracket: {raw[:200]!r}")
        pos = closing + 1
    if pos == start:
        raise ResponseError(f"unexpected octet at {pos}: {raw[:200]!r}")
    return raw[start:pos], pos


def read_value(raw: bytes, pos: int) -> tuple[bytes | None, int]:
    """One atom, string, literal or NIL at pos, and where it ends."""
    if raw[pos : pos + 1] == b'"':
        match = _QUOTED.match(raw, pos)
        if match is None:
            raise ResponseError(f"unclosed string: {raw[:200]!r}")
        return String(_ESCAPE.sub(rb"\1", match[1])), match.end()
    match = _LITERAL.match(raw, pos)
    if match:
        end = match.end() + int(match[1])
        if end > len(raw):
            raise ResponseError("literal longer than the response")
        return String(raw[match.end() : end]), end
    value, pos = _read_atom(raw, pos)
    return (None if value.upper() == b"NIL" else value), pos


def parse_tokens(raw: bytes, pos: int, end: int) -> list[Token]:
    """All tokens from pos to end.   Lists nest without recursion."""
    top: list[Token] = []
    stack = [top]
    while pos < end:
        octet = raw[pos]
        if octet == 0x20:
            pos += 1
        elif octet == 0x28:
            inner: list[Token] = []
            stack[-1].append(inner)
            stack.append(inner)
            pos += 1
        elif octet == 0x29:
            if len(stack) == 1:
                raise ResponseError(f"superfluous parenthesis: {raw[:200]!r}")
            stack.pop()
            pos += 1
        else:
            value, pos = read_value(raw, pos)
            stack[-1].append(value)
    if len(stack) != 1:
        raise ResponseError(f"unclosed parenthesis: {raw[:200]!r}")
    return top


def _closing_bracket(raw: bytes, start: int) -> int:
    """Where the response code that begins at start ends; strings in it may hold brackets."""
    pos = start + 1
    while pos < len(raw):
        octet = raw[pos : pos + 1]
        if octet == b"]":
            return pos
        match = _QUOTED.match(raw, pos) if octet == b'"' else None
        pos = match.end() if match else pos + 1
    raise ResponseError(f"unclosed response code: {raw[:200]!r}")


def parse_response(raw: bytes) -> Response:
    """One response with its CRLF."""
    if not raw.endswith(b"\r\n"):
        raise ResponseError(f"no CRLF at the end: {raw[-100:]!r}")
    end = len(raw) - 2
    # RFC 9051 §7: "+ " with the space always
    tag, space, _ = raw.partition(b" ")
    if not space or not tag:
        raise ResponseError(f"no space after the tag: {raw[:200]!r}")
    pos = len(tag) + 1
    if tag == b"+":
        return Response(tag=tag, text=raw[pos:end], raw=raw)
    word = raw[pos:end].split(b" ", 1)[0].upper()
    if word not in STATUS:
        return Response(tag=tag, tokens=parse_tokens(raw, pos, end), raw=raw)
    pos += len(word) + 1
    code: list[Token] | None = None
    if raw[pos : pos + 1] == b"[":
        closing = _closing_bracket(raw, pos)
        inside = raw[pos + 1 : closing]
        code = parse_tokens(inside, 0, len(inside))
        pos = closing + 2
    return Response(tag=tag, tokens=[word], code=code, text=raw[pos:end], raw=raw)
