"""What is made of a content once, at delivery, and kept beside it (``store.content.Kind``)."""

from mox.imap.structure import format_bodystructure, format_envelope
from mox.imapserver.textual import has_nul, textual
from mox.message.buffer import Buffer
from mox.message.envelope import Envelope
from mox.message.mime import encode_part, parse
from mox.message.preview import preview
from mox.store.content import Kind


def derive(content: Buffer) -> dict[int, bytes]:
    """ENVELOPE, BODYSTRUCTURE and BODY as IMAP sends them, the part tree, the preview.

    ENVELOPE_UTF8 is there only where decoding changes something, HAS_NUL only where there is one.
    Cost  the parse of the content: about 50 us for 5 KB; blocks.
    """
    tree = parse(content)
    shown = tree
    derived = {Kind.PART: encode_part(tree), Kind.PREVIEW: preview(tree, content).encode()}
    if has_nul(content):
        derived[Kind.HAS_NUL] = b"1"
        # Structure and sizes are those of what BODY[...] gives.
        shown = parse(textual(content, tree, None))
    envelope = shown.envelope or Envelope()
    plain = format_envelope(envelope, utf8=False)
    derived[Kind.ENVELOPE] = plain
    if b"=?" in plain or not plain.isascii():  # RFC 2047: else there is nothing to decode
        unicode = format_envelope(envelope, utf8=True)
        if unicode != plain:
            derived[Kind.ENVELOPE_UTF8] = unicode
    derived[Kind.BODYSTRUCTURE] = format_bodystructure(shown, extended=True, utf8=False)
    derived[Kind.BODY] = format_bodystructure(shown, extended=False, utf8=False)
    return derived
