"""Message data on its way in: line ends repaired, sizes watched, large ones to a file.

Source  spec/smtp-server.md section 6, spec/message.md section 1.
Laws    while a message arrives, never more than ``RECEIVED_IN_MEMORY`` and one batch of it in memory,
        where few arrive ``RECEIVED_MORE``;
        disk only from a thread; a message that cannot be kept is still read to its end.
"""

import asyncio
import re
from pathlib import Path
from typing import Final, Protocol

import msgspec

from mox.base.limits import (
    HEADER_PARSE,
    MESSAGE_IN_MEMORY,
    RECEIVED_IN_MEMORY,
    RECEIVED_MORE,
    RECEIVED_ROOM,
)
from mox.message import authresults
from mox.message.lines import Octets, ToCRLF
from mox.smtp.address import domain_to_unicode
from mox.store.blobs.base import SpoolFile
from mox.store.content import Spool
from mox.store.errors import DiskFull

BATCH: Final = 32 * 1024  # bytes given to a thread at once

_RECEIVED = re.compile(rb"\nreceived[ \t]*:")
_RESULTS = re.compile(
    rb"^authentication-results[ \t]*+:([^\n]*+(?:\n|\Z)(?:[ \t][^\n]*+(?:\n|\Z))*+)",
    re.IGNORECASE | re.MULTILINE,
)
# RFC 5322 §2.2: a message may end with its header section, without an empty line.
_HEADER_ONLY = re.compile(rb"(?:[!-9;-~]++[ \t]*+:[^\r\n]*+\r\n|[ \t][^\r\n]*+\r\n)*+")


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A complete message."""

    content: bytes | SpoolFile
    size: int  # bytes
    has_8bit: bool
    has_separator: bool  # an empty line ends the header section
    header: bytes  # the header section with its empty line, as far as HEADER_PARSE

    @property
    def received_fields(self) -> int:
        """How many servers it came through.    RFC 5321 §6.3."""
        return len(_RECEIVED.findall(b"\n" + self.header.lower()))

    @property
    def lacks_separator(self) -> bool:
        """An empty line must go before it, so that nobody takes its text for header fields."""
        if self.has_separator:
            return False
        complete = len(self.header) == self.size and self.size > 0
        return not (complete and _HEADER_ONLY.fullmatch(self.header))


class Watcher(Protocol):
    """Hears of a message while it arrives, with its line ends repaired.    Raises nothing."""

    def header_arrived(self, header: bytes) -> None:
        """The header section with its empty line, as far as HEADER_PARSE; once a message."""
        ...

    def body(self, chunk: bytes) -> None:
        """A piece of what follows it; not empty."""
        ...


class Room:
    """Memory that messages on their way in share; each takes the same part of it or none."""

    __slots__ = ("_left",)

    def __init__(self, size: int = RECEIVED_ROOM) -> None:
        self._left = size // (RECEIVED_MORE - RECEIVED_IN_MEMORY)

    def enter(self) -> bool:
        """Is there a part left?    Then ``leave`` must follow."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def leave(self) -> None:
        """The part is free again."""
        self._left += 1


ROOM: Final = Room()  # of the process


class Receiver:
    """Takes the chunks of one message.    Nothing can fail before the end of the message is read."""

    __slots__ = (
        "_batch",
        "_batched",
        "_header",
        "_header_done",
        "_hostname",
        "_lines",
        "_max_size",
        "_removed",
        "_room",
        "_roomy",
        "_spool",
        "_watcher",
        "failure",
        "too_big",
    )

    def __init__(
        self,
        folder: Path,
        max_size: int,
        watcher: Watcher | None = None,
        *,
        binary: bool = False,
        hostname: str = "",
        room: Room = ROOM,
    ) -> None:
        """Input   max_size: bytes; binary: line ends stay as they are (RFC 3030 §3).

        hostname: of ours; results of authentication that claim to be from it are removed
        (RFC 8601 §5).  The watcher sees them: they may be signed.
        """
        self._hostname = hostname
        self._removed = 0
        self._room = room
        self._roomy = False  # has a part of it
        self._spool = Spool(folder, in_memory=RECEIVED_IN_MEMORY)
        self._watcher = watcher
        self._max_size = max_size
        self._lines = Octets() if binary else ToCRLF()
        self._batch: list[bytes] = []
        self._batched = 0
        self._header = bytearray()
        self._header_done = False
        self.too_big = False
        self.failure: OSError | DiskFull | None = None

    async def write(self, chunk: bytes) -> None:
        """Take a chunk.    Raises nothing: see ``too_big`` and ``failure`` at the end."""
        if self.too_big or self.failure is not None:
            return
        chunk = self._lines.feed(chunk)
        if self._lines.size > self._max_size:
            self.too_big = True
            await self.discard()
            return
        self._take(chunk)
        if self._batched >= BATCH:
            await self._spill()

    async def finish(self) -> Received:
        """The message; its file is the caller's.    Errors: DiskFull, OSError.    Input: not too big."""
        if not self._header_done:
            self._end_header(len(self._header))
        await self._spill()
        if self.failure is not None:
            raise self.failure
        content = self._spool.finish()
        self._leave()
        if isinstance(content, SpoolFile) and content.size <= MESSAGE_IN_MEMORY:
            # The many that arrive at a time were to take little; whoever works on it has it all.
            content = await asyncio.to_thread(_read_back, content)
        return Received(
            content=content,
            size=self._lines.size - self._removed,
            has_8bit=self._lines.has_8bit,
            has_separator=self._lines.has_separator,
            header=bytes(self._header),
        )

    async def discard(self) -> None:
        """Forget everything; may be called at any time, also after ``finish``."""
        self._batch.clear()
        self._batched = 0
        self._leave()
        if self._spool.on_disk:
            await asyncio.to_thread(self._spool.discard)
        else:
            self._spool.discard()

    async def _spill(self) -> None:
        data = b"".join(self._batch)
        self._batch.clear()
        self._batched = 0
        try:
            if self._fits(self._spool.size + len(data)):
                self._spool.write(data)  # memory only
            else:
                await asyncio.to_thread(self._spool.write, data)
                self._leave()
        except (OSError, DiskFull) as e:
            self.failure = e
            await self.discard()

    def _fits(self, size: int) -> bool:
        """Is so much of the message kept in memory?"""
        spool = self._spool
        if spool.on_disk or size > RECEIVED_MORE:
            return False
        if size > spool.in_memory and self._room.enter():
            self._roomy = True
            spool.in_memory = RECEIVED_MORE
        return size <= spool.in_memory

    def _leave(self) -> None:
        if self._roomy:
            self._roomy = False
            self._room.leave()

    def _take(self, chunk: bytes) -> None:
        """Find the end of the header section; tell who listens.

        Where fields may have to be taken out the header is held until it is complete.
        """
        if self._header_done or not self._hostname:
            self._keep(chunk)
        if self._header_done:
            if self._watcher is not None and chunk:
                self._watcher.body(chunk)
            return
        start = max(0, len(self._header) - 3)
        self._header += chunk
        if self._header.startswith(b"\r\n"):
            end = 2
        else:
            found = self._header.find(b"\r\n\r\n", start)
            end = found + 4 if found >= 0 else HEADER_PARSE
        if end <= len(self._header):
            self._end_header(end)

    def _keep(self, piece: bytes) -> None:
        self._batch.append(piece)
        self._batched += len(piece)

    def _end_header(self, end: int) -> None:
        self._header_done = True
        rest = bytes(self._header[end:])
        del self._header[end:]
        received = bytes(self._header)
        if self._hostname:
            self._header[:] = without_own_results(received, self._hostname)
            self._removed = len(received) - len(self._header)
            self._keep(bytes(self._header))
            self._keep(rest)
        if self._watcher is not None:
            self._watcher.header_arrived(received)
            if rest:
                self._watcher.body(rest)


def _read_back(file: SpoolFile) -> bytes:
    """A small content, into memory.    Errors: OSError; the file is gone in every case."""
    try:
        return file.path.read_bytes()
    finally:
        file.path.unlink(missing_ok=True)


def without_own_results(header: bytes, hostname: str) -> bytes:
    """A header section without fields that claim to be our results of authentication.

    RFC 8601 §5: whoever trusts our name in them must not be lied to.
    Input  hostname: in lower case, A-labels.
    """
    if b"authentication-results" not in header.lower():
        return header
    ours = {hostname, domain_to_unicode(hostname)}

    def kept(field: re.Match[bytes]) -> bytes:
        return b"" if authresults.claimed_host(field[1]) in ours else field[0]

    return _RESULTS.sub(kept, header)
