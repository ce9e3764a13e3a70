"""The rules of mailbox names, the same for IMAP, configuration and delivery."""

import unicodedata
from functools import lru_cache

from mox.base.limits import MAILBOX_DEPTH, MAILBOX_NAME

INBOX = "Inbox"


@lru_cache(maxsize=1024)  # few names, and each delivery asks twice
def normalise_mailbox_name(name: str) -> str:
    """The name as it is kept: a first component equal to "inbox" in any case becomes ``Inbox``.

    Errors  ValueError, with what is wrong, when the name is not allowed: not NFC, an empty or
            ``.`` or ``..`` component, a leading ``#``, control characters, too long, too deep.
    """
    if len(name.encode("utf-8", "surrogatepass")) > MAILBOX_NAME:
        raise ValueError("mailbox name is too long")
    if unicodedata.normalize("NFC", name) != name:
        raise ValueError("mailbox name is not in Unicode normalisation form NFC")
    is_plain = name.isascii() and name.isprintable()
    if not is_plain and any(_forbidden(ord(c)) for c in name):
        raise ValueError("mailbox name has control characters")
    if name.startswith("#"):
        raise ValueError("mailbox name must not start with #")
    components = name.split("/")
    if len(components) > MAILBOX_DEPTH:
        raise ValueError("mailbox name has too many levels")
    if any(component in {"", ".", ".."} for component in components):
        raise ValueError("mailbox name has an empty component, or one that is . or ..")
    if components[0].lower() == "inbox":
        components[0] = INBOX
    return "/".join(components)


def _forbidden(code: int) -> bool:
    # Controls, line separators, and lone surrogates that cannot be written as UTF-8.
    return (
        code <= 0x1F or 0x7F <= code <= 0x9F or code in {0x2028, 0x2029} or 0xD800 <= code <= 0xDFFF
    )
