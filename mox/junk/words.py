"""Text to features: the words of a message, and runs of two and three of them.

A feature is bytes, UTF-8: "word", "two words", "Subject:word".  Each counts once in a message.  The
rules of words are in ``mox._speedups.reference.words``; limits.JUNK_* bound the work on any message.
"""

from collections.abc import Iterator

from mox._speedups import add_words, scan_header
from mox.base.limits import (
    HEADER_FIELDS,
    HEADER_PARSE,
    JUNK_HEADER,
    JUNK_TEXT,
    JUNK_TOKEN,
    JUNK_TOKENS,
)
from mox.junk.htmltext import html_to_text
from mox.message import body, encodedword, header
from mox.message.buffer import Buffer
from mox.message.part import Part
from mox.message.section import Located, source

# The fields whose words count, those first that a long list of recipients must not push out.
_FIELDS = (
    b"From",
    b"Subject",
    b"Sender",
    b"Reply-To",
    b"Return-Path",
    b"To",
    b"Cc",
    b"Bcc",
)
_LOWER_FIELDS = frozenset(name.lower() for name in _FIELDS)


def text_words(text: str, grams: int) -> set[bytes]:
    """The features of a text.    ``grams``: ``Parameters.grams``."""
    found: set[bytes] = set()
    add_words(text, b"", grams, JUNK_TOKEN, JUNK_TOKENS, found)
    return found


def message_words(content: Buffer, message: Part, grams: int) -> set[bytes]:
    """The features of a parsed message: of its header, and of all its text.

    Input   ``message``: what mime.parse made of ``content``.  ``grams``: ``Parameters.grams``.
    Cost    about 1 ms for 50 KB of text; bounded whatever the message.
    """
    found: set[bytes] = set()
    for prefix, value in _field_values(content, message):
        add_words(value, prefix, grams, JUNK_TOKEN, JUNK_TOKENS, found)
    for text in _texts(content, message):
        add_words(text, b"", grams, JUNK_TOKEN, JUNK_TOKENS, found)
        if len(found) >= JUNK_TOKENS:
            break
    return found


def _field_values(content: Buffer, message: Part) -> Iterator[tuple[bytes, str]]:
    """The fields that count, as text: encoded words are words (RFC 2047)."""
    start, end = message.header_offset, message.body_offset
    parse_end = min(end, start + HEADER_PARSE)
    values: dict[bytes, list[tuple[int, int]]] = {}
    fields = scan_header(content, start, end, parse_end, HEADER_FIELDS, (), _LOWER_FIELDS)[0]
    for name, _, value, value_end in fields:
        values.setdefault(name, []).append((value, value_end))
    left = JUNK_HEADER
    for name in _FIELDS:
        for value, value_end in values.get(name.lower(), ()):
            if left <= 0:
                return
            raw = bytes(content[value : min(value_end, value + left)])
            yield name + b":", encodedword.decode(header.unfold(raw))
            left -= len(raw)


def _texts(content: Buffer, message: Part) -> Iterator[str]:
    """The decoded text parts, those of embedded messages included; alternatives count both."""
    left = JUNK_TEXT
    within: tuple[Part, ...] = ()
    inner = content  # what the offsets count in
    for part, part_within in body.iter_leaves(message):
        if not _counts_as_text(part):
            continue
        if part_within is not within:  # neighbours share it, so each is decoded about once
            left -= sum(holder.body_size for holder in part_within)
            if left > 0:
                inner, within = source(content, part_within), part_within
        if left <= 0:
            return
        text = body.text_of(inner, Located(part, ()), left)
        left -= part.body_size
        yield html_to_text(text) if part.media_subtype == b"HTML" else text


def _counts_as_text(part: Part) -> bool:
    if part.is_text:
        return True
    # RFC 2045 §5.2: what names no type is best taken for text; readers do, so senders of junk may
    unread = (part.media_type, part.media_subtype) == (b"APPLICATION", b"OCTET-STREAM")
    return unread and "bad content-type" in (part.error or "")
