"""IMAP command line → tokens: the plain twin of ``tokens.pyx``.

A line is cut without judging which character may stand where; that is the cursor's work, which
knows the grammar.  What is kept exactly is the spacing: every space is a token of its own, and two
in a row are an error, because no rule of RFC 9051 §9 has ``SP SP``.

    line     = *( space / "(" / ")" / quoted / literal / word )
    space    = SP                                    ; not before another SP
    quoted   = DQUOTE *( %x01-09 / %x0B-0C / %x0E-21 / %x23-5B / %x5D-FF / "\\" ( DQUOTE / "\\" ) ) DQUOTE
    literal  = ["~"] "{" 1*DIGIT ["+"] "}"           ; only at the end of the line
    word     = 1*<any octet but NUL CR LF SP ( ) " { >   ; "~" just before "{" at its start is literal8
"""

from array import array
from typing import Final

from mox._speedups.errors import TokenError

SPACE: Final = 0x20
OPEN: Final = 0x28
CLOSE: Final = 0x29
QUOTED: Final = 0x22  # without escapes: the value is the span without its quotes
ESCAPED: Final = 0x5C  # with escapes
LITERAL: Final = 0x7B
LITERAL8: Final = 0x7E
WORD: Final = 0x77

_FORBIDDEN = b"\0\r\n"
_WORD_ENDS = b' ()"{'
_DIGITS = b"0123456789"


def _quoted_end(line: bytes, start: int) -> tuple[int, bool]:
    """The position after the closing quote, and whether there was an escape."""
    at = start + 1
    escaped = False
    while at < len(line):
        char = line[at]
        if char == QUOTED:
            return at + 1, escaped
        if char in _FORBIDDEN:
            raise TokenError(at, "line break or NUL")
        if char == ESCAPED:
            # quoted-specials are the only characters that may follow a backslash.
            if at + 1 >= len(line) or line[at + 1] not in b'"\\':
                raise TokenError(at, "bad escape in quoted string")
            escaped = True
            at += 1
        at += 1
    raise TokenError(start, "quoted string without end")


def _literal_end(line: bytes, brace: int) -> int:
    """The position after the closing brace, which is the end of the line."""
    at = brace + 1
    while at < len(line) and line[at] in _DIGITS:
        at += 1
    if at == brace + 1:
        raise TokenError(brace, "bad literal")
    if at < len(line) and line[at] == 0x2B:
        at += 1
    if at + 1 != len(line) or line[at] != 0x7D:
        raise TokenError(brace, "bad literal")
    return at + 1


def _word_end(line: bytes, start: int) -> int:
    at = start
    while at < len(line) and line[at] not in _WORD_ENDS:
        if line[at] in _FORBIDDEN:
            raise TokenError(at, "line break or NUL")
        at += 1
    return at


def _token(line: bytes, at: int) -> tuple[int, int]:
    """The kind of the token that begins here, and where it ends."""
    char = line[at]
    if char == SPACE:
        if at + 1 < len(line) and line[at + 1] == SPACE:
            raise TokenError(at + 1, "more than one space")
        return SPACE, at + 1
    if char in (OPEN, CLOSE):
        return char, at + 1
    if char == QUOTED:
        end, escaped = _quoted_end(line, at)
        return (ESCAPED if escaped else QUOTED), end
    if char == LITERAL:
        return LITERAL, _literal_end(line, at)
    if char == LITERAL8 and at + 1 < len(line) and line[at + 1] == LITERAL:
        return LITERAL8, _literal_end(line, at + 1)
    return WORD, _word_end(line, at)


def tokenize(
    line: bytes, base: int, depth: int, max_depth: int, max_tokens: int
) -> "tuple[bytes, array[int], int]":
    """Cut one line, given without its line end.

    Input   base: added to every position; depth: lists already open, of an earlier line.
    Output  one kind byte per token; start and end of each, in turn (u32); lists open at the end.
    Errors  TokenError, its offset without the base.
    """
    kinds = bytearray()
    spans = array("I")
    at = 0
    while at < len(line):
        kind, end = _token(line, at)
        if kind == OPEN:
            depth += 1
            if depth > max_depth:
                raise TokenError(at, "lists nested too deep")
        elif kind == CLOSE:
            depth -= 1
            if depth < 0:
                raise TokenError(at, "closing parenthesis without an opening one")
        if len(kinds) >= max_tokens:
            raise TokenError(at, "too many words")
        kinds.append(kind)
        spans.append(base + at)
        spans.append(base + end)
        at = end
    return bytes(kinds), spans, depth
