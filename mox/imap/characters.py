"""Character classes of the grammar.    RFC 9051 §9, RFC 3501 §9.

Each is the set of *allowed* bytes: ``word.translate(None, ATOM)`` leaves what is not.
"""

from typing import Final

DIGITS: Final = b"0123456789"
LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE64: Final = LETTERS + DIGITS + b"+/="

# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials.
# CTL is %x00-1F and %x7F; CHAR ends at %x7F, so nothing above is in an atom.
ATOM: Final = bytes(c for c in range(0x21, 0x7F) if c not in b'(){%*"\\]')
ASTRING: Final = ATOM + b"]"
TAG: Final = ASTRING.replace(b"+", b"")
LIST_MAILBOX: Final = ASTRING + b"%*"
