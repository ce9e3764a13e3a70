"""The part tree: what is known of a message without reading its bytes again.    RFC 2045, 2046.

Laws
  All offsets are absolute in the content that was parsed, so ``content[part.body_offset :
  part.end_offset]`` is the undecoded body of any part, also of a part inside an embedded message.
  The one exception: where ``message_decoded`` is set, the embedded message was encoded (base64 or
  quoted-printable; RFC 6532 §3.7 allows that for message/global) and the offsets in ``message``
  count in the decoded body of this part.
  Values from the wire are bytes as they stood there, without folding.
"""

from collections.abc import Iterator

import msgspec

from mox.message.envelope import Envelope
from mox.message.parameters import Parameters


class Disposition(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Content-Disposition, parsed.    RFC 2183."""

    value: bytes  # lower case, for example b"attachment"
    params: Parameters = ()


class Part(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One part of a message; the top of the tree is the message itself.

    ``media_type`` and ``media_subtype`` are upper case and both empty where there was no
    Content-Type (to be shown as TEXT/PLAIN).  A message type without ``message`` does not exist:
    what could not be opened is APPLICATION/OCTET-STREAM with ``error`` set.
    """

    boundary_offset: int  # of the "--boundary" line before the part; -1 at the top
    header_offset: int
    body_offset: int  # after the empty line; the MIME header is header_offset .. body_offset
    end_offset: int  # end of the body, before the line end that belongs to the next boundary
    lines: int  # of the undecoded body; an unterminated last line counts
    decoded_size: int  # bytes after transfer decoding; of text: with CRLF line ends
    media_type: bytes = b""
    media_subtype: bytes = b""
    params: Parameters = ()
    content_id: bytes | None = None
    description: bytes | None = None
    encoding: bytes | None = None  # upper case; None where the header is absent
    disposition_raw: bytes | None = None
    disposition: Disposition | None = None  # None also where it could not be parsed
    md5: bytes | None = None
    languages: tuple[bytes, ...] = ()
    location: bytes | None = None
    envelope: Envelope | None = None  # of messages only: the top and what is embedded
    parts: tuple["Part", ...] = ()  # of multiparts only, then at least one
    message: "Part | None" = None  # of message/rfc822 and message/global only
    message_decoded: bool = False  # the offsets in ``message`` count in the decoded body
    error: str | None = None  # what was wrong with it; strict readers refuse

    @property
    def is_multipart(self) -> bool:
        """Has children."""
        return bool(self.parts)

    @property
    def is_text(self) -> bool:
        """TEXT, or nothing said: RFC 2045 §5.2 makes that text/plain."""
        return self.media_type == b"TEXT" or not self.media_type

    @property
    def header_size(self) -> int:
        """Bytes of the header with its empty line."""
        return self.body_offset - self.header_offset

    @property
    def body_size(self) -> int:
        """Bytes of the undecoded body."""
        return self.end_offset - self.body_offset


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Part)


def encode_part(part: Part) -> bytes:
    """The tree as msgpack, to be stored beside the message."""
    return _encoder.encode(part)


def decode_part(data: bytes) -> Part:
    """The tree from msgpack.

    Errors  msgspec.DecodeError for bytes that encode_part did not make.
    """
    return _decoder.decode(data)


def walk(part: Part) -> Iterator[tuple[Part, int]]:
    """Every part in order, with how often its bytes lie inside a decoded body (mostly 0).

    An embedded message comes right after the part that holds it.
    """
    stack = [(part, 0)]
    while stack:
        current, decodings = stack.pop()
        yield current, decodings
        stack.extend((child, decodings) for child in reversed(current.parts))
        if current.message is not None:
            stack.append((current.message, decodings + current.message_decoded))
