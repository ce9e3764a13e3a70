"""Slots stay what they are while their mailbox is pinned."""

from collections.abc import Iterator
from contextlib import contextmanager

from mox.store.mailbox import Mailbox


@contextmanager
def pinned(mailbox: Mailbox) -> Iterator[None]:
    """For commands that expunge: they let go before they tell, so that the columns shrink then."""
    mailbox.pins += 1
    try:
        yield
    finally:
        mailbox.pins -= 1
