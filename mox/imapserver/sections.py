"""What BODY[...], BINARY[...] and BINARY.SIZE[...] name, as ranges of a content.

Source  RFC 9051 §6.4.5, RFC 3516.    All functions may block: they are called in reader threads.
"""

from itertools import chain
from pathlib import Path
from typing import ClassVar, NamedTuple

from mox._speedups import scan_header
from mox.base.errors import Refused
from mox.base.limits import HEADER_FIELDS
from mox.imap import codes
from mox.imap.fetchitem import Partial
from mox.imap.fetchitem import Section as SectionSpec
from mox.imapserver.decoding import CHUNK, decoded_chunks, gather, with_crlf
from mox.message import header, section
from mox.message.buffer import Buffer
from mox.message.part import Part
from mox.message.transfer import ENCODINGS

KNOWN = frozenset({b"7BIT", b"8BIT", b"BINARY", *ENCODINGS})


class SectionError(Refused):
    """The section cannot be given of this message.    ``code``: response code of the NO."""

    code: ClassVar[bytes | None] = None


class NoSuchPart(SectionError):
    """The section names a part, or a message in a part, that is not there."""

    default = "no such body part"


class NotALeaf(SectionError):
    """BINARY of a multipart.    RFC 3516 §4.2."""

    default = "a multipart has no single decoded form"


class UnknownEncoding(SectionError):
    """The part's Content-Transfer-Encoding cannot be undone.    RFC 3516 §4.3 UNKNOWN-CTE."""

    default = "unknown content-transfer-encoding"
    code: ClassVar[bytes | None] = codes.UNKNOWN_CTE


class Unreadable(SectionError):
    """The stored message is damaged, which the store has logged."""

    default = "a message cannot be read"
    code: ClassVar[bytes | None] = codes.SERVERBUG


class TooMuch(SectionError):
    """The items asked of one message would need too much memory together."""

    default = "too much of one message at once"
    code: ClassVar[bytes | None] = codes.LIMIT


class Extent(NamedTuple):
    """A range of bytes in a buffer, not copied yet."""

    content: Buffer
    start: int
    end: int
    has_nul: bool = False

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.end - self.start

    def cut(self, partial: Partial | None) -> "Extent":
        """The part of it that a partial names; beyond the end it is empty.  RFC 9051 §6.4.5."""
        if partial is None:
            return self
        start = min(self.end, self.start + partial.first)
        end = min(self.end, start + partial.count)
        return Extent(self.content, start, end, self.has_nul)

    def noted(self) -> "Extent":
        """The same, with ``has_nul`` looked up.    Blocks on large ones."""
        found = any(
            b"\0" in self.content[at : min(self.end, at + CHUNK)]
            for at in range(self.start, self.end, CHUNK)
        )
        return Extent(self.content, self.start, self.end, found)


def whole(content: Buffer) -> Extent:
    """All of a buffer."""
    return Extent(content, 0, len(content))


def body(content: Buffer, tree: Part, spec: SectionSpec) -> Extent:
    """The bytes of BODY[spec].    Errors: NoSuchPart."""
    match spec.text:
        case b"":
            found = section.body_range(tree, spec.part)
        case b"TEXT":
            found = section.text_range(tree, spec.part)
        case b"MIME":
            found = section.mime_range(tree, spec.part)
        case _:
            found = section.header_range(tree, spec.part)
    if found is None:
        raise NoSuchPart
    extent = Extent(section.source(content, found.within), found.start, found.end)
    if spec.text == b"MIME":
        located = section.resolve(tree, spec.part)
        if located is not None and located.part.boundary_offset >= 0:
            # The header of a body part as it is: signatures are over its octets (RFC 1847 §2.1).
            return whole(_ended(bytes(_view(extent))))
        return whole(_mime_header(extent))
    if spec.fields:
        exclude = spec.text == b"HEADER.FIELDS.NOT"
        return whole(header.select(_view(extent), spec.fields, exclude=exclude))
    return extent


def header_only(spec: SectionSpec) -> bool:
    """Is the top header all that the section needs?"""
    return not spec.part and spec.text.startswith(b"HEADER")


def binary(content: Buffer, tree: Part, path: tuple[int, ...], folder: Path) -> Extent:
    """The decoded bytes of BINARY[path].

    Input   folder: for decoded bytes that are too many for memory.
    Errors  NoSuchPart, NotALeaf, UnknownEncoding, OSError.
    """
    part, source = _leaf(content, tree, path)
    decoded = _decoded(source, part, folder)
    if path:
        return decoded
    # RFC 3516 §4.2, BINARY[]: the whole message decoded, so the encoding is named no more.
    top = _without_encoding(content, tree)
    if decoded.content is content and top == bytes(content[tree.header_offset : tree.body_offset]):
        return Extent(content, tree.header_offset, decoded.end)
    pieces = decoded_chunks(decoded.content, decoded.start, decoded.end, b"")
    return whole(gather(chain((top,), pieces), folder))


def binary_size(content: Buffer, tree: Part, path: tuple[int, ...]) -> int:
    """The number of bytes that BINARY[path] has.    Errors: as ``binary``."""
    part, _ = _leaf(content, tree, path)
    if path:
        return part.decoded_size
    return len(_without_encoding(content, tree)) + part.decoded_size


def _leaf(content: Buffer, tree: Part, path: tuple[int, ...]) -> tuple[Part, Buffer]:
    """The part whose body BINARY decodes, and what its offsets count in."""
    found = section.resolve(tree, path)
    if found is None:
        raise NoSuchPart
    part = found.part
    if part.is_multipart:
        # RFC 2045 §6.4: the body of a multipart is never encoded itself.
        if path:
            raise NotALeaf
    elif part.encoding is not None and part.encoding not in KNOWN:
        raise UnknownEncoding
    return part, section.source(content, found.within)


def _decoded(source: Buffer, part: Part, folder: Path) -> Extent:
    start, end = part.body_offset, part.end_offset
    encoding = b"" if part.is_multipart else part.encoding or b""
    text = part.is_text and not part.is_multipart
    # The tree counts text with CRLF line ends: another size tells of lone LF in it.
    if encoding not in ENCODINGS and part.decoded_size == end - start:
        return Extent(source, start, end)
    chunks = decoded_chunks(source, start, end, encoding)
    return whole(gather(with_crlf(chunks) if text else chunks, folder))


def _without_encoding(content: Buffer, tree: Part) -> bytes:
    top = Extent(content, tree.header_offset, tree.body_offset)
    return header.select(_view(top), (b"content-transfer-encoding",), exclude=True)


def _ended(block: bytes) -> bytes:
    """A header with its empty line, also where the part ends before it."""
    if not block or block in (b"\r\n", b"\n") or block.endswith((b"\n\r\n", b"\n\n")):
        return block
    return block + (b"\r\n" if block.endswith(b"\n") else b"\r\n\r\n")


def _mime_header(extent: Extent) -> bytes:
    """The fields of a message's header that describe its one part.

    RFC 2045 §3: those that begin with Content-; the others are of the message.
    """
    block = _view(extent)
    size = len(block)
    found = scan_header(block, 0, size, size, HEADER_FIELDS, (), None)[0]
    names = {name for name, _, _, _ in found if name.startswith(b"content-")}
    return header.select(block, sorted(names))


def _view(extent: Extent) -> memoryview:
    return memoryview(extent.content)[extent.start : extent.end]
