"""Junk flags that follow from the mailbox a message is put into.    spec/junk.md section 6."""

from collections.abc import Collection
from typing import Final

import msgspec

from mox.base.flags import JUNK, NOTJUNK
from mox.base.regexp import Regexp

_KINDS: Final = (JUNK, 0, NOTJUNK)  # of the three expressions, in the order they are tried


class MailboxRules(msgspec.Struct, frozen=True, kw_only=True):
    """What an account says of its mailboxes; without any of it, only the junk mailbox speaks.

    Expressions are searched for in the mailbox name in lower case; None is one that is not set.
    """

    enabled: bool = False
    junk: Regexp | None = None
    neutral: Regexp | None = None
    notjunk: Regexp | None = None
    rejects_mailbox: str = ""  # normalised names; empty: none
    introbox: str = ""

    def apply(self, flags: int, mailbox_name: str, special_use: Collection[str]) -> int:
        """The flags of a message that is delivered, appended, copied or moved into a mailbox.

        Input   flags: system flags; special_use: roles of the mailbox, as in ``Junk``.
        """
        if "Junk" in special_use:
            return _marked(flags, JUNK)
        if not self.enabled:
            return flags
        expressions = (self.junk, self.neutral, self.notjunk)
        name = mailbox_name.lower()
        for expression, kind in zip(expressions, _KINDS, strict=True):
            if expression is not None and expression.found_in(name):
                return _marked(flags, kind)
        unset = [
            kind for expression, kind in zip(expressions, _KINDS, strict=True) if expression is None
        ]
        return _marked(flags, unset[0]) if len(unset) == 1 else flags

    def moved(
        self,
        flags: int,
        mailbox_name: str,
        special_use: Collection[str],
        *,
        source: str,
        is_destined: bool,
    ) -> int:
        """As ``apply``, for a message that was in another mailbox of the account.

        A message the user takes out of the introbox to where it would have gone is wanted.
        Input   source: name of that mailbox; is_destined: it would have gone to the new one.
        """
        flags = self.apply(flags, mailbox_name, special_use)
        from_introbox = bool(self.introbox) and source == self.introbox
        if from_introbox and is_destined and not flags & (JUNK | NOTJUNK):
            return flags | NOTJUNK
        return flags


def _marked(flags: int, kind: int) -> int:
    return flags & ~(JUNK | NOTJUNK) | kind
