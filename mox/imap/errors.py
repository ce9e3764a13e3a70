"""Errors of the IMAP language.    They know no reply; ``imapserver/errors.py`` translates them."""

from mox.base.errors import Malformed, Refused


class BadSyntax(Malformed):
    """Not what the grammar has.    ``offset`` counts bytes of the command, literals left out."""

    def __init__(self, public: str, offset: int = 0) -> None:
        super().__init__(public, offset=offset)
        self.offset = offset


class BadMailboxName(Refused):
    """A name that no mailbox can have: broken modified UTF-7, or against the rules of names.

    Whether it is "no such mailbox" or "cannot be created" depends on the command.
    """

    default = "not a valid mailbox name"


class BadKeyword(Refused):
    """A keyword that is an atom but that we do not keep, for example one that is too long."""

    default = "not a valid keyword"


class BadCharset(Refused):
    """SEARCH in a character set other than US-ASCII and UTF-8."""

    default = "charset not supported"
