"""BODYSTRUCTURE as a tree that can be compared, and the parts it has.   RFC 9051 §7.5.2."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from support.imapresponse import Token, sequence


def _lower(token: Token) -> Token:
    return bytes(token).lower() if isinstance(token, bytes) else token


def _parameters(token: Token) -> Token:
    """Names in lower case, in order of their names: neither case nor order means anything."""
    if not isinstance(token, list):
        return token
    pairs = [[_lower(token[n]), token[n + 1]] for n in range(0, len(token) - 1, 2)]
    for pair in pairs:
        if pair[0] == b"charset":  # RFC 2046 §4.1.2: no case in its value either
            pair[1] = _lower(pair[1])
    pairs.sort(key=repr)
    return [value for pair in pairs for value in pair]


def _disposition(token: Token) -> Token:
    if not isinstance(token, list) or len(token) != 2:
        return token
    return [_lower(token[0]), _parameters(token[1])]


def _is_message(part: list[Token]) -> bool:
    kind = [_lower(part[0]), _lower(part[1])]
    return kind in ([b"message", b"rfc822"], [b"message", b"global"]) and len(part) > 9


def _languages(token: Token) -> Token:
    """A single language may be a string or a list of one."""
    return [token] if isinstance(token, bytes) else token


def _extension(part: list[Token], start: int) -> list[Token]:
    """Disposition, language, location, wherever they begin."""
    found = list(part[start:])
    if found:
        found[0] = _disposition(found[0])
    if len(found) > 1:
        found[1] = _languages(found[1])
    return found


def normal(part: Token) -> Token:
    """The structure without differences of case where case means nothing."""
    part = sequence(part)
    children = [child for child in part if isinstance(child, list)]
    if part and isinstance(part[0], list):
        count = next((n for n, child in enumerate(part) if not isinstance(child, list)), len(part))
        rest = part[count:]
        made: list[Token] = [normal(child) for child in children[:count]]
        made.append(_lower(rest[0]))
        if len(rest) > 1:
            made.append(_parameters(rest[1]))
        return made + _extension(rest, 2)
    head: list[Token] = [_lower(part[0]), _lower(part[1]), _parameters(part[2]), part[3], part[4]]
    head += [_lower(part[5]), part[6]]
    if _is_message(part):
        head += [part[7], normal(part[8]), part[9]]
        rest_at = 10
    elif head[0] == b"text":
        head.append(part[7])
        rest_at = 8
    else:
        rest_at = 7
    if len(part) > rest_at:
        head.append(part[rest_at])  # MD5
    return head + _extension(part, rest_at + 1)


def part_names(part: Token, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """All part numbers, and whether the part is a message with parts of its own."""
    part = sequence(part)
    if part and isinstance(part[0], list):
        children = takewhile(lambda child: isinstance(child, list), part)
        for n, child in enumerate(children, 1):
            yield from _named(sequence(child), f"{prefix}{n}")
    else:
        yield from _named(part, f"{prefix}1")


def _named(part: list[Token], name: str) -> Iterator[tuple[str, bool]]:
    multipart = bool(part) and isinstance(part[0], list)
    message = not multipart and _is_message(part)
    yield name, message
    if message or multipart:
        yield from part_names(part[8] if message else part, f"{name}.")
