"""The grammar of SEARCH: a program of keys → a tree.    RFC 9051 §6.4.4, §9; RFC 7162 §3.1.5.

The tree holds what was asked, not how to find it.  Chains of OR and NOT and nested lists are read
without recursion and come out flat, so that its depth is bounded by IMAP_NESTING whatever is sent.
"""

import datetime
import enum
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from mox.base import flags as bits
from mox.base import limits
from mox.imap.cursor import Cursor
from mox.imap.seqset import SeqSet


class SearchKey(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all keys, those of extensions too."""


class All(SearchKey, frozen=True):
    """Every message."""


class And(SearchKey, frozen=True, kw_only=True):
    """All of the keys, two or more."""

    keys: tuple[SearchKey, ...]


class Or(SearchKey, frozen=True, kw_only=True):
    """Any of the keys, two or more."""

    keys: tuple[SearchKey, ...]


class Not(SearchKey, frozen=True, kw_only=True):
    """The messages that do not match; never directly a Not."""

    key: SearchKey


class Flags(SearchKey, frozen=True, kw_only=True):
    """System flags: all bits of ``present`` are set and none of ``absent``."""

    present: int = 0
    absent: int = 0


class Keyword(SearchKey, frozen=True, kw_only=True):
    """A keyword (lower case) is there, or is not."""

    name: str
    present: bool = True


class Recent(SearchKey, frozen=True, kw_only=True):
    """RECENT and OLD.    RFC 3501 §6.4.4."""

    present: bool = True


class Numbers(SearchKey, frozen=True, kw_only=True):
    """Sequence numbers, or UIDs for UID SEARCH's key UID."""

    numbers: SeqSet
    uid: bool = False


class Size(SearchKey, frozen=True, kw_only=True):
    """LARGER or SMALLER than so many octets, itself excluded."""

    size: int
    larger: bool


class DateField(enum.Enum):
    """Which date is compared."""

    RECEIVED = enum.auto()  # INTERNALDATE
    SENT = enum.auto()  # the Date field


class DateTest(enum.Enum):
    """How it is compared; the time of day does not count."""

    BEFORE = enum.auto()
    ON = enum.auto()
    SINCE = enum.auto()  # that day or later


class Date(SearchKey, frozen=True, kw_only=True):
    """BEFORE, ON, SINCE, SENTBEFORE, SENTON, SENTSINCE."""

    field: DateField
    test: DateTest
    day: datetime.date


class Header(SearchKey, frozen=True, kw_only=True):
    """A header field (lower case) contains the text; with an empty text it is there."""

    field: bytes
    text: str


class Body(SearchKey, frozen=True, kw_only=True):
    """The text of the body contains the text."""

    text: str


class Text(SearchKey, frozen=True, kw_only=True):
    """Header or body contains the text."""

    text: str


class ModSeq(SearchKey, frozen=True, kw_only=True):
    """Changed at this modseq or later.    RFC 7162 §3.1.5."""

    modseq: int


class Returns(msgspec.Struct, frozen=True, kw_only=True):
    """The RETURN options; ``given`` where there were any, ``()`` included.

    Source  RFC 4731 §3.1: no option means ALL; RFC 5182 §2.1: SAVE alone gives no data.
    """

    given: bool = False
    min: bool = False
    max: bool = False
    all: bool = False
    count: bool = False
    save: bool = False


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A whole search.

    ``charset`` is what the client named; where it is not ``supported`` the texts mean nothing and
    the answer is NO [BADCHARSET].  ``modseq`` says that a MODSEQ key occurs.
    """

    key: SearchKey
    charset: bytes | None = None
    supported: bool = True
    modseq: bool = False
    sequence_numbers: bool = False  # a key with sequence numbers occurs (UIDONLY forbids it)
    saved: bool = False  # "$" occurs


CHARSETS: Final = (b"US-ASCII", b"UTF-8")

Extra: TypeAlias = Mapping[bytes, Callable[[Cursor], SearchKey]]

# Keys without argument.
_PLAIN: Final[Mapping[bytes, SearchKey]] = {
    b"ALL": All(),
    b"ANSWERED": Flags(present=bits.ANSWERED),
    b"DELETED": Flags(present=bits.DELETED),
    b"DRAFT": Flags(present=bits.DRAFT),
    b"FLAGGED": Flags(present=bits.FLAGGED),
    b"SEEN": Flags(present=bits.SEEN),
    b"UNANSWERED": Flags(absent=bits.ANSWERED),
    b"UNDELETED": Flags(absent=bits.DELETED),
    b"UNDRAFT": Flags(absent=bits.DRAFT),
    b"UNFLAGGED": Flags(absent=bits.FLAGGED),
    b"UNSEEN": Flags(absent=bits.SEEN),
    # RFC 3501 §6.4.4: NEW is RECENT UNSEEN, OLD is NOT RECENT.
    b"NEW": And(keys=(Recent(), Flags(absent=bits.SEEN))),
    b"OLD": Recent(present=False),
    b"RECENT": Recent(),
}
_HEADERS: Final = frozenset({b"BCC", b"CC", b"FROM", b"SUBJECT", b"TO"})
_DATES: Final = {
    b"BEFORE": (DateField.RECEIVED, DateTest.BEFORE),
    b"ON": (DateField.RECEIVED, DateTest.ON),
    b"SINCE": (DateField.RECEIVED, DateTest.SINCE),
    b"SENTBEFORE": (DateField.SENT, DateTest.BEFORE),
    b"SENTON": (DateField.SENT, DateTest.ON),
    b"SENTSINCE": (DateField.SENT, DateTest.SINCE),
}


def returns(cursor: Cursor) -> Returns:
    """``[SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"]``.

    Reads nothing where no RETURN follows.    Errors: BadSyntax for an unknown option.
    """
    mark = cursor.mark()
    if not (cursor.try_space() and cursor.try_name(b"RETURN")):
        cursor.back(mark)
        return Returns()
    cursor.space()
    options = set(cursor.list_of(lambda: _return_option(cursor), empty=True))
    return Returns(
        given=True,
        min=b"MIN" in options,
        max=b"MAX" in options,
        # RFC 4731 §3.1: an empty list is ALL.
        all=b"ALL" in options or not options,
        count=b"COUNT" in options,
        save=b"SAVE" in options,
    )


def _return_option(cursor: Cursor) -> bytes:
    name = cursor.name()
    if name not in {b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE"}:
        raise cursor.reject("unknown RETURN option")
    return name


def program(cursor: Cursor, extra: Extra | None = None) -> Program:
    """``SP ["CHARSET" SP charset SP] search-key *(SP search-key)``, to the end of the command.

    Input   extra: keys of extensions by name, called when the name is read.
    Errors  BadSyntax.
    """
    cursor.space()
    charset: bytes | None = None
    if cursor.try_name(b"CHARSET"):
        cursor.space()
        charset = cursor.charset()
        cursor.space()
    reader = _Reader(cursor, charset, extra or {})
    key = reader.read()
    return Program(
        key=key,
        charset=charset,
        supported=reader.supported,
        modseq=reader.modseq,
        sequence_numbers=reader.sequence_numbers,
        saved=reader.saved,
    )


class _Kind(enum.Enum):
    TOP = enum.auto()
    LIST = enum.auto()
    OR = enum.auto()
    NOT = enum.auto()


class _Frame:
    """A key whose parts are still read.

    ``keys`` of a list inside a list are those of the outer one: ``(a (b c))`` is ``(a b c)``.
    """

    __slots__ = ("keys", "kind", "shared", "wanted")

    def __init__(self, kind: _Kind, keys: list[SearchKey] | None = None) -> None:
        self.kind = kind
        self.shared = keys is not None
        self.keys: list[SearchKey] = [] if keys is None else keys
        self.wanted = 2  # parts of an OR


class _Reader:
    """Reads keys with an explicit stack."""

    def __init__(self, cursor: Cursor, charset: bytes | None, extra: Extra) -> None:
        self._cursor = cursor
        self._extra = extra
        self._stack = [_Frame(_Kind.TOP)]
        # RFC 9051 §6.4.4: without CHARSET it is UTF-8; RFC 3501 has US-ASCII, which is part of it.
        self._ascii = charset == b"US-ASCII"
        self.supported = charset is None or charset in CHARSETS
        self.modseq = False
        self.sequence_numbers = False
        self.saved = False

    def read(self) -> SearchKey:
        """The whole program as one key."""
        while True:
            key = self._begin()
            if key is not None:
                found = self._reduce(key)
                if found is not None:
                    return found

    def _push(self, frame: _Frame) -> None:
        if len(self._stack) >= limits.IMAP_NESTING:
            raise self._cursor.reject("search keys nested too deep")
        self._stack.append(frame)

    def _begin(self) -> SearchKey | None:
        """Read a key, or the beginning of one that has parts."""
        cursor = self._cursor
        top = self._stack[-1]
        if cursor.try_open():
            merge = top.kind in (_Kind.LIST, _Kind.TOP)
            self._push(_Frame(_Kind.LIST, top.keys if merge else None))
            return None
        name = cursor.peek_word()
        if name == b"OR":
            cursor.word()
            cursor.space()
            # An OR that is a part of an OR adds one part: any tree of them is one flat OR.
            if top.kind is _Kind.OR:
                top.wanted += 1
            else:
                self._push(_Frame(_Kind.OR))
            return None
        if name == b"NOT":
            cursor.word()
            cursor.space()
            if top.kind is _Kind.NOT:
                self._stack.pop()
            else:
                self._push(_Frame(_Kind.NOT))
            return None
        return self._leaf(name)

    def _reduce(self, key: SearchKey | None) -> SearchKey | None:
        """Give a finished key to what it is a part of; the whole program when it is complete."""
        cursor = self._cursor
        while True:
            frame = self._stack[-1]
            if key is not None:
                frame.keys.append(key)
            if frame.kind is _Kind.NOT:
                self._stack.pop()
                key = _negate(frame.keys[0])
                continue
            if frame.kind is _Kind.OR:
                if len(frame.keys) < frame.wanted:
                    cursor.space()
                    return None
                self._stack.pop()
                key = Or(keys=tuple(frame.keys))
                continue
            if cursor.try_space():
                return None
            if frame.kind is _Kind.TOP:
                cursor.end()
                return _all_of(frame.keys)
            cursor.close()
            self._stack.pop()
            key = None if frame.shared else _all_of(frame.keys)

    def _leaf(self, name: bytes) -> SearchKey:
        cursor = self._cursor
        plain = _PLAIN.get(name)
        if plain is not None:
            cursor.word()
            return plain
        if name[:1] in b"0123456789*$" and name:
            numbers = self._numbers()
            self.sequence_numbers = self.sequence_numbers or bool(numbers.ranges)
            return Numbers(numbers=numbers)
        cursor.word("a search key")
        if name in _HEADERS:
            return Header(field=name.lower(), text=self._text())
        date = _DATES.get(name)
        if date is not None:
            cursor.space()
            return Date(field=date[0], test=date[1], day=cursor.date())
        return self._other(name)

    def _other(self, name: bytes) -> SearchKey:
        match name:
            case b"BODY":
                return Body(text=self._text())
            case b"TEXT":
                return Text(text=self._text())
            case b"HEADER":
                self._cursor.space()
                field = self._cursor.astring().lower()
                return Header(field=field, text=self._text())
            case b"LARGER" | b"SMALLER":
                self._cursor.space()
                return Size(size=self._cursor.number64(), larger=name == b"LARGER")
            case b"KEYWORD" | b"UNKEYWORD":
                return self._keyword(present=name == b"KEYWORD")
            case b"UID":
                self._cursor.space()
                return Numbers(numbers=self._numbers(), uid=True)
            case b"MODSEQ":
                return self._modseq()
        parse = self._extra.get(name)
        if parse is None:
            raise self._cursor.reject("unknown search key")
        return parse(self._cursor)

    def _numbers(self) -> SeqSet:
        numbers = self._cursor.sequence_set()
        self.saved = self.saved or numbers.saved
        return numbers

    def _text(self) -> str:
        """``SP astring`` in the search's charset."""
        self._cursor.space()
        raw = self._cursor.astring()
        if not self.supported:
            return raw.decode("latin-1")  # never looked at: the answer is BADCHARSET
        try:
            return raw.decode("ascii" if self._ascii else "utf-8")
        except UnicodeDecodeError as e:
            raise self._cursor.reject("text is not in the charset") from e

    def _keyword(self, *, present: bool) -> SearchKey:
        self._cursor.space()
        found = self._cursor.flag_keyword()
        if found.bits:
            return Flags(present=found.bits) if present else Flags(absent=found.bits)
        return Keyword(name=found.keywords[0], present=present)

    def _modseq(self) -> SearchKey:
        """``"MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer``."""
        cursor = self._cursor
        cursor.space()
        if cursor.at_string():
            # RFC 7162 §3.1.5: per-flag modseqs are optional; without them the whole message counts.
            if not cursor.quoted().lower().startswith(b"/flags/"):
                raise cursor.reject("unknown metadata entry")
            cursor.space()
            if cursor.name() not in {b"PRIV", b"SHARED", b"ALL"}:
                raise cursor.reject("unknown entry type")
            cursor.space()
        self.modseq = True
        return ModSeq(modseq=cursor.mod_sequence_valzer())


def _all_of(keys: list[SearchKey]) -> SearchKey:
    return keys[0] if len(keys) == 1 else And(keys=tuple(keys))


def _negate(key: SearchKey) -> SearchKey:
    return key.key if isinstance(key, Not) else Not(key=key)
