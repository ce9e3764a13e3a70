"""Addresses an account stops sending to.    spec/smtp-client-queue.md section 10.

An address is compared by its base: what people write after + or - in a local part, and dots, do not make
another mailbox of it.
"""

import re
from collections.abc import Sequence
from typing import Final

from mox.smtp.address import Address, quote_localpart

# RFC 3463: the address is bad, or policy refuses it for good.
_FINAL_CODES: Final = frozenset({521, 550, 551, 553, 556})
_FINAL_ENHANCED: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.2.1", "5.7.1"})
FAILURES_BEFORE: Final = 2  # so many of the last messages failed as well: the third one suppresses

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def base_address(address: Address) -> str:
    """The form that is compared: no subaddress, no dots, lower case; the domain as it is."""
    localpart = address.localpart
    # Not to nothing: "+x@" and "-x@" are addresses of their own.
    for separator in "+-":
        localpart = localpart.partition(separator)[0] or localpart
    plain = localpart.replace(".", "").lower() or localpart.lower()
    return f"{quote_localpart(_CONTROLS.sub('?', plain))}@{address.domain}"


def suppresses(code: int, enhanced: str, earlier: Sequence[bool]) -> bool:
    """Does a permanent failure end sending to an address?

    Input  code, enhanced: of the SMTP reply; without one (0) nothing is concluded.
           earlier: whether the last messages to the address arrived, newest first.
    """
    if not 500 <= code <= 599:
        return False
    if code in _FINAL_CODES or enhanced in _FINAL_ENHANCED:
        return True
    last = earlier[:FAILURES_BEFORE]
    return len(last) == FAILURES_BEFORE and not any(last)
