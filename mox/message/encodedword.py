"""Encoded words: text other than ASCII in header fields.    RFC 2047, RFC 2231 §5."""

import binascii
import re

from mox.message import charset

# RFC 2047 §2: an encoded word is at most 75 characters long; many are longer.
_WORD = re.compile(rb"=\?([^?\s*]{1,64})(?:\*[^?\s]{0,64})?\?([BbQq])\?([^?\r\n]*+)\?=")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def decode(value: bytes) -> str:
    """The text of an unfolded field value; never fails.

    White space between two encoded words is no text (RFC 2047 §6.2).  Neighbours of one charset are
    decoded together, since senders cut characters in two (RFC 2047 §5 forbids it).  A word that
    does not decode stays as it is; bytes outside of words are UTF-8 (RFC 6532).
    """
    if b"=?" not in value:
        return charset.decode(value, b"")
    out: list[str] = []
    pending: list[bytes] = []
    pending_name = b""
    pos = 0
    for word in _WORD.finditer(value):
        between = value[pos : word.start()]
        pos = word.end()
        name = word[1].lower()
        raw = _content(word[2], word[3]) if charset.codec(name) else None
        joins = bool(pending) and raw is not None and not between.strip(b" \t")
        if not joins or name != pending_name:
            out.append(charset.decode(b"".join(pending), pending_name))
            pending, pending_name = [], name
        if not joins:
            out.append(charset.decode(between, b""))
        if raw is None:
            out.append(charset.decode(word[0], b""))
        else:
            pending.append(raw)
    out.append(charset.decode(b"".join(pending), pending_name))
    out.append(charset.decode(value[pos:], b""))
    return "".join(out)


def _content(encoding: bytes, text: bytes) -> bytes | None:
    """The bytes of an encoded text; None where it is broken."""
    if encoding in b"Qq":
        return binascii.a2b_qp(text.replace(b"_", b" "), header=False)
    clean = text.translate(None, _NOT_BASE64)
    if len(clean) % 4 == 1:
        return None
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


_LONG = 900  # characters: a longer word would not fit into a line (RFC 5322 §2.1.1)
# RFC 2047 §2: a word has 75 characters at most, a line with words 76; a short field name fits before.
_WORD_ROOM = 64 - len("=?utf-8?q??=")
# RFC 2047 §5 (3): what may stand for itself in an encoded word anywhere, in a phrase as well.
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def encode(text: str) -> list[str]:
    """Words of a header text, ASCII; joined with single spaces they say the text.

    Words beyond ASCII become encoded words, with the space between neighbours inside, since a reader
    drops the one outside (RFC 2047 §6.2).  So does what would be taken for an encoded word.
    """
    out: list[str] = []
    run: list[str] = []
    for word in text.split(" "):
        if word.isascii() and "=?" not in word and len(word) <= _LONG:
            out += encode_all(" ".join(run)) if run else ()
            run = []
            out.append(word)
        else:
            run.append(word)
    out += encode_all(" ".join(run)) if run else ()
    return out


def encode_all(text: str) -> list[str]:
    """A text as encoded words only; also good for a phrase (RFC 2047 §5 (3))."""
    words: list[str] = []
    current = ""
    for character in text:
        # A character is never cut in two (RFC 2047 §5).
        piece = "".join(_quoted(byte) for byte in character.encode("utf-8", "replace"))
        if len(current) + len(piece) > _WORD_ROOM:
            words.append(current)
            current = ""
        current += piece
    return [f"=?utf-8?q?{word}?=" for word in (*words, current)]


def _quoted(byte: int) -> str:
    if byte in _SAFE:
        return chr(byte)
    return "_" if byte == 0x20 else f"={byte:02X}"
