"""Values with parameters: Content-Type and Content-Disposition.    RFC 2045 §5.1, RFC 2231.

Read leniently: what can be understood is kept, and ``faults`` says that something could not.
Continuations (name*0, name*1) are joined, as RFC 2231 §6 asks of IMAP servers; a charset-encoded
value stays encoded under a name that ends in ``*``, so that nothing is lost on the wire.
"""

import re
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from mox.base.limits import MIME_REMEMBERED, MIME_REMEMBERED_FIELD, PARAMETERS
from mox.message import charset, encodedword
from mox.message.header import unfold

Parameters: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""(lower-case name, unquoted value) in order."""

# RFC 2045 §5.1: token = printable ASCII without space and tspecials
_TOKEN_CHARS = rb"!#$%&'*+\-.0-9A-Z^_`a-z{|}~"
TOKEN = re.compile(rb"[" + _TOKEN_CHARS + rb"]++")
_TYPE = re.compile(rb"([" + _TOKEN_CHARS + rb"]++)[ \t]*+/[ \t]*+([" + _TOKEN_CHARS + rb"]++)")
_PARAMETER = re.compile(
    rb"[ \t]*+([" + _TOKEN_CHARS + rb"]++)[ \t]*+=[ \t]*+"
    rb"(?:\"((?:[^\"\\]++|\\.)*+)(\")?|([^;]*+))([^;]*+)(?:;|\Z)",
    re.DOTALL,
)
_SPACE_TO_END = re.compile(rb"[ \t]*+\Z")
_SECTION = re.compile(rb"(.+?)\*(0|[1-9][0-9]{0,3})(\*)?", re.DOTALL)
_COMMENT_STEP = re.compile(rb"[^\"()\\]++|\\.?|\"(?:[^\"\\]++|\\.)*+\"?|[()]", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


class ContentType(NamedTuple):
    """Content-Type as it was understood; types in upper case."""

    media_type: bytes
    media_subtype: bytes
    params: Parameters
    faults: bool


class Value(NamedTuple):
    """A token with parameters; the token in lower case, empty where there was none."""

    value: bytes
    params: Parameters
    faults: bool


def parse_content_type(raw: bytes) -> ContentType:
    """A Content-Type field.

    What is no ``token "/" token`` becomes APPLICATION/OCTET-STREAM without parameters.
    """
    return _parse_again(raw) if len(raw) <= MIME_REMEMBERED_FIELD else _parse_content_type(raw)


def _parse_content_type(raw: bytes) -> ContentType:
    text = without_comments(unfold(raw))
    match = _TYPE.match(text)
    head, semicolon, tail = text.partition(b";")
    if match is None or match.end() != len(head.rstrip(b" \t")):
        # the wild: something follows the type with space between; the type can be told still
        if match is None or head[match.end() :][:1] not in (b" ", b"\t"):
            return ContentType(b"APPLICATION", b"OCTET-STREAM", (), True)
        params, _ = parse_parameters(tail) if semicolon else ((), False)
        return ContentType(match[1].upper(), match[2].upper(), params, True)
    params, faults = parse_parameters(tail) if semicolon else ((), False)
    return ContentType(match[1].upper(), match[2].upper(), params, faults)


_parse_again = lru_cache(MIME_REMEMBERED)(_parse_content_type)  # most parts are of few types


def parse_value(raw: bytes) -> Value:
    """A Content-Disposition field or the like.    RFC 2183 §2."""
    text = without_comments(unfold(raw))
    head, semicolon, tail = text.partition(b";")
    match = TOKEN.match(head.strip(b" \t"))
    if match is None:
        return Value(b"", (), True)
    params, faults = parse_parameters(tail) if semicolon else ((), False)
    return Value(match[0].lower(), params, faults or match.end() != len(head.strip(b" \t")))


def parse_parameters(text: bytes) -> tuple[Parameters, bool]:
    """The parameters behind the first ";", and whether anything was wrong with them.

    Input  one line, without comments.  At most limits.PARAMETERS are read.
    """
    found: dict[bytes, bytes] = {}
    faults = sectioned = False
    pos, size, count = 0, len(text), 0
    while pos < size:
        if _SPACE_TO_END.match(text, pos):
            break  # a ";" at the end is common and harmless
        count += 1
        if count > PARAMETERS:
            return _joined(found, sectioned, True)
        match = _PARAMETER.match(text, pos)
        if match is None:
            faults = True
            end = text.find(b";", pos)
            pos = size if end < 0 else end + 1
            continue
        pos = match.end()
        name = match[1].lower()
        value, clean = _value(match)
        if name in found:
            faults = True
            continue
        found[name] = value
        faults = faults or not clean
        sectioned = sectioned or b"*" in name
    return _joined(found, sectioned, faults)


def _value(match: re.Match[bytes]) -> tuple[bytes, bool]:
    """The value of a matched parameter, and whether it was written as the grammar wants."""
    if match[2] is not None:
        value = _QUOTED_PAIR.sub(rb"\1", match[2]) if b"\\" in match[2] else match[2]
        return value, match[3] is not None and not match[5].strip(b" \t")
    value = match[4].strip(b" \t")
    return value, TOKEN.fullmatch(value) is not None


def _joined(found: dict[bytes, bytes], sectioned: bool, faults: bool) -> tuple[Parameters, bool]:
    """Continuations put together, each at the place of its first piece.    RFC 2231 §3, §4.1."""
    if not sectioned:
        return tuple(found.items()), faults
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    out: dict[bytes, bytes | None] = {}
    for name, value in found.items():
        match = _SECTION.fullmatch(name)
        if match is None:
            out[name] = value
            continue
        pieces.setdefault(match[1], {})[int(match[2])] = (value, match[3] is not None)
        out.setdefault(match[1] + b"*0", None)
    params: list[tuple[bytes, bytes]] = []
    for name, whole in out.items():
        if whole is not None:
            params.append((name, whole))
            continue
        base = name.removesuffix(b"*0")
        joined = _join(pieces[base])
        if joined is None:
            faults = True
        elif base in out or base + b"*" in out:
            faults = True  # said twice: the plain one, which everybody understands, stays
        else:
            params.append((base + b"*" if joined[1] else base, joined[0]))
    return tuple(params), faults


def _join(pieces: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bool] | None:
    """The value of pieces 0, 1, ... up to a gap, and whether it is charset-encoded."""
    if 0 not in pieces:
        return None
    encoded = pieces[0][1]
    out: list[bytes] = []
    for number in range(len(pieces)):
        if number not in pieces:
            break
        value, is_encoded = pieces[number]
        # RFC 2231 §4.1: pieces may be mixed; in an encoded whole a plain "%" must not mislead
        out.append(value if is_encoded or not encoded else value.replace(b"%", b"%25"))
    return b"".join(out), encoded


def without_comments(text: bytes) -> bytes:
    """The text with comments outside of quotes taken away.    RFC 5322 §3.2.2."""
    if b"(" not in text:
        return text
    out: list[bytes] = []
    depth, pos = 0, 0
    while pos < len(text):
        step = _COMMENT_STEP.match(text, pos)
        if step is None:
            break
        pos = step.end()
        token = step[0]
        if token == b"(":
            depth += 1
        elif token == b")" and depth:
            depth -= 1
        elif not depth:
            out.append(token)
    return b"".join(out)


def raw(params: Parameters, name: bytes) -> bytes | None:
    """The value of a parameter as it was sent, or None; ``name`` in lower case."""
    return next((value for key, value in params if key == name), None)


def value(params: Parameters, name: bytes) -> bytes | None:
    """The value of a parameter that is a name itself (boundary, charset), or None.

    Source  RFC 2231 §4: any parameter may come charset-encoded, these too.
    """
    plain = raw(params, name)
    if plain is not None:
        return plain
    extended = raw(params, name + b"*")
    return None if extended is None else decode_extended(extended).encode()


def text(params: Parameters, name: bytes) -> str | None:
    """The value of a parameter as text, or None.

    Source  RFC 2231 §4; and RFC 2047 words in the value, which RFC 2047 §5 forbids but many send.
    """
    extended = raw(params, name + b"*")
    if extended is not None:
        return decode_extended(extended)
    value = raw(params, name)
    if value is None:
        return None
    if value.startswith(b"=?") or value.endswith(b"?="):
        return encodedword.decode(value)
    return charset.decode(value, b"")


def decode_extended(value: bytes) -> str:
    """``charset'language'percent-encoded`` as text.    RFC 2231 §4."""
    name, quote, rest = value.partition(b"'")
    _, second, encoded = rest.partition(b"'")
    if not quote or not second:
        return charset.decode(unquote_to_bytes(value), b"")
    return charset.decode(unquote_to_bytes(encoded), name)
