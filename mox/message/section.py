"""Sections: an IMAP part path and specifier to bytes.    RFC 9051 §6.4.5.1.

A path names a body part: [4, 2].  A message that is no multipart has one part, 1, its body.  Numbers
go on inside message/rfc822 as if the embedded message stood alone; so in a message whose own type is
message/rfc822, [1] is its body and [1, 1] the first part of the message inside.
"""

from collections.abc import Sequence
from typing import NamedTuple

from mox.message import header, transfer
from mox.message.buffer import Buffer
from mox.message.part import Part


class Located(NamedTuple):
    """A part and the parts whose decoded bodies its offsets count in, outermost first.

    Mostly ``within`` is empty: the offsets count in the content itself.
    """

    part: Part
    within: tuple[Part, ...]


class Range(NamedTuple):
    """start .. end, offsets in the content, or in the body decoded last of ``within``."""

    start: int
    end: int
    within: tuple[Part, ...]


def resolve(message: Part, path: Sequence[int]) -> Located | None:
    """The part at that path, None where there is none; the empty path is the message itself."""
    part = message
    within: tuple[Part, ...] = ()
    container: Part | None = message  # the message or multipart whose parts the number counts
    for number in path:
        if container is None or number < 1:
            return None
        if container is not part:  # going into the message that this part holds
            if part.message_decoded:
                within = (*within, part)
            part = container
        if part.parts:
            if number > len(part.parts):
                return None
            part = part.parts[number - 1]
        elif number != 1:
            return None
        container = part if part.parts else part.message
    return Located(part, within)


def _inner(located: Located) -> Located | None:
    """The message that a message part holds."""
    part = located.part
    if part.message is None:
        return None
    within = (*located.within, part) if part.message_decoded else located.within
    return Located(part.message, within)


def header_range(message: Part, path: Sequence[int]) -> Range | None:
    """HEADER: of the message, or of the message that the part holds; with the empty line."""
    found = _message_at(message, path)
    if found is None:
        return None
    return Range(found.part.header_offset, found.part.body_offset, found.within)


def text_range(message: Part, path: Sequence[int]) -> Range | None:
    """TEXT: the body of the message, or of the message that the part holds, with its epilogue."""
    found = _message_at(message, path)
    if found is None:
        return None
    return Range(found.part.body_offset, found.part.end_offset, found.within)


def _message_at(message: Part, path: Sequence[int]) -> Located | None:
    if not path:
        return Located(message, ())
    found = resolve(message, path)
    return None if found is None else _inner(found)


def mime_range(message: Part, path: Sequence[int]) -> Range | None:
    """MIME: the header of the part, with the empty line; a part number is needed."""
    found = resolve(message, path)
    if found is None or not path:
        return None
    return Range(found.part.header_offset, found.part.body_offset, found.within)


def body_range(message: Part, path: Sequence[int]) -> Range | None:
    """The part's body; with an empty path the whole message."""
    found = resolve(message, path)
    if found is None:
        return None
    start = found.part.body_offset if path else found.part.header_offset
    return Range(start, found.part.end_offset, found.within)


def source(content: Buffer, within: Sequence[Part]) -> Buffer:
    """What the offsets count in: the content, or the body decoded out of it.

    Cost  decodes each of ``within``, at most limits.MIME_DECODED bytes.
    """
    for part in within:
        raw = bytes(content[part.body_offset : part.end_offset])
        content = transfer.decode(raw, part.encoding or b"")
    return content


def read(content: Buffer, found: Range) -> bytes:
    """The bytes of a range."""
    return bytes(source(content, found.within)[found.start : found.end])


def header_fields(
    content: Buffer, found: Range, names: Sequence[bytes], *, exclude: bool = False
) -> bytes:
    """HEADER.FIELDS, or with ``exclude`` HEADER.FIELDS.NOT, of a header range."""
    return header.select(read(content, found), names, exclude=exclude)
