"""Address lists: parse leniently, format minimally.    RFC 5322 §3.4, §4.4; RFC 6532.

Laws
  Nothing that a list holds is lost without trace: an element that is no address comes out as one
  with an empty host, and the rest of the list is read.
  Every byte is looked at a bounded number of times, whatever the nesting of comments.
"""

import re
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import ADDRESS_TOKENS, ADDRESSES
from mox.message.header import unfold
from mox.message.quoting import ATEXT, is_closed, local_part, phrase, unquote


class BadAddress(Malformed):
    """No address list that has one reading only."""

    default = "malformed address"


class Address(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One element of an address list, values as they stood in the header (encoded words too).

    Source  RFC 9051 §7.5.2: a group begins with an element whose host is None and whose mailbox is
            the group's name, and ends with one where both are None.
    ``mailbox`` is the local part with quotes only where it needs them; the empty one is ``""``.
    ``host`` is empty, not None, where an element has no domain.
    """

    name: bytes | None = None  # display name, unquoted; a lone comment stands in for it
    adl: bytes | None = None  # the obsolete source route, "@a,@b"
    mailbox: bytes | None = None
    host: bytes | None = None

    @property
    def is_group_start(self) -> bool:
        """Opens a group; ``mailbox`` is its name."""
        return self.host is None and self.mailbox is not None

    @property
    def is_group_end(self) -> bool:
        """Closes a group."""
        return self.host is None and self.mailbox is None

    @property
    def spec(self) -> bytes:
        """local-part@domain; without "@" where there is no domain.  Empty for group marks."""
        if self.host is None:
            return b""
        return (self.mailbox or b"") + (b"@" + self.host if self.host else b"")


GROUP_END = Address()

_NO_WORDS = (b"<", b"@", b",", b":", b";", b")")
_ROUTE = re.compile(rb"@[^@,]+(?:,@[^@,]+)*")
_TIES = (b".", b",")  # RFC 5322 §4.4: a comma only inside a route

_Word: TypeAlias = tuple[str, bytes]  # kind of token, text

# The common forms, decided in one match: each class excludes what may follow it, and the
# repetitions are possessive, so that a failing match costs one pass over one element.
_PLAIN = re.compile(
    rb"[ \t]*+"
    rb"(?:(?:\"([^\"\\\r]*+)\"[ \t]*+|([" + ATEXT + rb". \t]*+))(<))?"
    rb"([" + ATEXT + rb"]++(?:\.[" + ATEXT + rb"]++)*+)"
    rb"@([A-Za-z0-9_\x80-\xff-]++(?:\.[A-Za-z0-9_\x80-\xff-]++)*+)"
    rb"(>)?[ \t]*+(,|\Z)"
)
_TOKEN = re.compile(
    rb"(?P<space>[ \t\r]++)"
    rb"|(?P<quoted>\"(?:[^\"\\]|\\.)*+\"?)"
    rb"|(?P<literal>\[[^\[\]\\,<>]*+\]?)"
    rb"|(?P<special>[<>@,:;.()])"
    rb"|(?P<atom>[^ \t\r\"\[<>@,:;.()]++)",
    re.DOTALL,
)
_COMMENT_STEP = re.compile(rb"[^()\\]++|\\.?|[()]", re.DOTALL)
_NO_ATOM = re.compile(rb"[\x00-\x1f\x7f\]\\]")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def parse(value: bytes) -> list[Address]:
    """The elements of one address field, groups with their marks; at most limits.ADDRESSES.

    Input   the raw value of a field, folded or not.
    Source  RFC 5322 §3.4 and, where the wild does otherwise, leniently.
    """
    return parse_both(value)[0]


def parse_strict(value: bytes) -> list[Address]:
    """The same where a decision rests on it: nothing is guessed.

    Errors  BadAddress where ``parse`` had to be lenient, or an element is no address.
    """
    found, is_strict = parse_both(value)
    if not is_strict:
        raise BadAddress
    return found


def parse_both(value: bytes) -> tuple[list[Address], bool]:
    """What ``parse`` gives, and whether ``parse_strict`` gives the same."""
    text = unfold(value)
    one = _only(text)
    if one is not None:
        return [one], True
    reader = _read(text)
    is_strict = not reader.is_faulty and all(
        address.host is None or address.host and address.mailbox for address in reader.out
    )
    return reader.out, is_strict


def _only(value: bytes) -> Address | None:
    """The address of a list that is one of the common form."""
    plain = _PLAIN.match(value)
    return _common(plain) if plain is not None and plain.end() == len(value) else None


def _common(plain: re.Match[bytes]) -> Address | None:
    """An address of the common form; None where only one of its angle brackets is there."""
    quoted, words, opening, mailbox, host, closing, _ = plain.groups()
    if (opening is None) != (closing is None):
        return None
    name = quoted if quoted is not None else words and b" ".join(words.split())
    return Address(name and name.strip(b" \t") or None, None, mailbox, host)


def _read(value: bytes, tokens: int = 0) -> "_Reader":
    """Read a list, of which so many tokens of its kind were read before."""
    reader = _Reader(value, tokens)
    pos, size, out = 0, len(value), reader.out
    while pos < size and len(out) < ADDRESSES and reader.tokens < ADDRESS_TOKENS:
        plain = _PLAIN.match(value, pos)
        common = None if plain is None else _common(plain)
        if plain is not None and common is not None:
            out.append(common)
            pos = plain.end()
        else:
            pos = reader.element(pos)
    if pos < size:
        reader.is_faulty = True
    if reader.in_group:
        reader.is_faulty = True
        if len(out) < ADDRESSES:
            out.append(GROUP_END)
    return reader


def parse_fields(values: Iterable[bytes]) -> tuple[Address, ...]:
    """The elements of all fields of one name together, at most limits.ADDRESSES of them."""
    found: list[Address] = []
    tokens = 0
    for value in values:
        text = unfold(value)
        one = _only(text) if tokens < ADDRESS_TOKENS else None
        if one is not None:
            found.append(one)
        else:
            reader = _read(text, tokens)
            tokens = reader.tokens
            found += reader.out
        if len(found) >= ADDRESSES:
            break
    return tuple(found[:ADDRESSES])


def mailboxes(addresses: Iterable[Address]) -> list[Address]:
    """The addresses without group marks."""
    return [address for address in addresses if address.host is not None]


def format_list(addresses: Iterable[Address]) -> bytes:
    """The elements as one line; names that are more than atoms are quoted.    RFC 5322 §3.4."""
    out: list[bytes] = []
    group: bytes | None = None
    members: list[bytes] = []
    for address in addresses:
        if address.is_group_start:
            group, members = address.mailbox or b"", []
        elif not address.is_group_end:
            (out if group is None else members).append(_format_one(address))
        elif group is not None:
            out.append((phrase(group) or b'""') + b": " + b", ".join(members) + b";")
            group = None
    return b", ".join(out)


def _format_one(address: Address) -> bytes:
    route = b"" if address.adl is None else address.adl + b":"
    if not address.name and not route:
        return address.spec
    return (phrase(address.name or b"") + b" <" + route + address.spec + b">").lstrip()


class _Reader:
    """Reads what _PLAIN does not, token by token, one element a call."""

    __slots__ = (
        "angle",
        "comments",
        "host",
        "in_group",
        "is_faulty",
        "out",
        "pos",
        "tokens",
        "value",
        "words",
    )

    def __init__(self, value: bytes, tokens: int) -> None:
        self.value = value
        self.out: list[Address] = []
        self.in_group = False
        self.is_faulty = False  # something had to be guessed
        self.tokens = tokens

    def element(self, pos: int) -> int:
        """Read one element and what ends it; returns the offset behind."""
        self.pos = pos
        self.words: list[_Word] = []  # before "@" or "<"
        self.comments: list[bytes] = []
        self.host: list[bytes] | None = None  # after "@"
        self.angle: _Angle | None = None
        value, size = self.value, len(self.value)
        while self.pos < size and self.tokens < ADDRESS_TOKENS:
            self.tokens += 1
            token = _TOKEN.match(value, self.pos)
            if token is None:  # a lone byte no token begins with
                self.is_faulty = True
                self._word("atom", value[self.pos : self.pos + 1])
                self.pos += 1
                continue
            self.pos = token.end()
            kind, text = token.lastgroup or "", token[0]
            if kind != "special":
                self._word(kind, text)
            elif text == b"(":
                self._comment()
            elif self._special(text):
                return self.pos
        self._finish()
        return self.pos

    def _word(self, kind: str, text: bytes) -> None:
        if kind != "space":
            self._check_word(kind, text)
        if self.angle is not None and self.angle.open:
            self.angle.word(kind, text)
        elif self.host is None:
            self.words.append((kind, text))
        elif kind != "space" and not _take_host(self.host, text):
            self.is_faulty = True

    def _check_word(self, kind: str, text: bytes) -> None:
        if self.angle is not None and not self.angle.open:
            self.is_faulty = True  # something behind ">"
        elif kind == "quoted":
            if not is_closed(text):
                self.is_faulty = True
        elif kind == "literal":
            if text[-1:] != b"]":
                self.is_faulty = True
        elif _NO_ATOM.search(text):
            self.is_faulty = True

    def _comment(self) -> None:
        """Skip to the end of a comment, keep its text.    RFC 5322 §3.2.2: comments nest."""
        depth, start, value = 1, self.pos, self.value
        while depth and self.tokens < ADDRESS_TOKENS:
            self.tokens += 1
            step = _COMMENT_STEP.match(value, self.pos)
            if step is None:
                break
            self.pos = step.end()
            depth += {b"(": 1, b")": -1}.get(step[0], 0)
        text = value[start : self.pos - 1] if depth == 0 else value[start:]
        self.is_faulty = self.is_faulty or depth > 0
        self.comments.append(b" ".join(_QUOTED_PAIR.sub(rb"\1", text).split()))
        self._word("space", b" ")

    def _special(self, text: bytes) -> bool:
        """Take one of ``<>@,:;.)``; True where the element ends here."""
        angle = self.angle
        if angle is not None and angle.open:
            if text == b">":
                angle.open = False
            else:
                angle.special(text)
            return False
        if text in b",;":
            self._finish()
            if text == b";":
                self._end_group()
            return True
        if text == b"<" and angle is None:
            self.angle = _Angle()
            return False
        if text == b":" and not self.in_group and self.host is None and angle is None:
            self._start_group()
            return True
        if text == b"@" and angle is None:
            self._move_host()
            self.host = []
            return False
        if text != b">":  # a stray one closes nothing
            self._word("atom", text)
        self.is_faulty = self.is_faulty or text != b"."
        return False

    def _move_host(self) -> None:
        """What was taken for the domain belongs to the left: the last "@" divides."""
        if self.host is not None:
            self.is_faulty = True
            self.words += [("atom", b"@"), *[("atom", part) for part in self.host]]

    def _start_group(self) -> None:
        self.in_group = True
        self._append(Address(None, None, _phrase(self.words), None))

    def _end_group(self) -> None:
        if self.in_group:
            self.in_group = False
            self._append(GROUP_END)
        else:
            self.is_faulty = True

    def _append(self, address: Address) -> None:
        if len(self.out) < ADDRESSES:
            self.out.append(address)
        else:
            self.is_faulty = True

    def _finish(self) -> None:
        """Append what was read, if it was anything.    RFC 5322 §4.4: empty elements may stand."""
        if self.angle is not None:
            self._move_host()  # the wild: a@b <c@d>, the first one is a name
            self._append(self.angle.address(_phrase(self.words) or None))
            self.is_faulty = self.is_faulty or self.angle.open or self.angle.is_faulty
        elif self.host is not None:
            left, local = _last_local(self.words)
            self.is_faulty = self.is_faulty or bool(left)
            name = _phrase(left) or self._comment_name()
            self._append(Address(name, None, _local(local), b"".join(self.host)))
        elif any(kind != "space" for kind, _ in self.words):
            self._append(Address(self._comment_name(), None, _phrase(self.words), b""))

    def _comment_name(self) -> bytes | None:
        """The last comment that says something: user@host (Full Name) is how it once was done."""
        return next((text for text in reversed(self.comments) if text), None)


class _Angle:
    """What stands between "<" and ">": an optional route, local part, domain."""

    __slots__ = ("host", "is_faulty", "open", "route", "words")

    def __init__(self) -> None:
        self.open = True
        self.is_faulty = False
        self.route: bytes | None = None
        self.words: list[_Word] = []
        self.host: list[bytes] | None = None

    def word(self, kind: str, text: bytes) -> None:
        """A word, a domain literal or space."""
        if self.host is None:
            self.words.append((kind, text))
        elif kind != "space" and not _take_host(self.host, text):
            self.is_faulty = True

    def special(self, text: bytes) -> None:
        """One of ``<@,:;.)``; the last "@" divides, what came before it belongs to the left."""
        if text == b"@":
            if self.host is not None:
                self.words += [("atom", b"@"), *[("atom", part) for part in self.host]]
            self.host = []
        elif text == b":" and self.host is not None and self._is_route():
            # RFC 5322 §4.4: obs-route = "@" domain *("," "@" domain) ":"
            left = b"".join(word for kind, word in self.words if kind != "space")
            self.route = left + b"@" + b"".join(self.host)
            self.is_faulty = self.is_faulty or not _ROUTE.fullmatch(self.route)
            self.words, self.host = [], None
        else:
            self.word("atom", text)

    def _is_route(self) -> bool:
        if self.route is not None:
            return False
        return next((word for kind, word in self.words if kind != "space"), b"@") == b"@"

    def address(self, name: bytes | None) -> Address:
        """The element that this makes; an empty ``<>`` is one without mailbox and host."""
        if self.host is None:
            return Address(name, self.route, _phrase(self.words), b"")
        texts = [*self.host, *[word for _, word in self.words]]
        if _last_local(self.words)[0] or any(text in _NO_WORDS for text in texts):
            self.is_faulty = True
        return Address(name, self.route, _local(self.words), b"".join(self.host))


def _take_host(host: list[bytes], text: bytes) -> bool:
    """Append to a domain; a word that no dot ties to it is none of it and is dropped."""
    if host and host[-1] != b"." and text not in _TIES:
        return False
    host.append(text)
    return True


def _phrase(words: list[_Word]) -> bytes:
    """A display name: words unquoted, runs of space as one.    RFC 5322 §3.2.5, obs-phrase."""
    out: list[bytes] = []
    for kind, text in words:
        if kind == "space":
            if out and out[-1] != b" ":
                out.append(b" ")
        elif kind == "quoted":
            out.append(unquote(text))
        else:
            out.append(text)
    return b"".join(out).strip(b" \t")


def _last_local(words: list[_Word]) -> tuple[list[_Word], list[_Word]]:
    """The words before a local part, and those of it: the last word with what dots tie to it."""
    start = len(words)
    tied = True  # to what follows: at the end, or a dot came, or no space
    for place in range(len(words) - 1, -1, -1):
        kind, text = words[place]
        if kind == "space":
            tied = tied and (start == len(words) or words[start][1] == b".")
            continue
        if not tied and text != b".":
            return words[:start], words[start:]
        start = place
        tied = True
    return [], words


def _local(words: list[_Word]) -> bytes:
    """The local part; space around its dots is obsolete and dropped.    RFC 5322 §4.4."""
    parts: list[bytes] = []
    quoted = spaced = False
    for kind, text in words:
        if kind == "space":
            spaced = True
            continue
        if spaced and parts and text != b"." and parts[-1] != b".":
            parts.append(b" ")
        spaced = False
        quoted = quoted or kind == "quoted"
        parts.append(unquote(text) if kind == "quoted" else text)
    text = b"".join(parts)
    return local_part(text) if text or quoted else b""
