"""Authentication-Results: what was found out about a message's origin.    RFC 8601.

Writing is strict and safe whatever the values hold; reading is for display and takes what the
wild writes: a ";" at the end, "_" in words, unquoted values with odd characters.
"""

import re

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import AUTHRES_FIELD, AUTHRES_METHODS, AUTHRES_PROPERTIES, AUTHRES_TEXT
from mox.message.header import unfold
from mox.message.headerwriter import HeaderWriter


class BadAuthResults(Malformed):
    """No Authentication-Results field."""

    default = "malformed Authentication-Results"


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """``type.name=value``: what of the message was looked at.    RFC 8601 §2.3."""

    type: str  # "smtp", "header", "body", "policy"
    name: str
    value: str
    comment: str = ""
    is_address: bool = False  # the value may be written with an unquoted "@"


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One result of one method.    RFC 8601 §2.7."""

    method: str  # "dkim"
    result: str  # "pass"
    version: int = 1
    comment: str = ""  # written only where a reason or property follows
    reason: str = ""
    properties: tuple[Property, ...] = ()

    def value(self, type_: str, name: str) -> str | None:
        """The value of a property, or None."""
        return next((p.value for p in self.properties if (p.type, p.name) == (type_, name)), None)


class AuthResults(msgspec.Struct, frozen=True, kw_only=True):
    """A whole field."""

    host: str  # authserv-id: who checked
    comment: str = ""  # before the host
    version: int = 1
    methods: tuple[Method, ...] = ()


# --- writing

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_TOKEN = re.compile(r"[\s()<>,;:\\\"/\[\]?=]")  # "@" is looked at apart
_PLAIN = re.compile(rf"[A-Za-z0-9._+-]{{1,{AUTHRES_TEXT}}}+")
_TEXT_OCTETS = 700  # quoted and beside two words that stays a line of RFC 5322 §2.1.1
_WORD_LENGTH = 64  # characters; registered words have under twenty
_WORD_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def format_field(results: AuthResults, name: str = "Authentication-Results") -> bytes:
    """The field, each method on a line of its own, with its line end.

    Source  RFC 8601 §2.2; without methods it says ``none``.
    """
    out = HeaderWriter(name + ":")
    if results.comment:
        out.add(_comment(results.comment))
    out.add(_value(results.host, is_address=False))
    if results.version != 1:
        out.add(str(results.version))
    out.end_token(";")
    if not results.methods:
        out.add("none")
        return out.finish()
    text = out.finish()
    last = len(results.methods) - 1
    for index, method in enumerate(results.methods):
        text += _format_method(method, "" if index == last else ";")
    return text


def _format_method(method: Method, end: str) -> bytes:
    version = "" if method.version == 1 else f"/{method.version}"
    tokens = []
    if method.comment and (method.reason or method.properties):
        tokens.append(_comment(method.comment))
    if method.reason:
        tokens.append("reason=" + _value(method.reason, is_address=False))
    for one in method.properties:
        value = _value(one.value, is_address=one.is_address)
        tokens.append(f"{_word(one.type)}.{_word(one.name)}={value}")
        if one.comment:
            tokens.append(_comment(one.comment))
    out = HeaderWriter(f"\t{_word(method.method)}{version}={_word(method.result)}")
    out.add(*tokens)
    out.end_token(end)
    return out.finish()


def _clean(text: str) -> str:
    """One line of bounded length: strangers choose many of these values."""
    if text.isascii() and text.isprintable() and len(text) <= AUTHRES_TEXT:
        return text  # nearly all are so
    octets = _CONTROL.sub("?", text[:AUTHRES_TEXT]).encode()
    return octets[:_TEXT_OCTETS].decode(errors="ignore")


def _word(text: str) -> str:
    if text.isascii() and text.isalpha() and len(text) <= _WORD_LENGTH:
        return text  # nearly all are so
    return _WORD_UNSAFE.sub("-", text[:_WORD_LENGTH]) or "-"


def _value(text: str, *, is_address: bool) -> str:
    if _PLAIN.fullmatch(text):
        return text  # nearly all are so
    text = _clean(text)
    if text and not _NOT_TOKEN.search(text) and (is_address or "@" not in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(text: str) -> str:
    text = _clean(text).replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"({text})"


# --- reading

_SPACE = re.compile(r"[ \t\r\n]*+")
_COMMENT_STEP = re.compile(r"[^()\\]++|\\.?|[()]", re.DOTALL)
_KEYWORD = re.compile(r"[A-Za-z0-9_-]++")
_DIGITS = re.compile(r"[0-9]{1,9}+")
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_ATOM = re.compile(r'[^\s;()"]++')
_HOST = re.compile(r'[^\s;()"=]++')
_PAIR = re.compile(r"\\(.)", re.DOTALL)


def parse(value: bytes) -> AuthResults:
    """A field from its raw value, folded or not.

    Errors  BadAuthResults.  Invalid UTF-8 is replaced.
    """
    if len(value) > AUTHRES_FIELD:
        raise BadAuthResults("Authentication-Results too long")
    reader = _Reader(unfold(value).decode(errors="replace"))
    comment = reader.cfws()
    host = reader.value(_HOST)
    reader.cfws()
    version = reader.number()
    reader.cfws()
    reader.expect(";")
    return AuthResults(
        host=host,
        comment=comment,
        version=1 if version is None else version,
        methods=_methods(reader),
    )


def claimed_host(value: bytes) -> str | None:
    """Who a field says has checked, in lower case; readable where the rest is not.

    None where even that cannot be read.  A receiver removes fields that claim its own name before
    it adds one (RFC 8601 §5): a stranger wrote them.
    """
    reader = _Reader(unfold(value[:AUTHRES_FIELD]).decode(errors="replace"))
    try:
        reader.cfws()
        return reader.value(_HOST).lower()
    except BadAuthResults:
        return None


def _methods(reader: "_Reader") -> tuple[Method, ...]:
    methods: list[Method] = []
    reader.cfws()
    while not reader.at_end():
        if len(methods) == AUTHRES_METHODS:
            raise BadAuthResults("too many results")
        word = reader.keyword()
        reader.cfws()
        if not methods and word.lower() == "none" and not reader.peek("=", "/"):
            if reader.peek(";"):
                reader.expect(";")
                reader.cfws()
            if not reader.at_end():
                raise BadAuthResults("none beside results")  # RFC 8601 §2.2
            return ()
        methods.append(_method(reader, word.lower()))
        if reader.at_end():
            break
        reader.expect(";")
        reader.cfws()
    return tuple(methods)


def _method(reader: "_Reader", word: str) -> Method:
    """``word`` is read: what follows it, up to the next ";"."""
    version: int | None = None
    if reader.peek("/"):
        reader.expect("/")
        reader.cfws()
        version = reader.number()
        if version is None:
            raise BadAuthResults
        reader.cfws()
    reader.expect("=")
    reader.cfws()
    result = reader.keyword().lower()
    comment = reader.cfws()
    reason = ""
    properties: list[Property] = []
    while not reader.at_end() and not reader.peek(";"):
        if len(properties) == AUTHRES_PROPERTIES:
            raise BadAuthResults("too many properties")
        kind = reader.keyword().lower()
        reader.cfws()
        if kind == "reason" and reader.peek("="):
            reader.expect("=")
            reader.cfws()
            reason = reader.value(_ATOM)
            comment = reader.cfws() or comment
        else:
            properties.append(_property(reader, kind))
    return Method(
        method=word,
        result=result,
        version=1 if version is None else version,
        comment=comment,
        reason=reason,
        properties=tuple(properties),
    )


def _property(reader: "_Reader", kind: str) -> Property:
    reader.expect(".")
    reader.cfws()
    name = reader.keyword().lower()
    reader.cfws()
    reader.expect("=")
    reader.cfws()
    value = reader.value(_ATOM)
    is_address = reader.peek("@")
    if is_address:  # a quoted local part
        value += reader.value(_ATOM)
    else:
        is_address = "@" in value and not reader.was_quoted
    return Property(type=kind, name=name, value=value, comment=reader.cfws(), is_address=is_address)


class _Reader:
    """A position in the unfolded value; each method takes what it is named for."""

    __slots__ = ("_pos", "_text", "was_quoted")

    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0
        self.was_quoted = False  # of the value read last

    def at_end(self) -> bool:
        return self._pos == len(self._text)

    def peek(self, *characters: str) -> bool:
        return self._text.startswith(characters, self._pos)

    def expect(self, character: str) -> None:
        if not self.peek(character):
            raise BadAuthResults
        self._pos += 1

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._pos)
        if found is not None:
            self._pos = found.end()
        return found

    def cfws(self) -> str:
        """White space and comments; the text of the first comment."""
        first = ""
        self._take(_SPACE)
        while self.peek("("):
            text = self._comment()
            first = first or text
            self._take(_SPACE)
        return first

    def _comment(self) -> str:
        start, depth = self._pos + 1, 0
        while True:
            step = self._take(_COMMENT_STEP)
            if step is None:
                raise BadAuthResults("comment without end")
            depth += {"(": 1, ")": -1}.get(step[0], 0)
            if depth == 0:
                return _PAIR.sub(r"\1", self._text[start : self._pos - 1])

    def keyword(self) -> str:
        found = self._take(_KEYWORD)
        if found is None:
            raise BadAuthResults
        return found[0]

    def number(self) -> int | None:
        found = self._take(_DIGITS)
        return None if found is None else int(found[0])

    def value(self, unquoted: re.Pattern[str]) -> str:
        quoted = self._take(_QUOTED)
        self.was_quoted = quoted is not None
        if quoted is not None:
            return _PAIR.sub(r"\1", quoted[1])
        found = self._take(unquoted)
        if found is None:
            raise BadAuthResults
        return found[0]
