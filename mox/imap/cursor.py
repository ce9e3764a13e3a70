"""Typed reads over the tokens of a command.    Methods are named after the grammar, RFC 9051 §9.

A method reads exactly what its rule says and raises BadSyntax where something else stands; spaces
are read with ``space``, exactly one.  ``try_…`` methods read something or leave all as it was.
"""

import datetime
from collections.abc import Callable
from typing import TypeVar

from mox.base import limits
from mox.imap import dates, flags, seqset
from mox.imap.characters import ASTRING, ATOM, BASE64, DIGITS, LIST_MAILBOX
from mox.imap.command import (
    CLOSE,
    END,
    ESCAPED,
    LITERAL,
    LITERAL8,
    OPEN,
    QUOTED,
    SPACE,
    WORD,
    Command,
    Literal,
)
from mox.imap.errors import BadSyntax
from mox.imap.flags import FlagSet
from mox.imap.seqset import SeqSet

T = TypeVar("T")

_U32_MAX = 0xFFFFFFFF
_U63_MAX = (1 << 63) - 1


class Cursor:
    """Reads the arguments of one command, from the space after its name on."""

    __slots__ = ("_at", "_kinds", "command")

    def __init__(self, command: Command) -> None:
        self.command = command
        self._kinds = command.kinds
        self._at = command.first

    # Position

    def mark(self) -> int:
        """Where we are, for ``back``."""
        return self._at

    def back(self, mark: int) -> None:
        """Return to a mark."""
        self._at = mark

    def fail(self, expected: str) -> BadSyntax:
        """The error "this was expected here", to be raised."""
        return self._error(f"expected {expected}")

    def _error(self, text: str, within: int = 0) -> BadSyntax:
        return BadSyntax(text, self.command.offset(self._at) + within)

    def at_end(self) -> bool:
        """Whether all that was received is read."""
        return self._kinds[self._at] == END

    def end(self) -> None:
        """Nothing may be left."""
        if self._kinds[self._at] != END:
            raise self._error("leftover data")

    # Spaces and lists

    def _punctuation(self, kind: int, name: str) -> None:
        if self._kinds[self._at] != kind:
            raise self.fail(name)
        self._at += 1

    def _try(self, kind: int) -> bool:
        if self._kinds[self._at] != kind:
            return False
        self._at += 1
        return True

    def space(self) -> None:
        """SP: exactly one."""
        self._punctuation(SPACE, "a space")

    def try_space(self) -> bool:
        """SP, or nothing."""
        return self._try(SPACE)

    def open(self) -> None:
        """An opening parenthesis."""
        self._punctuation(OPEN, "(")

    def try_open(self) -> bool:
        """An opening parenthesis, or nothing."""
        return self._try(OPEN)

    def close(self) -> None:
        """A closing parenthesis."""
        self._punctuation(CLOSE, ")")

    def try_close(self) -> bool:
        """A closing parenthesis, or nothing."""
        return self._try(CLOSE)

    def at_open(self) -> bool:
        """Whether a list begins here."""
        return self._kinds[self._at] == OPEN

    def at_space(self) -> bool:
        """Whether a space stands here."""
        return self._kinds[self._at] == SPACE

    def at_quoted(self) -> bool:
        """Whether a quoted string stands here."""
        return self._kinds[self._at] in (QUOTED, ESCAPED)

    def at_string(self) -> bool:
        """Whether a quoted string or a literal stands here."""
        return self._kinds[self._at] in (QUOTED, ESCAPED, LITERAL)

    def list_of(self, item: Callable[[], T], *, empty: bool = False) -> list[T]:
        """``"(" item *(SP item) ")"``; ``empty`` allows ``()``."""
        self.open()
        found: list[T] = []
        if empty and self.try_close():
            return found
        while True:
            found.append(item())
            if self.try_close():
                return found
            self.space()

    # Words

    def peek_word(self) -> bytes:
        """The word that stands here in upper case, b"" where none does; nothing is read."""
        if self._kinds[self._at] != WORD:
            return b""
        return self.command.slice(self._at).upper()

    def word(self, expected: str = "a word") -> bytes:
        """Everything up to a space, parenthesis, quote or brace, whatever its characters."""
        if self._kinds[self._at] != WORD:
            raise self.fail(expected)
        word = self.command.slice(self._at)
        self._at += 1
        return word

    def reject(self, text: str) -> BadSyntax:
        """An error about the token just read, to be raised."""
        self._at -= 1
        return self._error(text)

    def _word_of(self, allowed: bytes, expected: str) -> bytes:
        word = self.word(expected)
        wrong = word.translate(None, allowed)
        if wrong:
            self._at -= 1
            raise self._error(f"character not allowed in {expected}", word.index(wrong[:1]))
        return word

    def atom(self) -> bytes:
        """1*ATOM-CHAR."""
        return self._word_of(ATOM, "an atom")

    def name(self) -> bytes:
        """An atom that names something, in upper case."""
        return self.atom().upper()

    def try_name(self, name: bytes) -> bool:
        """The given word (upper case) in any case, or nothing."""
        if self.peek_word() != name:
            return False
        self._at += 1
        return True

    def base64(self) -> bytes:
        """Characters of base64, or the "=" of an empty initial response (RFC 4959 §3)."""
        return self._word_of(BASE64, "base64")

    # Strings

    def _string(self) -> bytes:
        at = self._at
        kind = self._kinds[at]
        if kind == LITERAL:
            data = self.command.literals[at].data
            if data is None:
                raise self._error("literal not allowed here")
            if b"\0" in data:
                # RFC 9051 §4.3: NUL only in a literal8.
                raise self._error("NUL in a literal")
            self._at += 1
            return data
        text = self.command.slice(at)[1:-1]
        if not text.isascii():
            _check_utf8(text, self)
        self._at += 1
        if kind == ESCAPED:
            # The tokenizer let pass no other escapes than these two.
            return text.replace(b'\\"', b'"') if b"\\\\" not in text else _unescape(text)
        return text

    def string(self) -> bytes:
        """Quoted string (in UTF-8: RFC 9051 §4.3) or literal (any octets but NUL)."""
        if not self.at_string():
            raise self.fail("a string")
        return self._string()

    def nstring(self) -> bytes | None:
        """A string, or None for NIL."""
        if self.at_string():
            return self._string()
        if self.peek_word() != b"NIL":
            raise self.fail("a string or NIL")
        self._at += 1
        return None

    def quoted(self) -> bytes:
        """A quoted string only."""
        if self._kinds[self._at] not in (QUOTED, ESCAPED):
            raise self.fail("a quoted string")
        return self._string()

    def astring(self) -> bytes:
        """1*ASTRING-CHAR or a string."""
        if self.at_string():
            return self._string()
        return self._word_of(ASTRING, "a string or atom")

    def charset(self) -> bytes:
        """An atom or a quoted string, in upper case; RFC 3501 has any astring."""
        return self.astring().upper()

    def mailbox(self) -> bytes:
        """A mailbox name as it was sent.    ``mailboxname.decode`` makes a name of it."""
        return self.astring()

    def list_mailbox(self) -> bytes:
        """A LIST pattern as it was sent: 1*list-char or a string."""
        if self.at_string():
            return self._string()
        return self._word_of(LIST_MAILBOX, "a mailbox pattern")

    def at_literal(self) -> bool:
        """Whether a literal or literal8 stands here."""
        return self._kinds[self._at] in (LITERAL, LITERAL8)

    def literal(self, *, binary: bool = True) -> Literal:
        """A literal, or literal8 where ``binary``; its data may still be on its way."""
        kind = self._kinds[self._at]
        if kind != LITERAL and not (binary and kind == LITERAL8):
            raise self.fail("a literal")
        self._at += 1
        return self.command.literals[self._at - 1]

    # Numbers

    def _number(self, low: int, high: int, expected: str) -> int:
        word = self.word(expected)
        # Digits are counted before they are multiplied.
        if word.translate(None, DIGITS) or (len(word) > 19 and len(word.lstrip(b"0")) > 19):
            raise self.reject(f"expected {expected}")
        # RFC 9051 §9: number = 1*DIGIT, nz-number begins with digit-nz.
        if low and word.startswith(b"0"):
            raise self.reject(f"expected {expected}")
        value = int(word.lstrip(b"0") or b"0")
        if value > high:
            raise self.reject("number too large")
        return value

    def number(self) -> int:
        """Unsigned 32 bits."""
        return self._number(0, _U32_MAX, "a number")

    def nz_number(self) -> int:
        """Unsigned 32 bits, not zero."""
        return self._number(1, _U32_MAX, "a positive number")

    def number64(self) -> int:
        """Unsigned 63 bits."""
        return self._number(0, _U63_MAX, "a number")

    def nz_number64(self) -> int:
        """Unsigned 63 bits, not zero."""
        return self._number(1, _U63_MAX, "a positive number")

    def mod_sequence_valzer(self) -> int:
        """A modseq or 0.    RFC 7162 §7."""
        return self.number64()

    def mod_sequence_value(self) -> int:
        """A modseq, at least 1.    RFC 7162 §7."""
        value = self.number64()
        if value == 0:
            raise self.reject("expected a positive number")
        return value

    def sequence_set(self, *, star: bool = True, saved: bool = True) -> SeqSet:
        """Numbers, ranges, "*" and "$".

        Input   star, saved: whether "*" and "$" may be there (RFC 7162 §7 known-uids: no).
        """
        word = self.word("a number set")
        try:
            found = seqset.parse(word)
        except ValueError as e:
            raise self.reject(str(e)) from e
        if (found.saved and not saved) or (not star and found.has_star):
            raise self.reject("* and $ are not allowed here")
        return found

    # Flags

    def _flag_name(self) -> bytes:
        return self.word("a flag")

    def _flags(self, names: list[bytes], mark: int) -> FlagSet:
        try:
            return flags.parse(names)
        except ValueError as e:
            self._at = mark
            raise self._error(str(e)) from e

    def flag_list(self) -> FlagSet:
        """``"(" [flag *(SP flag)] ")"``."""
        mark = self._at
        return self._flags(self.list_of(self._flag_name, empty=True), mark)

    def flags(self) -> FlagSet:
        """``flag-list / (flag *(SP flag))``, as STORE has them."""
        if self.at_open():
            return self.flag_list()
        mark = self._at
        names = [self._flag_name()]
        while self.try_space():
            names.append(self._flag_name())
        return self._flags(names, mark)

    def flag_keyword(self) -> FlagSet:
        """One keyword; ``$Junk`` and kin are bits."""
        mark = self._at
        return self._flags([self.atom()], mark)

    # Dates

    def date(self) -> datetime.date:
        """A day, with or without quotes."""
        mark = self._at
        text = self.quoted() if self._kinds[mark] == QUOTED else self.word("a date")
        try:
            return dates.parse_date(text)
        except ValueError as e:
            self._at = mark
            raise self._error(f"bad date: {e}") from e

    def date_time(self) -> tuple[int, int]:
        """A moment as milliseconds since 1970 in UTC, and its zone in minutes."""
        mark = self._at
        text = self.quoted()
        try:
            return dates.parse_date_time(text)
        except ValueError as e:
            self._at = mark
            raise self._error(f"bad date-time: {e}") from e

    # RFC 4466 and others

    def skip_value(self) -> None:
        """``tagged-ext-val`` of something unknown: a string, atom, number set or a list of them."""
        if not self.at_open():
            if self.at_string():
                self._string()
            else:
                self.word("a value")
            return
        depth = 0
        while True:
            if self.try_open():
                depth += 1
                continue
            if self.try_close():
                depth -= 1
                if depth == 0:
                    return
            elif self.at_string():
                self._string()
            else:
                self.word("a value")
            if self._kinds[self._at] != CLOSE:
                self.space()

    def id_params(self) -> dict[bytes, bytes | None] | None:
        """ID's list of pairs, keys in lower case, or None for NIL.    RFC 2971 §3.3."""
        if self.try_name(b"NIL"):
            return None
        pairs: dict[bytes, bytes | None] = {}
        self.open()
        # RFC 2971 §4: "(" #(string SPACE nstring) ")", so the list may be empty.
        while not self.try_close():
            if pairs:
                self.space()
            mark = self._at
            key = self.string().lower()
            self.space()
            value = self.nstring()
            # RFC 2971 §3.3: a field at most once; at most 30 pairs; 30 and 1024 octets.
            if key in pairs or len(pairs) >= limits.IMAP_ID_PAIRS:
                self._at = mark
                raise self._error("duplicate or too many fields")
            pairs[key] = value
        return pairs


def _check_utf8(text: bytes, cursor: Cursor) -> None:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as e:
        raise cursor.fail("UTF-8 in a quoted string") from e


def _unescape(text: bytes) -> bytes:
    """Undo ``\\\\`` and ``\\"``, left to right."""
    return b"\\".join(piece.replace(b'\\"', b'"') for piece in text.split(b"\\\\"))
