"""How each FETCH item is answered: from the columns, from the cache, or from the content.

A new item is one line in one of the tables.    RFC 9051 §6.4.5, RFC 7162 §3.1.4.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from mox._speedups import FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_MODSEQ, FETCH_SIZE, FETCH_UID
from mox.imap.fetchitem import (
    AnyItem,
    BinarySection,
    BinarySize,
    BodySection,
    FetchItem,
    Partial,
    Section,
)
from mox.imapserver import sections
from mox.imapserver.contents import Opened, Value
from mox.store.content import Kind

COLUMN_ITEMS: Final[Mapping[bytes, int]] = {
    b"FLAGS": FETCH_FLAGS,
    b"INTERNALDATE": FETCH_INTERNALDATE,
    b"MODSEQ": FETCH_MODSEQ,
    b"RFC822.SIZE": FETCH_SIZE,
    b"UID": FETCH_UID,
}

# Kind, and the kind that a client with UTF-8 is given where there is one.
CACHED_ITEMS: Final[Mapping[bytes, tuple[int, int | None]]] = {
    b"BODY": (Kind.BODY, None),
    b"BODYSTRUCTURE": (Kind.BODYSTRUCTURE, None),
    b"ENVELOPE": (Kind.ENVELOPE, Kind.ENVELOPE_UTF8),
}


class ContentItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item made from the content, in a reader thread."""

    label: bytes
    produce: Callable[[Opened], Value]
    sets_seen: bool = False
    header_only: bool = False  # the top header is enough
    partial: Partial | None = None


_ALL = Section()
_Contents: TypeAlias = dict[tuple[bytes, Partial | None], ContentItem]
Maker: TypeAlias = Callable[[AnyItem], ContentItem]


def _body(label: bytes, section: Section, item: BodySection | None, *, peek: bool) -> ContentItem:
    partial = item.partial if item is not None else None

    def produce(opened: Opened) -> Value:
        if section == _ALL:
            return sections.whole(opened.shown).cut(partial)
        return sections.body(opened.shown, opened.shown_tree, section).cut(partial)

    return ContentItem(
        label=label,
        produce=produce,
        sets_seen=not peek,
        header_only=sections.header_only(section),
        partial=partial,
    )


def _body_section(item: AnyItem) -> ContentItem:
    assert isinstance(item, BodySection)
    return _body(item.label, item.section, item, peek=item.peek)


def _binary(item: AnyItem) -> ContentItem:
    assert isinstance(item, BinarySection)
    path, partial = item.part, item.partial

    def produce(opened: Opened) -> Value:
        return opened.decoded(path).cut(partial).noted()

    return ContentItem(label=item.label, produce=produce, sets_seen=not item.peek, partial=partial)


def _binary_size(item: AnyItem) -> ContentItem:
    assert isinstance(item, BinarySize)
    path = item.part

    def produce(opened: Opened) -> Value:
        return b"%d" % sections.binary_size(opened.content, opened.tree, path)

    return ContentItem(label=item.label, produce=produce)


# RFC 3501 §6.4.5: the three names from before there were sections; RFC822.HEADER is a peek.
CONTENT_ITEMS: Final[Mapping[bytes, ContentItem]] = {
    b"RFC822": _body(b"RFC822", Section(), None, peek=False),
    b"RFC822.HEADER": _body(b"RFC822.HEADER", Section(text=b"HEADER"), None, peek=True),
    b"RFC822.TEXT": _body(b"RFC822.TEXT", Section(text=b"TEXT"), None, peek=False),
}
SECTIONED_ITEMS: Final[Mapping[type, Maker]] = {
    BodySection: _body_section,
    BinarySection: _binary,
    BinarySize: _binary_size,
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a FETCH has to give of each message."""

    mask: int  # of the columns' formatter
    cached: tuple[tuple[bytes, int, int | None], ...] = ()  # label, kind, kind for UTF-8
    contents: tuple[ContentItem, ...] = ()

    @property
    def sets_seen(self) -> bool:
        """Some item sets \\Seen."""
        return any(item.sets_seen for item in self.contents)

    @property
    def header_only(self) -> bool:
        """Nothing but the top header has to be read."""
        return all(item.header_only for item in self.contents)


def plan(items: Sequence[AnyItem]) -> Plan:
    """Sort items by where they come from; each is answered once."""
    mask = FETCH_UID  # in every response, so that a client need not count
    cached: dict[bytes, tuple[bytes, int, int | None]] = {}
    contents: _Contents = {}
    for item in items:
        if not isinstance(item, FetchItem):
            made = SECTIONED_ITEMS[type(item)](item)
            _add(contents, made)
        elif item.name in COLUMN_ITEMS:
            mask |= COLUMN_ITEMS[item.name]
        elif item.name in CACHED_ITEMS:
            cached[item.name] = (item.name, *CACHED_ITEMS[item.name])
        else:
            _add(contents, CONTENT_ITEMS[item.name])
    return Plan(mask=mask, cached=tuple(cached.values()), contents=tuple(contents.values()))


def _add(contents: _Contents, made: ContentItem) -> None:
    """The same section as BODY and BODY.PEEK is one answer, which sets \\Seen.

    Partials that differ in length only have the same label, and are two.
    """
    key = made.label, made.partial
    if key not in contents or made.sets_seen:
        contents[key] = made
