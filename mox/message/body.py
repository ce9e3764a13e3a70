"""What a part says: decoded bytes, text, file name.    RFC 2045 §6, RFC 2046 §4.1, RFC 2183."""

from collections.abc import Iterator

from mox.message import charset, lines, parameters, transfer
from mox.message.buffer import Buffer
from mox.message.part import Part
from mox.message.section import Located, source

# Charsets without a state or a character that a line end could cut.
_BY_LINE = frozenset({"ascii", "utf-8", "iso8859-1", "iso8859-15", "cp1252"})


def decode_transfer(raw: bytes, encoding: bytes) -> bytes:
    """The bytes without their transfer encoding, read leniently; unknown encodings are identity."""
    return transfer.decode(raw, encoding)


def decode_text(part: Part, raw: bytes) -> str:
    """The undecoded body of a text part as text; what does not fit becomes U+FFFD.

    Line ends are LF.  An unknown charset is read as UTF-8 if it is, else as Latin-1.
    """
    decoded = transfer.decode(raw, part.encoding or b"")
    name = parameters.value(part.params, b"charset") or b""
    return charset.decode(decoded, name).replace("\r\n", "\n")


def iter_leaves(message: Part) -> Iterator[Located]:
    """The parts without children, in order, those of embedded messages included."""
    stack = [Located(message, ())]
    while stack:
        part, within = stack.pop()
        if part.message is not None:
            inside = (*within, part) if part.message_decoded else within
            stack.append(Located(part.message, inside))
        elif part.parts:
            stack += [Located(child, within) for child in reversed(part.parts)]
        else:
            yield Located(part, within)


def iter_text_parts(message: Part) -> Iterator[Located]:
    """The leaves that are text; one without Content-Type is (RFC 2045 §5.2)."""
    return (located for located in iter_leaves(message) if located.part.is_text)


def text_of(content: Buffer, located: Located, max_bytes: int | None = None) -> str:
    """The text of a located part, from at most ``max_bytes`` of its undecoded body."""
    part, within = located
    end = part.end_offset
    if max_bytes is not None:
        end = min(end, part.body_offset + max_bytes)
    return decode_text(part, bytes(source(content, within)[part.body_offset : end]))


def start_of(content: Buffer, part: Part, size: int) -> str | None:
    """The whole lines that ``text_of`` begins with, from the first bytes of the body alone.

    Line ends are as they stood.  None where these bytes do not tell it: the body is no longer, the
    charset is not read line by line, or no line ends in them.
    """
    if part.body_size <= size:
        return None
    raw = bytes(content[part.body_offset : part.body_offset + size])
    if part.encoding in transfer.ENCODINGS:
        # Quoted-printable knows no state over a line end; base64 drops the group that was cut.
        raw = transfer.decode(raw[: raw.rfind(b"\n") + 1], part.encoding)
    raw = raw[: raw.rfind(b"\n") + 1]
    name = parameters.value(part.params, b"charset") or b""
    known = charset.codec(name) if name else "utf-8"
    if known not in _BY_LINE and not (known is None and raw.isascii()):
        return None
    return charset.decode(raw, name) if raw else None


def decoded(content: Buffer, located: Located) -> bytes:
    """The decoded body, of text with CRLF line ends: ``part.decoded_size`` bytes."""
    part, within = located
    raw = bytes(source(content, within)[part.body_offset : part.end_offset])
    if part.parts or part.message is not None and not part.message_decoded:
        return raw  # RFC 2045 §6.4: what holds parts has no encoding of its own
    out = transfer.decode(raw, part.encoding or b"")
    return lines.to_crlf(out) if part.is_text else out


def octets(content: Buffer, located: Located) -> bytes:
    """The decoded body of a leaf as it was before it was encoded: line ends of text stay too."""
    part, within = located
    raw = bytes(source(content, within)[part.body_offset : part.end_offset])
    return transfer.decode(raw, part.encoding or b"")


def filename(part: Part) -> str:
    """The name a sender gave: of Content-Disposition, else of Content-Type; empty where none.

    It is what the sender wrote: never a path to write to.
    """
    name = parameters.text(part.disposition.params, b"filename") if part.disposition else None
    return name or parameters.text(part.params, b"name") or ""
