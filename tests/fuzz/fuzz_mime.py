"""Messages: any bytes give a tree whose offsets hold together and whose parts can be read."""

from mox.base.limits import MIME_PARTS, PREVIEW_LENGTH
from mox.message import body, mime, section
from mox.message.lines import BadLine, to_crlf
from mox.message.mime import BadMessage, Part
from mox.message.preview import preview

TARGET_NAME: str = "mime"
SEEDS = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\nab\r\n--b\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGkK\r\n--b--\r\nepi\r\n",
    b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\n<p>y\n--b\n"
    b"Content-Type: message/global\nContent-Transfer-Encoding: quoted-printable\n\n"
    b"Content-Type: text/html=0A=0A<b>x\n--b--\n",
    b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/signed; boundary=i\r\n\r\n"
    b"--i\r\n\r\n--i--\r\n",
)


def run(data: bytes) -> None:
    """As a message."""
    part = mime.parse(data)
    count = 0
    for found, decodings in mime.walk(part):
        count += 1
        if not decodings:
            _check_offsets(found, len(data))
        _check_kind(found)
    if count > MIME_PARTS + 200:
        raise AssertionError("more parts than the limit")
    if part.header_offset != 0 or part.end_offset != len(data):
        raise AssertionError("header and text are not the whole")
    if mime.decode_part(mime.encode_part(part)) != part:
        raise AssertionError("does not survive storing")
    _check_bodies(part, data)
    if len(preview(part, data)) > PREVIEW_LENGTH:
        raise AssertionError("preview too long")
    _check_strict(part, data)


def _check_offsets(part: Part, end: int) -> None:
    if not part.boundary_offset < part.header_offset <= part.body_offset <= part.end_offset <= end:
        raise AssertionError("offsets out of order")
    at = part.body_offset
    for child in part.parts:
        if child.boundary_offset < at or child.end_offset > part.end_offset:
            raise AssertionError("a child overlaps or leaves its parent")
        at = child.end_offset
    if part.message is not None and not part.message_decoded:
        inner = part.message
        if (inner.header_offset, inner.end_offset) != (part.body_offset, part.end_offset):
            raise AssertionError("an embedded message is not the body")


def _check_kind(part: Part) -> None:
    is_message = part.media_type == b"MESSAGE" and part.media_subtype in (b"RFC822", b"GLOBAL")
    if is_message != (part.message is not None):
        raise AssertionError("a message type without message, or the other way round")
    if (part.media_type == b"MULTIPART") != bool(part.parts):
        raise AssertionError("a multipart without parts, or the other way round")
    if part.media_type.upper() != part.media_type or part.lines < 0:
        raise AssertionError("type or lines are wrong")


def _check_bodies(part: Part, data: bytes) -> None:
    for located in body.iter_leaves(part):
        decoded = body.decoded(data, located)
        if len(decoded) != located.part.decoded_size:
            raise AssertionError("decoded size is wrong")
        if located.part.is_text and to_crlf(decoded) != decoded:
            raise AssertionError("text with bare LF")
        raw = section.source(data, located.within)
        raw = bytes(raw[located.part.body_offset : located.part.end_offset])
        if located.part.lines != raw.count(b"\n") + bool(raw and not raw.endswith(b"\n")):
            raise AssertionError("lines are wrong")
        body.filename(located.part)
    for path in ([], [1], [2], [1, 1], [1, 2], [2, 1], [1, 1, 1]):
        for place in (section.header_range, section.text_range, section.mime_range):
            found = place(part, path)
            if found is not None:
                section.read(data, found)
        if path and (section.resolve(part, path) is None) != (
            section.mime_range(part, path) is None
        ):
            raise AssertionError("a part without MIME header")


def _check_strict(part: Part, data: bytes) -> None:
    try:
        strict = mime.parse_strict(data)
    except (BadMessage, BadLine):
        return
    if strict != part:
        raise AssertionError("strict and lenient differ")
