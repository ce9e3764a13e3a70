"""A message that is being judged: read once, however many recipients it has.

Its methods block, of one that is not short for milliseconds: call them in threads.  Several may.
"""

import hashlib
from collections.abc import Iterator, Set
from contextlib import contextmanager
from threading import Lock

from mox.base.limits import LETTER_SHORT
from mox.inbound.heading import Heading
from mox.inbound.hooks import Content
from mox.junk.words import message_words
from mox.message import mime
from mox.message.buffer import Buffer
from mox.smtp.address import Address
from mox.store.blobs.base import SpoolFile
from mox.store.content import map_file


class Letter:
    """One message."""

    __slots__ = ("_content", "_digest", "_lock", "_words", "heading", "size")

    def __init__(self, content: bytes | SpoolFile, heading: Heading) -> None:
        """Input: content: stays where it is for as long as the letter is used."""
        self._content = content
        self.heading = heading
        self.size = len(content) if isinstance(content, bytes) else content.size
        self._words: dict[int, Set[bytes]] = {}
        self._digest = b""
        self._lock = Lock()

    @property
    def source(self) -> Content:
        """For those who read it themselves."""
        return self._content if isinstance(self._content, bytes) else self._content.path

    @property
    def is_short(self) -> bool:
        """Its words are cut in less time than it takes to have a thread do it."""
        return isinstance(self._content, bytes) and self.size <= LETTER_SHORT

    @contextmanager
    def _open(self) -> Iterator[Buffer]:
        if isinstance(self._content, bytes) or not self._content.size:
            yield self._content if isinstance(self._content, bytes) else b""
            return
        with map_file(self._content.path) as mapped:
            yield mapped

    def words(self, grams: int) -> Set[bytes]:
        """The features of the message.    grams: ``Parameters.grams``.    Errors: OSError."""
        with self._lock:
            found = self._words.get(grams)
            if found is None:
                with self._open() as content:
                    found = message_words(content, mime.parse(content), grams)
                self._words[grams] = found
            return found

    def digest(self) -> bytes:
        """SHA-256 of what was received.    Errors: OSError."""
        with self._lock:
            if not self._digest:
                with self._open() as content:
                    self._digest = hashlib.sha256(content).digest()
            return self._digest

    def is_addressed_to(self, address: Address) -> bool:
        """Is it in To or Cc?    An empty local part counts as being there."""
        if not address.localpart:
            return True
        with self._lock:
            return self.heading.is_addressed_to(address)
