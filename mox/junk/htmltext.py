"""HTML to the text whose words are counted.

Unlike a preview nothing is tidied: chunks of text are joined without a separator, so that
"<b>vi</b>agra" is one word.  It never fails, and passes over the text once: a tag, comment or raw
element without end takes the rest with it, as in a browser (HTML §13.2.5).
"""

import re
from html import unescape

_IGNORED = frozenset(["script", "style", "svg"])  # text directly inside is no text
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
_RAW_END = {  # HTML §13.2.5.2, .4: no tags inside
    name: re.compile(rf"</{name}(?=[ \t\n\f\r/>])", re.IGNORECASE)
    for name in ("iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp")
}
# Possessive throughout: whatever has no end is looked at once, by the last alternative, and ends
# the reading.  A "<" in front of anything else is text.
_MARKUP = re.compile(
    r"<(?:(?P<end>/)?(?P<name>[a-zA-Z][^ \t\n\f\r/>]*+)"
    r"(?P<attributes>(?:[^=>]++"
    r"|=[ \t\n\f\r]*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\f\r>\"'][^ \t\n\f\r>]*+|(?=>)))*+)>"
    r"|!--(?:-?>|(?:[^-]++|-(?!-!?>))*+--!?>)"
    r"|(?:!(?!--)|\?|/(?![a-zA-Z]))[^>]*+>"
    r"|(?P<endless>[a-zA-Z/!?]))"
)
_ATTRIBUTE = re.compile(
    r"(?P<name>[^ \t\n\f\r/=>][^ \t\n\f\r/=>]*+)"
    r"(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+"
    r"(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>[^ \t\n\f\r>]*+)))?"
)
_NUL = "\0"  # no text (HTML §13.2.6.4.7); between chunks it keeps entities from growing together


def html_to_text(html: str) -> str:
    """The text of a document, and of its images where they have an ``alt``; entities decoded."""
    out: list[str] = []
    open_elements: list[str] = []
    pos = 0
    while (markup := _MARKUP.search(html, pos)) is not None:
        start = markup.start()
        if start > pos and not (open_elements and open_elements[-1] in _IGNORED):
            out.append(html[pos:start])
        pos = markup.end()
        is_end, name, attributes, endless = markup.groups()
        if endless:
            pos = len(html)
            break
        if is_end:
            if open_elements:
                open_elements.pop()  # whatever its name: no tree is built
        elif name and html[pos - 2] != "/":
            name = name.lower()
            if name == "img":
                out.append(_alt(attributes))
            if name not in _VOID:
                open_elements.append(name)
                if name in _RAW_END:
                    pos = _behind_raw(html, pos, name, out)
    if not (open_elements and open_elements[-1] in _IGNORED):
        out.append(html[pos:])
    text = _NUL.join(out)
    if "&" in text:
        text = unescape(text.replace("&nbsp;", " "))
    return text.replace(_NUL, "")


def _behind_raw(html: str, start: int, name: str, out: list[str]) -> int:
    """Take the text of a raw element; where its end tag begins."""
    close = _RAW_END[name].search(html, start)
    end = len(html) if close is None else close.start()
    if name not in _IGNORED:
        out.append(html[start:end])
    return end


def _alt(attributes: str) -> str:
    for attribute in _ATTRIBUTE.finditer(attributes):
        if attribute["name"].lower() == "alt":
            return attribute["double"] or attribute["single"] or attribute["bare"] or ""
    return ""
