"""HTML to plain text, good enough for a preview and for search.

Not a parser of HTML: tags, comments, entities.  It never fails and passes over the text once; what
an unclosed tag or comment begins is dropped.
"""

import re
from html import unescape

from mox.base.limits import PREVIEW_HTML_TEXT

_IGNORED = frozenset({"dialog", "head", "map", "math", "script", "style", "svg", "template"})
_RAW = frozenset({"script", "style"})  # HTML §13.1.2: no tags inside
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "cite",
        "code",
        "data",
        "dfn",
        "em",
        "i",
        "kbd",
        "mark",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "time",
        "u",
        "var",
        "wbr",
        "del",
        "ins",
    ]
)
_VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
_TAG = re.compile(
    r"<(?:(?P<comment>!--)|(?P<decl>[!?])"
    r"|(?P<end>/)?(?P<name>[a-zA-Z][^\s/>]*+)(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>)"
)
_SPACE = re.compile(r"[ \t]+")
_ANY_SPACE = re.compile(r"[ \t\r\n\f]+")
_NEWLINES = re.compile(r"\n(?: ?\n){2,}")
# What newsletters stuff behind their own preview text, so that nothing else is shown.
_INVISIBLE = re.compile("[\u00a0\u200b-\u200d]{2,}")
_FAILURES = 100  # malformed tags, each of which may cost a look at the whole text


def html_to_text(html: str, max_bytes: int = PREVIEW_HTML_TEXT) -> str:
    """The text a reader would see, block elements on lines of their own; about max_bytes of it."""
    walk = _Walk(max_bytes)
    pos = failures = 0
    while not walk.full:
        start = html.find("<", pos)
        if start < 0:
            walk.text(html[pos:])
            break
        walk.text(html[pos:start])
        tag = _TAG.match(html, start)
        if tag is None:
            after = html[start + 1 : start + 2]
            if not (after == "/" or after.isascii() and after.isalpha()):
                walk.text("<")
                pos = start + 1
                continue
            failures += 1
            end = html.find(">", start)
            if end < 0 or failures > _FAILURES:
                break  # a tag without end: so is everything behind it
            pos = end + 1  # a stray quote: the tag, whatever it was, is over here
            continue
        pos = _behind(html, tag, walk)
    return _tidy("".join(walk.out))


def _behind(html: str, tag: re.Match[str], walk: "_Walk") -> int:
    """Do what a tag says; where to go on."""
    if tag["comment"] or tag["decl"]:
        mark = "-->" if tag["comment"] else ">"
        end = html.find(mark, tag.start() + 2)
        return len(html) if end < 0 else end + len(mark)
    name = tag["name"].lower()
    if tag["end"]:
        walk.end(name)
        return tag.end()
    walk.start(name, is_empty=html[tag.end() - 2] == "/")
    if name in _RAW:
        close = re.compile(rf"</{name}", re.IGNORECASE).search(html, tag.end())
        return len(html) if close is None else close.start()
    return tag.end()


def _tidy(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    text = _SPACE.sub(" ", text)
    return _NEWLINES.sub("\n", text)


class _Walk:
    """Text so far, and which elements are open."""

    __slots__ = ("ignored", "ignored_name", "max_bytes", "out", "quotes", "size")

    def __init__(self, max_bytes: int) -> None:
        self.out: list[str] = []
        self.size = 0
        self.max_bytes = max_bytes
        self.ignored_name = ""  # the element that is left out, and how often it is open
        self.ignored = 0
        self.quotes = 0  # open blockquotes

    @property
    def full(self) -> bool:
        """Enough text."""
        return self.size > self.max_bytes

    def text(self, raw: str) -> None:
        """Text between tags."""
        if self.ignored or not raw:
            return
        plain = _ANY_SPACE.sub(" ", unescape(raw[: 2 * self.max_bytes]))
        if not self._at_line_start():
            self._append(plain)
        elif plain.strip(" "):
            self._append("> " * self.quotes + plain.lstrip(" "))

    def start(self, name: str, *, is_empty: bool) -> None:
        """A start tag."""
        if self.ignored:
            if name == self.ignored_name and not is_empty:
                self.ignored += 1
            if name == "body" and self.ignored_name == "head":
                self.ignored = 0  # HTML §13.1.2.4: </head> may be left out
            return
        if name in _IGNORED:
            if not is_empty:
                self.ignored_name, self.ignored = name, 1
            return
        if name == "br":
            self._append("\n")
        elif name not in _INLINE and name not in _VOID:
            self._begin_block(name)
        if name == "blockquote":
            self.quotes += 1

    def end(self, name: str) -> None:
        """An end tag."""
        if self.ignored:
            self.ignored -= name == self.ignored_name
            return
        if name == "blockquote" and self.quotes:
            self.quotes -= 1
        if name in ("td", "th"):
            self._append(" ")
        elif name not in _INLINE and name not in _VOID:
            self._end_line()

    def _begin_block(self, name: str) -> None:
        if name not in ("td", "th"):
            self._end_line()

    def _end_line(self) -> None:
        if not self._at_line_start():
            self._append("\n")

    def _at_line_start(self) -> bool:
        return not self.out or self.out[-1].endswith("\n")

    def _append(self, text: str) -> None:
        if text:
            self.out.append(text)
            self.size += len(text)
