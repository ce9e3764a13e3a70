"""Bytes to text by the charset that mail names.    RFC 2046 §4.1.2.

Decoding never fails: what does not fit becomes U+FFFD; an unknown charset is read as UTF-8 where it
is UTF-8, else as Latin-1, so that ASCII stays readable.
"""

import codecs
import re
from functools import lru_cache

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}")
_OURS = {
    # names mail uses and Python does not know, or knows as something narrower
    "x-gbk": "gbk",
    "gb2312": "gb18030",
    "x-sjis": "cp932",
    "shift_jis": "cp932",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "x-euc-jp": "euc_jp",
    "x-big5": "big5",
    "iso-8859-8-i": "iso8859_8",
    "iso-8859-8-e": "iso8859_8",
    "x-mac-roman": "mac_roman",
    "unicode-1-1-utf-7": "utf_7",
    "ansi_x3.4-1968": "ascii",
    "x-unknown": "",
    "unknown-8bit": "",
    "x-user-defined": "",
}
_NO_MAIL = frozenset(
    {"idna", "punycode", "undefined", "mbcs", "oem", "unicode-escape", "raw-unicode-escape"}
)


@lru_cache(maxsize=256)
def codec(name: bytes) -> str | None:
    """Python's name of a charset, or None where it is unknown or no charset of text."""
    plain = name.decode("ascii", "replace").strip().lower()
    plain = _OURS.get(plain, plain)
    if not _NAME.fullmatch(plain):
        return None
    try:
        info = codecs.lookup(plain)
    except (LookupError, ValueError):
        return None
    # base64, zlib and the like are codecs too; idna and punycode are slow on long input
    is_text = getattr(info, "_is_text_encoding", True)
    if not is_text or info.name.replace("_", "-") in _NO_MAIL:
        return None
    return info.name


def decode(raw: bytes, name: bytes) -> str:
    """Text of these bytes in that charset."""
    known = codec(name) if name else None
    if known is not None and known not in ("ascii", "utf-8"):
        return raw.decode(known, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        if known is not None or not name:
            return raw.decode("utf-8", "replace")
        return raw.decode("latin-1")
