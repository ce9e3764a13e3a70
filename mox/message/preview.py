"""The first words of a message.    RFC 8970.

A preview shows what is new: quoted text and the line that announces it become "[...]", signatures
go.  At most limits.PREVIEW_LENGTH characters; empty where a message has no text to show.
"""

from mox.base.limits import PREVIEW_LENGTH, PREVIEW_LINES, PREVIEW_SOURCE
from mox.message import body
from mox.message.buffer import Buffer
from mox.message.htmltext import html_to_text
from mox.message.part import Part
from mox.message.section import Located

_AHEAD = 10  # lines looked at to tell a signature
_NEXT = 2  # to tell an attribution
_WRAPPED = 4  # to tell one over two lines
_START = 2048  # bytes of a body looked at before all of it is
_FIRST_LINES = 20  # looked at before all of them are
_ENOUGH = 250  # bytes of text after which no more is taken
_SIGNATURE_LINES = 5  # a longer rest is no signature
_SNIP = "[...]"
_SNIPS = ("[...]", "[…]", "...")
_MARKS = frozenset(">-[.")  # what quotes, signatures and marks of a cut begin with


def preview(part: Part, content: Buffer) -> str:
    """The preview of a parsed message: short lines, each with its line end."""
    for leaf in _text_leaves(part):
        if leaf.media_subtype != b"HTML":
            start = body.start_of(content, leaf, _START)
            first = None if start is None else _preview_of(start, _FIRST_LINES, is_cut=True)
            if first:
                return first
        if leaf.body_size > PREVIEW_SOURCE:
            text = body.text_of(content, Located(leaf, ()), PREVIEW_SOURCE)
        else:
            text = body.text_of(content, Located(leaf, ()))
        if leaf.media_subtype == b"HTML":
            text = html_to_text(text)
        found = preview_text(text)
        if found:
            return found
    return ""


def _text_leaves(message: Part) -> list[Part]:
    """The parts whose text may be shown, in order; embedded messages are not looked into."""
    leaves: list[Part] = []
    stack = [message]
    while stack:
        part = stack.pop()
        if part.disposition is not None and part.disposition.value == b"attachment":
            continue
        if part.media_type == b"MULTIPART":
            if part.media_subtype == b"ENCRYPTED":
                continue
            # RFC 1847 §2.1: the first part of multipart/signed is what was signed
            shown = part.parts[:1] if part.media_subtype == b"SIGNED" else part.parts
            stack += reversed(shown)
        elif part.is_text and part.media_subtype in (b"PLAIN", b"HTML", b""):
            leaves.append(part)
    return leaves


def preview_text(text: str) -> str:
    """The preview of plain text."""
    found = _preview_of(text, _FIRST_LINES)
    return _preview_of(text, PREVIEW_LINES) or "" if found is None else found


def _preview_of(text: str, count: int, *, is_cut: bool = False) -> str | None:
    """The preview from so many lines; None where more of them, or of the text, could change it.

    Input   is_cut: whole lines, and there are more.
    """
    pieces = text.split("\n", count)
    is_all = not is_cut and (len(pieces) <= count or count == PREVIEW_LINES)
    if is_cut or len(pieces) > count:
        pieces.pop()  # nothing, or all that is left
    lines = [line.strip() for line in pieces]
    if not is_all and len(lines) < _WRAPPED:
        return None
    out = _Output()
    at = _wrapped_attribution(lines, out)
    while at < len(lines) and out.size <= _ENOUGH:
        line = lines[at]
        if line[:1] not in _MARKS and line[-1:] != ":":
            if line:
                out.append(line)
        elif not is_all and at + (_AHEAD if line[0] == "-" else _NEXT) >= len(lines):
            return None
        elif _is_signature(lines, at):
            break
        elif line[0] == ">" or _is_attribution(lines, at, out):
            out.snip()
        else:
            out.add(line)
        at += 1
    if not is_all and out.size <= _ENOUGH and at == len(lines):
        return None
    return "".join(out.lines)[:PREVIEW_LENGTH]


class _Output:
    """Lines of the preview."""

    __slots__ = ("lines", "size")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.size = 0  # bytes

    def _ends_in_snip(self) -> bool:
        return bool(self.lines) and self.lines[-1].rstrip("\n").endswith(_SNIPS)

    def snip(self) -> None:
        """Say that text was left out, once."""
        if not self._ends_in_snip():
            self.append(_SNIP)

    def add(self, line: str) -> None:
        """Take a line; the author's own mark of a cut is not repeated."""
        if not (line in _SNIPS and self._ends_in_snip()):
            self.append(line)

    def append(self, line: str) -> None:
        """Take a line that is no mark of a cut."""
        self.lines.append(line + "\n")
        size = len(line) if line.isascii() else len(line.encode("utf-8", "replace"))
        self.size += size + 1


def _announces_quote(lines: list[str], at: int) -> bool:
    """After this line, with one empty line between or none, something is quoted or cut."""
    after = at + 1
    if after < len(lines) and not lines[after]:
        after += 1
    return after < len(lines) and (lines[after].startswith(">") or lines[after] in _SNIPS)


def _wrapped_attribution(lines: list[str], out: _Output) -> int:
    """At the start, "On ... / ... wrote:" over two lines before a quote; where to go on."""
    if (
        len(lines) >= _WRAPPED
        and lines[0].startswith("On ")
        and not lines[0].endswith(":")
        and lines[1].endswith(":")
        and _announces_quote(lines, 1)
    ):
        out.snip()
        return 2
    return 0


def _is_attribution(lines: list[str], at: int, out: _Output) -> bool:
    """A line that says who wrote what is quoted next: with a date, or before any other text."""
    line = lines[at]
    if not line.endswith(":") or not _announces_quote(lines, at):
        return False
    return not out.lines or any(char in "0123456789" for char in line)


def _is_signature(lines: list[str], at: int) -> bool:
    """Only dashes, at least two, then a few lines without an empty one, then nothing."""
    line = lines[at]
    if not line.startswith("--") or line.strip("-"):
        return False
    rest = lines[at + 1 : at + 1 + _AHEAD]
    while rest and not rest[-1]:
        rest.pop()
    return len(rest) < _SIGNATURE_LINES and "" not in rest
