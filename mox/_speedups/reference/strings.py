"""Strings of IMAP responses, plainly: the meaning of strings.pyx.

RFC 9051 §9:  quoted = DQUOTE *QUOTED-CHAR DQUOTE;  QUOTED-CHAR = <any TEXT-CHAR except
quoted-specials> / "\\" quoted-specials / UTF8-2 / UTF8-3 / UTF8-4;  TEXT-CHAR = <any CHAR except CR
and LF>;  CHAR = %x01-7F;  literal = "{" number64 ["+"] "}" CRLF *CHAR8;  CHAR8 = %x01-ff.
Before UTF8=ACCEPT (RFC 6855 §3) there is no UTF8-2 and so on.
"""

QUOTED_MAX = 4096  # bytes; a longer string is a literal, which costs the client no unescaping


def _is_quotable(text: bytes, utf8: bool) -> bool:
    if len(text) > QUOTED_MAX or b"\r" in text or b"\n" in text:
        return False
    try:
        text.decode("utf-8" if utf8 else "ascii")
    except UnicodeDecodeError:
        return False
    return True


def _quote(text: bytes, utf8: bool) -> bytes:
    text = text.replace(b"\0", b"")
    if not _is_quotable(text, utf8):
        return b"{%d}\r\n" % len(text) + text
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def quote_strings(texts: tuple[bytes | None, ...], utf8: bool) -> bytes:
    """Each text as a string, None as NIL; see strings.pyx."""
    return b" ".join(b"NIL" if text is None else _quote(text, utf8) for text in texts)
