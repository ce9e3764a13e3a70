"""The grammar of APPEND and REPLACE around their message literals.

RFC 9051 §6.3.12, RFC 3502 (several messages), RFC 3516 (literal8), RFC 6855 §4 (UTF8), RFC 4466 §2.5.

A message is read in two steps, because its literal is still on its way when the command asks
whether to take it: ``message`` up to and with the literal, ``finish`` what closes it.
"""

import msgspec

from mox.imap.command import Literal
from mox.imap.cursor import Cursor
from mox.imap.flags import FlagSet


class AppendMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message to be appended.    ``received`` is (ms since 1970 UTC, zone minutes) or None."""

    flags: FlagSet
    received: tuple[int, int] | None
    literal: Literal
    utf8: bool = False  # came as UTF8 (~{n}): header fields may hold UTF-8


def message(cursor: Cursor) -> AppendMessage:
    """``SP [flag-list SP] [date-time SP] (literal / literal8 / "UTF8" SP "(" literal8)``."""
    cursor.space()
    flags = FlagSet()
    received: tuple[int, int] | None = None
    if cursor.at_open():
        flags = cursor.flag_list()
        cursor.space()
    if cursor.at_quoted():
        received = cursor.date_time()
        cursor.space()
    utf8 = cursor.try_name(b"UTF8")
    if utf8:
        # RFC 6855 §4: "UTF8" SP "(" literal8 ")".
        cursor.space()
        cursor.open()
    literal = cursor.literal(binary=True)
    if utf8 and not literal.binary:
        raise cursor.reject("expected a literal8")
    return AppendMessage(flags=flags, received=received, literal=literal, utf8=utf8)


def finish(cursor: Cursor, appended: AppendMessage) -> bool:
    """Read what closes a message once its literal is complete.

    Output  whether another message follows (RFC 3502 §2).
    Errors  BadSyntax for anything else than the end or a space.
    """
    if appended.utf8:
        cursor.close()
    if cursor.at_space():
        return True
    cursor.end()
    return False
