"""ENVELOPE, BODY and BODYSTRUCTURE as IMAP lists.    RFC 9051 §7.5.2, RFC 3501 §7.4.2.

Values are those of the header, encoded words included; only a client that enabled UTF8=ACCEPT or
IMAP4rev2 (``utf8``) gets them decoded (RFC 6855 §3).
"""

from typing import Final, TypeAlias

from mox._speedups import quote_strings
from mox.message.address import Address
from mox.message.envelope import Envelope, decoded
from mox.message.parameters import Parameters
from mox.message.part import Part
from mox.message.quoting import unquote

_NIL: Final = b"NIL"
_EMPTY: Final = Envelope()
_GROUP_END: Final = b"(NIL NIL NIL NIL)"

_DEFAULT_CHARSET: Final = (b"charset", b"US-ASCII")
_PLAIN: Final = (b"TEXT", b"PLAIN")
_CHARSETS: Final = {b"charset", b"charset*"}

_Piece: TypeAlias = tuple[bytes, bytes] | Part
"""Text of both structures, and what follows it in BODYSTRUCTURE only; or a part that stands here."""
_END: Final = (b")", b"")


# Envelope


def format_envelope(envelope: Envelope, utf8: bool) -> bytes:
    """The list after ENVELOPE.

    Source  RFC 9051 §7.5.2: an absent Sender or Reply-To is shown as From; an absent header is NIL.
    """
    if utf8:
        envelope = decoded(envelope)
    from_ = _addresses(envelope.from_, utf8)
    return b"(%b %b %b %b %b %b %b %b)" % (
        quote_strings((envelope.date, envelope.subject), utf8),
        from_,
        _addresses(envelope.sender, utf8) if envelope.sender else from_,
        _addresses(envelope.reply_to, utf8) if envelope.reply_to else from_,
        _addresses(envelope.to, utf8),
        _addresses(envelope.cc, utf8),
        _addresses(envelope.bcc, utf8),
        quote_strings((envelope.in_reply_to, envelope.message_id), utf8),
    )


def both_envelopes(envelope: Envelope) -> tuple[bytes, bytes]:
    """``format_envelope`` for both kinds of clients: not ``utf8``, then ``utf8``."""
    plain = format_envelope(envelope, utf8=False)
    if plain.isascii() and b"=?" not in plain:
        return plain, plain  # nothing that could be decoded, nothing that would be a literal
    return plain, format_envelope(envelope, utf8=True)


def _addresses(addresses: tuple[Address, ...], utf8: bool) -> bytes:
    """``"(" 1*address ")" / nil``; no spaces between addresses."""
    if not addresses:
        return _NIL
    return b"(" + b"".join([_address(address, utf8) for address in addresses]) + b")"


def _address(address: Address, utf8: bool) -> bytes:
    host = address.host
    mailbox = address.mailbox or b""
    if host is not None:
        if mailbox.startswith(b'"'):
            # RFC 9051 §9 addr-mailbox: the local part after removing RFC 5322 quoting.
            mailbox = unquote(mailbox)
    elif address.is_group_end:
        return _GROUP_END
    # An element without a domain has an empty host: NIL begins a group.
    return b"(%b)" % quote_strings((address.name, address.adl, mailbox, host), utf8)


# Body structure


def format_body(part: Part, utf8: bool) -> bytes:
    """The list after BODY: without extension data."""
    return format_bodystructure(part, extended=False, utf8=utf8)


def format_bodystructure(part: Part, extended: bool, utf8: bool) -> bytes:
    """The list after BODYSTRUCTURE, or, not ``extended``, after BODY."""
    body, structure = both_structures(part, utf8)
    return structure if extended else body


def both_structures(part: Part, utf8: bool) -> tuple[bytes, bytes]:
    """The lists after BODY and after BODYSTRUCTURE.

    Cost    linear in the parts; no recursion, so that no nesting is too deep.
    """
    body: list[bytes] = []
    structure: list[bytes] = []
    stack: list[_Piece] = [part]
    while stack:
        piece = stack.pop()
        if isinstance(piece, Part):
            stack.extend(reversed(_pieces(piece, utf8)))
        else:
            body.append(piece[0])
            structure.append(piece[0] + piece[1])
    return b"".join(body), b"".join(structure)


def _pieces(part: Part, utf8: bool) -> list[_Piece]:
    """A part as bytes, with its children in their places."""
    if part.is_multipart:
        # RFC 9051 §9 body-type-mpart: 1*body without spaces between, SP media-subtype.
        subtype = b" " + quote_strings((part.media_subtype,), utf8)
        more = b" " + _parameters(part.params, utf8) + _extension(part, utf8)
        return [(b"(", b""), *part.parts, (subtype, more), _END]
    more = b" " + quote_strings((part.md5,), utf8) + _extension(part, utf8)
    fields = b"(" + _fields(part, utf8)
    if part.message is not None:
        # body-type-msg: envelope, body, lines.
        envelope = format_envelope(part.message.envelope or _EMPTY, utf8)
        return [
            (fields + b" " + envelope + b" ", b""), part.message, (b" %d" % part.lines, more), _END
        ]  # fmt: skip
    if part.is_text:
        fields += b" %d" % part.lines
    return [(fields, more), _END]


def _fields(part: Part, utf8: bool) -> bytes:
    """Media type and body-fields."""
    # RFC 2045 §5.2: text/plain where nothing is said.
    kind = (part.media_type, part.media_subtype) if part.media_type else _PLAIN
    params = part.params
    if kind == _PLAIN and _CHARSETS.isdisjoint([name for name, _ in params]):
        # RFC 2046 §4.1.2: the default of text/plain.
        params = (*params, _DEFAULT_CHARSET)
    # RFC 2045 §6.1: 7BIT is the default.
    about = (part.content_id, part.description, part.encoding or b"7BIT")
    return b"%b %b %b %d" % (
        quote_strings(kind, utf8),
        _parameters(params, utf8),
        quote_strings(about, utf8),
        part.body_size,
    )


def _parameters(params: Parameters, utf8: bool) -> bytes:
    """body-fld-param: pairs sorted by name, names in upper case; NIL for none."""
    if not params:
        return _NIL
    texts = [text for name, value in sorted(params) for text in (name.upper(), value)]
    return b"(%b)" % quote_strings(tuple(texts), utf8)


def _extension(part: Part, utf8: bool) -> bytes:
    """``SP body-fld-dsp SP body-fld-lang SP body-fld-loc``."""
    if part.disposition is None and part.location is None and not part.languages:
        return b" NIL NIL NIL"
    disposition = languages = _NIL
    if part.disposition is not None:
        disposition = b"(%b %b)" % (
            quote_strings((part.disposition.value,), utf8),
            _parameters(part.disposition.params, utf8),
        )
    if part.languages:
        languages = b"(%b)" % quote_strings(part.languages, utf8)
    return b" %b %b %b" % (disposition, languages, quote_strings((part.location,), utf8))
