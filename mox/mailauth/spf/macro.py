"""Macro strings: parse, expand.

Source  RFC 7208 §7; RFC 8616 §4 (local parts that are not ASCII).
Laws    what parses is expanded without error, whatever the sender wrote, up to a length; the text
        of what parses is kept as it was.
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import quote

import msgspec

from mox.base.limits import DNS_NAME, SPF_EXPANDED
from mox.dns.name import BadName, IPAddress, check_name
from mox.mailauth.spf.errors import RecordError

_LETTERS: Final = frozenset("slodipvh")  # RFC 7208 §7.2
_EXPLAIN_LETTERS: Final = _LETTERS | frozenset("crt")  # "allowed only in exp text"
_ESCAPES: Final = {"%": "%", "_": " ", "-": "%20"}  # RFC 7208 §7.1
# macro-literal = %x21-24 / %x26-7E; a space is allowed in an explanation only.
_LITERAL: Final = re.compile(r"[\x21-\x24\x26-\x7e]+")
_EXPLAIN_LITERAL: Final = re.compile(r"[\x20-\x24\x26-\x7e]+")
# "%{" macro-letter transformers *delimiter "}", in either case (RFC 5234 §2.3)
_EXPAND: Final = re.compile(r"%\{([A-Za-z])([0-9]*)([rR]?)([.\-+,/_=]*)\}")
_DIGITS: Final = 4  # RFC 7208 §7.3: at least 127 is supported; no value has so many parts
_TOPLABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


class Expand(msgspec.Struct, frozen=True):
    """``%{...}``: which value, and how it is transformed."""

    letter: str  # lower case
    parts: int  # right-hand parts that are used; 0: all
    is_reversed: bool
    delimiters: str  # empty: "."
    is_escaped: bool  # the letter was in upper case


class MacroString(msgspec.Struct, frozen=True):
    """A parsed macro string: literal text and macros in turn."""

    text: str  # as written
    parts: tuple[str | Expand, ...]

    def __str__(self) -> str:
        return self.text

    def uses(self, letters: str) -> bool:
        """Whether one of the macro letters occurs."""
        return any(isinstance(part, Expand) and part.letter in letters for part in self.parts)


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What the macro letters stand for.    RFC 7208 §7.2."""

    localpart: str
    sender_domain: str
    domain: str  # of the record being evaluated
    ip: IPAddress  # never an IPv4-mapped one
    helo: str
    validated: str = "unknown"  # the name of the address, for "p"
    receiver: str = "unknown"
    now_s: int = 0  # seconds since 1970-01-01 UTC

    def of(self, letter: str) -> str:
        """The value of a macro letter in lower case."""
        return _VALUES[letter](self)


def _dotted(values: Values) -> str:
    # RFC 7208 §7.3: IPv6 addresses in a dot-format, for use in %{ir}.
    return ".".join(values.ip.packed.hex()) if values.ip.version == 6 else str(values.ip)


_VALUES: Final[dict[str, Callable[[Values], str]]] = {
    "s": lambda v: f"{v.localpart}@{v.sender_domain}",
    "l": lambda v: v.localpart,
    "o": lambda v: v.sender_domain,
    "d": lambda v: v.domain,
    "i": _dotted,
    "p": lambda v: v.validated,
    "v": lambda v: "in-addr" if v.ip.version == 4 else "ip6",
    "h": lambda v: v.helo,
    "c": lambda v: str(v.ip),
    "r": lambda v: v.receiver,
    "t": lambda v: str(v.now_s),
}

Part: TypeAlias = str | Expand


def parse_macro_string(text: str) -> MacroString:
    """The value of an unknown modifier.    Errors: RecordError."""
    return _parse(text, _LITERAL, _LETTERS)[0]


def parse_explanation(text: str) -> MacroString:
    """The text a domain gives for a refusal: spaces and the letters c, r, t too.

    Errors  RecordError.
    """
    return _parse(text, _EXPLAIN_LITERAL, _EXPLAIN_LETTERS)[0]


def parse_domain_spec(text: str) -> MacroString:
    """A target name: it ends in a macro or in a top label behind a dot.    Errors: RecordError."""
    found, is_macro_last = _parse(text, _LITERAL, _LETTERS)
    if not found.parts:
        raise RecordError("empty domain in spf record")
    last = found.parts[-1]
    if isinstance(last, Expand) or is_macro_last:
        return found
    # domain-end = ( "." toplabel [ "." ] ) / macro-expand
    _, dot, label = last.removesuffix(".").rpartition(".")
    if not dot or not _TOPLABEL.fullmatch(label) or label.isdigit():
        raise RecordError("domain in spf record does not end in a top-level label")
    return found


def _parse(
    text: str, literal: re.Pattern[str], letters: frozenset[str]
) -> tuple[MacroString, bool]:
    """The parts, and whether the last of the text is a macro-expand, which %% and the like are too."""
    is_macro = False
    parts: list[Part] = []
    run: list[str] = []  # literal text since the last macro
    pos = 0
    while pos < len(text):
        is_macro = text[pos] == "%"
        if not is_macro:
            found = literal.match(text, pos)
            if found is None:
                raise RecordError("invalid character in spf record")
            run.append(found[0])
            pos = found.end()
        elif text[pos + 1 : pos + 2] in _ESCAPES:
            run.append(_ESCAPES[text[pos + 1]])
            pos += 2
        else:
            found = _EXPAND.match(text, pos)
            if found is None:
                raise RecordError("invalid macro in spf record")
            if run:
                parts.append("".join(run))
                run.clear()
            parts.append(_expand(found, letters))
            pos = found.end()
    if run:
        parts.append("".join(run))
    return MacroString(text, tuple(parts)), is_macro


def _expand(found: re.Match[str], letters: frozenset[str]) -> Expand:
    letter, digits, reverse, delimiters = found.groups()
    if letter.lower() not in letters:
        raise RecordError("unknown macro in spf record")
    significant = digits.lstrip("0")
    if digits and not significant:  # RFC 7208 §7.3: "the value MUST be nonzero"
        raise RecordError("macro in spf record uses zero parts")
    if len(significant) > _DIGITS:
        raise RecordError("macro in spf record uses too many parts")
    return Expand(
        letter.lower(), int(significant or 0), bool(reverse), delimiters, letter.isupper()
    )


def expand(macro: MacroString, values: Values) -> str:
    """The text with its macros replaced.    Errors: RecordError where it gets too long."""
    out: list[str] = []
    length = 0
    for part in macro.parts:
        text = part if isinstance(part, str) else _replace(part, values)
        length += len(text)
        if length > SPF_EXPANDED:
            raise RecordError("macro expansion in spf record too long")
        out.append(text)
    return "".join(out)


def _replace(macro: Expand, values: Values) -> str:
    text = values.of(macro.letter)
    if macro.parts or macro.is_reversed or macro.delimiters:
        pieces = re.split(f"[{re.escape(macro.delimiters or '.')}]", text)
        if macro.is_reversed:
            pieces.reverse()
        text = ".".join(pieces[-macro.parts :])  # all of them for 0
    if macro.is_escaped:
        # RFC 7208 §7.3: all but the "unreserved" set of RFC 3986, which quote() leaves alone.
        text = quote(text, safe="", errors="replace")
    return text


def target_name(expanded: str) -> str | None:
    """An expansion as a name to look up; None where it cannot be one.

    A name that is too long loses labels at its left (RFC 7208 §7.3).  What then has an empty or
    overlong label, or is not ASCII, names nothing.
    """
    name = expanded.removesuffix(".")  # RFC 7208 §7.3: trailing dots MUST be accepted
    if len(name) > DNS_NAME:
        # The dot before the kept part may be the first character that does not fit.
        name = name[-DNS_NAME - 1 :].partition(".")[2]
    try:
        return name if check_name(name) and not name.endswith(".") else None
    except BadName:
        return None
