"""The grammar of FETCH: items, sections, partials, modifiers.    RFC 9051 §6.4.5, §9; RFC 7162.

An item knows how its response names it (``label``), so that the answer repeats what was asked.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from mox.base import limits
from mox.imap import writer
from mox.imap.cursor import Cursor

_U32_MAX = 0xFFFFFFFF
_U63_MAX = (1 << 63) - 1


class FetchItem(msgspec.Struct, frozen=True):
    """An item without arguments; ``name`` is upper case."""

    name: bytes

    @property
    def label(self) -> bytes:
        """The item's name in the response."""
        return self.name


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between the brackets.    RFC 9051 §6.4.5.

    ``text`` is one of b"" (all of it), HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME;
    ``fields`` are the names as they were sent.
    """

    part: tuple[int, ...] = ()
    text: bytes = b""
    fields: tuple[bytes, ...] = ()

    @property
    def label(self) -> bytes:
        """The section as it is written, without brackets."""
        path = b".".join(b"%d" % number for number in self.part)
        label = path + b"." + self.text if path and self.text else path or self.text
        if self.fields:
            names = b" ".join(writer.astring(canonical_field(name)) for name in self.fields)
            label += b" (" + names + b")"
        return label


class Partial(msgspec.Struct, frozen=True):
    """``<first.count>``: octets from ``first`` (0-based) on, at most ``count``."""

    first: int
    count: int


class BodySection(msgspec.Struct, frozen=True, kw_only=True):
    """BODY[...] and BODY.PEEK[...]; ``peek``: does not set \\Seen."""

    section: Section
    peek: bool = False
    partial: Partial | None = None

    @property
    def label(self) -> bytes:
        """The item's name in the response, with the offset of a partial."""
        return b"BODY[" + self.section.label + b"]" + _origin(self.partial)


class BinarySection(msgspec.Struct, frozen=True, kw_only=True):
    """BINARY[part] and BINARY.PEEK[part].    RFC 3516 §4.2."""

    part: tuple[int, ...] = ()
    peek: bool = False
    partial: Partial | None = None

    @property
    def label(self) -> bytes:
        """The item's name in the response, with the offset of a partial."""
        return b"BINARY[" + Section(part=self.part).label + b"]" + _origin(self.partial)


class BinarySize(msgspec.Struct, frozen=True, kw_only=True):
    """BINARY.SIZE[part].    RFC 3516 §4.3."""

    part: tuple[int, ...] = ()

    @property
    def label(self) -> bytes:
        """The item's name in the response."""
        return b"BINARY.SIZE[" + Section(part=self.part).label + b"]"


AnyItem: TypeAlias = FetchItem | BodySection | BinarySection | BinarySize | msgspec.Struct
Extra: TypeAlias = Mapping[bytes, Callable[[Cursor], AnyItem]]


class FetchModifiers(msgspec.Struct, frozen=True, kw_only=True):
    """What follows the items.    RFC 7162 §3.1.4.1, §3.2.6."""

    changed_since: int | None = None
    vanished: bool = False


# RFC 3501 §6.4.5, RFC 9051 §6.4.5, RFC 7162 §3.1.4.2.
PLAIN: Final = frozenset(
    {
        b"BODY",
        b"BODYSTRUCTURE",
        b"ENVELOPE",
        b"FLAGS",
        b"INTERNALDATE",
        b"MODSEQ",
        b"RFC822",
        b"RFC822.HEADER",
        b"RFC822.SIZE",
        b"RFC822.TEXT",
        b"UID",
    }
)
_FAST = (FetchItem(b"FLAGS"), FetchItem(b"INTERNALDATE"), FetchItem(b"RFC822.SIZE"))
MACROS: Final[Mapping[bytes, tuple[AnyItem, ...]]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, FetchItem(b"ENVELOPE")),
    b"FULL": (*_FAST, FetchItem(b"ENVELOPE"), FetchItem(b"BODY")),
}
_SECTIONED: Final = {b"BODY", b"BODY.PEEK", b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"}

_PART = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*+")
_PARTIAL = re.compile(rb"<([0-9]{1,19})\.([1-9][0-9]{0,18})>")
_TEXTS = frozenset({b"", b"HEADER", b"HEADER.FIELDS", b"HEADER.FIELDS.NOT", b"TEXT", b"MIME"})
_FIELD_NAME = re.compile(rb"[!-9;-~]+")  # RFC 5322 §2.2 ftext


def canonical_field(name: bytes) -> bytes:
    """A field name as mail programs write it: ``Message-Id`` for ``MESSAGE-ID``."""
    if not _FIELD_NAME.fullmatch(name):
        return name
    return b"-".join(word.capitalize() for word in name.split(b"-"))


def _origin(partial: Partial | None) -> bytes:
    # RFC 9051 §7.5.2: the response has the origin octet only.
    return b"" if partial is None else b"<%d>" % partial.first


def items(cursor: Cursor, extra: Extra | None = None) -> tuple[AnyItem, ...]:
    """``"ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"``.

    Input   extra: items of extensions by name, called when the name is read.
    Errors  BadSyntax; also for a macro inside a list, and for too many items.
    """
    extra = extra or {}
    if cursor.at_open():
        found = tuple(cursor.list_of(lambda: fetch_att(cursor, extra)))
        if len(found) > limits.IMAP_FETCH_ITEMS:
            raise cursor.reject("too many FETCH items")
        return found
    macro = MACROS.get(cursor.peek_word())
    if macro is not None:
        cursor.word()
        return macro
    return (fetch_att(cursor, extra),)


def fetch_att(cursor: Cursor, extra: Extra) -> AnyItem:
    """One item."""
    word = cursor.word("a FETCH item")
    upper = word.upper()
    if upper in PLAIN:
        return FetchItem(upper)
    parse = extra.get(upper)
    if parse is not None:
        return parse(cursor)
    name, bracket, rest = upper.partition(b"[")
    if not bracket or name not in _SECTIONED:
        raise cursor.reject("unknown FETCH item")
    peek = name.endswith(b".PEEK")
    if name.startswith(b"BODY"):
        section, tail = _section(cursor, rest)
        return BodySection(section=section, peek=peek, partial=_partial(cursor, tail))
    part, tail = _section_binary(cursor, rest)
    if name == b"BINARY.SIZE":
        if tail:
            raise cursor.reject("no partial allowed")
        return BinarySize(part=part)
    return BinarySection(part=part, peek=peek, partial=_partial(cursor, tail))


def _part_numbers(cursor: Cursor, text: bytes) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in text.split(b"."))
    if len(numbers) > limits.IMAP_PARTS_NAMED or max(numbers) > _U32_MAX:
        raise cursor.reject("bad part number")
    return numbers


def _section_binary(cursor: Cursor, rest: bytes) -> tuple[tuple[int, ...], bytes]:
    """``[section-part] "]"`` and what follows it in the word."""
    inner, bracket, tail = rest.partition(b"]")
    if not bracket:
        raise cursor.reject("expected ]")
    if not inner:
        return (), tail
    if not _PART.fullmatch(inner):
        # RFC 3516 §4: section-binary has part numbers only.
        raise cursor.reject("bad part number")
    return _part_numbers(cursor, inner), tail


def _section(cursor: Cursor, rest: bytes) -> tuple[Section, bytes]:
    """``[section-spec] "]"`` and what follows it in its last word."""
    inner, bracket, tail = rest.partition(b"]")
    part: tuple[int, ...] = ()
    match = _PART.match(inner)
    if match is not None:
        part = _part_numbers(cursor, match[0])
        inner = inner[match.end() :]
        if inner:
            # section-part ["." section-text]
            if not inner.startswith(b".") or len(inner) == 1:
                raise cursor.reject("bad section")
            inner = inner[1:]
    if inner not in _TEXTS or (inner == b"MIME" and not part):
        # RFC 9051 §6.4.5: MIME is prefixed by part numbers.
        raise cursor.reject("bad section")
    if not inner.startswith(b"HEADER.FIELDS"):
        if not bracket:
            raise cursor.reject("expected ]")
        return Section(part=part, text=inner), tail
    if bracket:
        raise cursor.reject("expected a list of field names")
    cursor.space()
    fields = tuple(cursor.list_of(cursor.astring))
    word = cursor.word("]")
    if not word.startswith(b"]"):
        raise cursor.reject("expected ]")
    return Section(part=part, text=inner, fields=fields), word[1:]


def _partial(cursor: Cursor, tail: bytes) -> Partial | None:
    if not tail:
        return None
    match = _PARTIAL.fullmatch(tail)
    if match is None:
        raise cursor.reject("bad partial")
    first, count = int(match[1]), int(match[2])
    if first > _U63_MAX or count > _U63_MAX:
        raise cursor.reject("number too large")
    return Partial(first, count)


def modifiers(cursor: Cursor) -> FetchModifiers:
    """``[SP "(" fetch-modifier *(SP fetch-modifier) ")"]``, each once, in any order.

    Errors  BadSyntax; also for VANISHED without CHANGEDSINCE (RFC 7162 §3.2.6).  Whether VANISHED
            is allowed in this session is the command's to check.
    """
    changed_since: int | None = None
    vanished = False
    if not cursor.try_space():
        return FetchModifiers()

    def modifier() -> None:
        nonlocal changed_since, vanished
        name = cursor.name()
        if name == b"CHANGEDSINCE" and changed_since is None:
            cursor.space()
            # RFC 7162 §7 has a positive number; clients that know nothing yet send 0.
            changed_since = cursor.mod_sequence_valzer()
        elif name == b"VANISHED" and not vanished:
            vanished = True
        else:
            raise cursor.reject("unknown or repeated FETCH modifier")

    cursor.list_of(modifier)
    if vanished and changed_since is None:
        raise cursor.fail("CHANGEDSINCE with VANISHED")
    return FetchModifiers(changed_since=changed_since, vanished=vanished)
