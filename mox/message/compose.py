"""Building messages: header fields, texts, attachments, multiparts.    RFC 5322, 2045 to 2049, 6532.

Laws  What is given as text cannot end a field or begin another one: controls become spaces.
      Without ``utf8`` everything that comes out is ASCII, but bodies given as bytes.
      Lines have at most 998 characters, those we break ourselves at most 78.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote as percent_encoded

import msgspec

from mox.base.errors import Refused
from mox.message import encodedword
from mox.message.quoting import phrase

FOLD_AT: Final = 76  # characters of a line that words are put on; RFC 2047 §2
_BASE64_LINE: Final = 57  # bytes that make 76 characters
_TEXT_LINE: Final = 76  # bytes; a text with a longer line is quoted-printable (RFC 2045 §6.7)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")


class MessageTooLarge(Refused):
    """What was put together is larger than allowed."""

    default = "message too large"


class Mailbox(NamedTuple):
    """A name for people, and an address as it is written: local part quoted where it must be."""

    name: str
    address: str


class Leaf(msgspec.Struct, frozen=True):
    """A part without parts: its MIME fields with line ends, and its encoded body."""

    fields: tuple[bytes, ...]
    body: bytes


class Multipart(msgspec.Struct, frozen=True):
    """Parts together.    ``parameters`` of its Content-Type besides the boundary."""

    subtype: str
    parts: "tuple[Leaf | Multipart, ...]"
    parameters: tuple[tuple[str, str], ...] = ()


Content: TypeAlias = Leaf | Multipart


def clean(text: str) -> str:
    """Text that stays within its line, in valid Unicode."""
    return _CONTROLS.sub(" ", text).encode("utf-8", "replace").decode()


# ---------------------------------------------------------------- header fields


def field(name: str, value: str) -> bytes:
    """A field whose value is not to be touched but for what would end it."""
    return f"{name}: {clean(value)}\r\n".encode()


def text_field(name: str, text: str, *, utf8: bool = False) -> bytes:
    """Subject, Comments, ...: unstructured text, encoded and folded."""
    plain = clean(text).strip(" ")
    words = plain.split(" ") if utf8 and _is_foldable(plain) else encodedword.encode(plain)
    return _fold(f"{name}:", words, "\r\n ")


def address_field(name: str, mailboxes: Sequence[Mailbox], *, utf8: bool = False) -> bytes:
    """From, To, Cc, ...; nothing at all for nobody."""
    if not mailboxes:
        return b""
    words: list[str] = []
    for mailbox in mailboxes:
        words += _mailbox_words(mailbox, utf8=utf8)
        words[-1] += ","
    words[-1] = words[-1][:-1]
    return _fold(f"{name}:", words, "\r\n\t")


def format_mailbox(mailbox: Mailbox, *, utf8: bool = False) -> str:
    """``Name <address>``, or the address alone.    RFC 5322 §3.4."""
    return " ".join(_mailbox_words(mailbox, utf8=utf8))


def _mailbox_words(mailbox: Mailbox, *, utf8: bool) -> list[str]:
    name, address = clean(mailbox.name).strip(), f"<{clean(mailbox.address)}>"
    if not name:
        return [address]
    if "=?" not in name and (name.isascii() or utf8):
        return [phrase(name.encode()).decode(), address]
    return [*encodedword.encode_all(name), address]


def _is_foldable(text: str) -> bool:
    return all(len(word.encode()) < 900 for word in text.split(" "))


def _fold(name: str, words: Sequence[str], fold: str) -> bytes:
    """Words after a name; a line that would be too long ends before a word that is not empty."""
    lines = [name]
    for word in words:
        line = lines[-1]
        if word and len(line) + 1 + len(word) > FOLD_AT and line.strip() and line != name:
            lines.append(word)
        else:
            lines[-1] = f"{line} {word}"
    return (fold.join(lines) + "\r\n").encode()


def content_type(kind: str, parameters: Iterable[tuple[str, str]] = ()) -> bytes:
    """The field, a parameter a line where they do not fit."""
    words = [kind, *(_parameter(name, value) for name, value in parameters)]
    return _fold("Content-Type:", [f"{word};" for word in words[:-1]] + words[-1:], "\r\n\t")


def _parameter(name: str, value: str) -> str:
    plain = clean(value)
    if not plain.isascii():
        # RFC 2231 §4
        return f"{name}*=utf-8''{percent_encoded(plain, safe='')}"
    if _TOKEN.fullmatch(plain):
        return f"{name}={plain}"
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


# ---------------------------------------------------------------- bodies


def text(content: str, *, subtype: str = "plain", eight_bit: bool) -> Leaf:
    """A text part, with a line end at its end.    Without ``eight_bit`` it is ASCII, encoded if need be."""
    body = content.encode("utf-8", "replace").replace(b"\r\n", b"\n")
    has_bare_cr = b"\r" in body
    body = body.replace(b"\n", b"\r\n")
    if not body.endswith(b"\n"):
        body += b"\r\n"
    charset = "us-ascii" if body.isascii() else "utf-8"
    longest = max(len(line) for line in body.split(b"\r\n"))
    if longest > _TEXT_LINE or has_bare_cr or not (eight_bit or body.isascii()):
        encoding, body = "quoted-printable", binascii.b2a_qp(body, istext=not has_bare_cr)
    else:
        encoding = "7bit" if body.isascii() else "8bit"
    fields = (
        content_type(f"text/{subtype}", [("charset", charset)]),
        field("Content-Transfer-Encoding", encoding),
    )
    return Leaf(fields, body)


def attachment(data: bytes, kind: str, filename: str, *, inline: bool = False) -> Leaf:
    """A file, in base64."""
    disposition = "inline" if inline else "attachment"
    name = _parameter("filename", filename)
    fields = (
        content_type(kind),
        _fold("Content-Disposition:", [f"{disposition};", name], "\r\n\t"),
        field("Content-Transfer-Encoding", "base64"),
    )
    return Leaf(fields, base64_lines(data))


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76 characters.    RFC 2045 §6.8."""
    lines = [
        base64.b64encode(data[start : start + _BASE64_LINE])
        for start in range(0, len(data), _BASE64_LINE)
    ]
    return b"\r\n".join(lines) + b"\r\n"


# ---------------------------------------------------------------- the whole


def render(
    fields: Iterable[bytes],
    content: Content,
    make_boundary: Callable[[], str],
    *,
    max_size: int | None = None,
) -> bytes:
    """A message.

    Input   fields: those of the header but for MIME, with line ends; empty ones are left out.
            make_boundary: random text of token characters, at most 60.
    Errors  MessageTooLarge.
    """
    kinds, body = _render(content, make_boundary)
    whole = b"".join((*fields, b"MIME-Version: 1.0\r\n", *kinds, b"\r\n", body))
    if max_size is not None and len(whole) > max_size:
        raise MessageTooLarge
    return whole


def _render(content: Content, make_boundary: Callable[[], str]) -> tuple[tuple[bytes, ...], bytes]:
    """MIME fields and body."""
    if isinstance(content, Leaf):
        return content.fields, content.body
    rendered = [_render(part, make_boundary) for part in content.parts]
    boundary = _boundary(make_boundary, [body for _, body in rendered])
    pieces: list[bytes] = []
    for fields, body in rendered:
        pieces += (b"--", boundary.encode(), b"\r\n", *fields, b"\r\n", body)
        # The line end before a boundary belongs to the boundary (RFC 2046 §5.1.1).
        pieces.append(b"\r\n")
    pieces += (b"--", boundary.encode(), b"--\r\n")
    parameters = (*content.parameters, ("boundary", boundary))
    return (content_type(f"multipart/{content.subtype}", parameters),), b"".join(pieces)


def _boundary(make_boundary: Callable[[], str], bodies: Sequence[bytes]) -> str:
    """One that no part has at the begin of a line."""
    while True:
        boundary = make_boundary()
        mark = b"--" + boundary.encode()
        if not any(body.startswith(mark) or b"\n" + mark in body for body in bodies):
            return boundary
