"""System flags as bits of one u32, shared by store, import formats and the protocol faces.

Source  spec of the account store, section 8; RFC 9051 §2.3.2.  Other flags are keywords: lower
case, kept per mailbox.
"""

from typing import Final

SEEN: Final = 1 << 0
ANSWERED: Final = 1 << 1
FLAGGED: Final = 1 << 2
DELETED: Final = 1 << 3
DRAFT: Final = 1 << 4
FORWARDED: Final = 1 << 5
JUNK: Final = 1 << 6
NOTJUNK: Final = 1 << 7
PHISHING: Final = 1 << 8
MDNSENT: Final = 1 << 9

# In the order they are shown.  Names compare case-insensitively.
SYSTEM_FLAGS: Final[tuple[tuple[str, int], ...]] = (
    ("\\Seen", SEEN),
    ("\\Answered", ANSWERED),
    ("\\Flagged", FLAGGED),
    ("\\Deleted", DELETED),
    ("\\Draft", DRAFT),
    ("$Forwarded", FORWARDED),
    ("$Junk", JUNK),
    ("$NotJunk", NOTJUNK),
    ("$Phishing", PHISHING),
    ("$MDNSent", MDNSENT),
)
