"""What is made of a content once, at delivery, and kept beside it (``store.content.Kind``)."""

from mox.imap.structure import both_envelopes, both_structures
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
    plain, unicode = both_envelopes(envelope)
    derived[Kind.ENVELOPE] = plain
    if unicode != plain:
        derived[Kind.ENVELOPE_UTF8] = unicode
    derived[Kind.BODY], derived[Kind.BODYSTRUCTURE] = both_structures(shown, utf8=False)
    return derived
