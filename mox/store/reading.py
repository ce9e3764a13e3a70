"""Contents and derived values read back: many at a time, in reader threads.

Laws  Nothing here runs on the event loop but the async functions' own frames.  A small content is
      one ``bytes`` checked against its checksum, and where it is a row, it is read when it is
      located; a large one is a mapping of its file, which stays readable after the file is removed.
      A content whose pack was rewritten since it was located is looked up once more.  What cannot
      be read is None and logged: one damaged message must not hide the others.
"""

import mmap
from collections.abc import Sequence

from mox.base.errors import Broken
from mox.base.log import get_logger
from mox.message.buffer import Buffer as Content
from mox.store.account import Account
from mox.store.content import Buffer, map_file
from mox.store.engine.base import Family
from mox.store.layout import keys, rows
from mox.store.layout.rows import Location

log = get_logger("store")


Place = Location | bytes
"""Where a content is; one that is a row itself."""


def locate(account: Account, files: Sequence[int]) -> list[Place | None]:
    """Where contents are; None where one cannot be read, which is logged.

    Blocks.    The caller bounds their number: of each there may be ``BODY_INLINE`` bytes.
    """
    engine, number = account.shard.engine, account.id
    wanted = [keys.file(number, file) for file in files]
    found = [
        None if value is None else rows.decode(Location, value)
        for value in engine.multi_get(Family.LOC, wanted)
    ]
    in_rows = [
        key
        for key, location in zip(wanted, found, strict=True)
        if location is not None and location.is_row
    ]
    values = iter(engine.multi_get(Family.BODY, in_rows) if in_rows else ())
    places: list[Place | None] = []
    for file, location in zip(files, found, strict=True):
        try:
            if location is None:
                raise Broken("a message has no stored content")
            places.append(rows.row_content(location, next(values)) if location.is_row else location)
        except Broken as error:
            _unreadable(account, file, error)
            places.append(None)
    return places


def read_content(account: Account, file: int, place: Place | None) -> Buffer | None:
    """A whole content; None where it cannot be read, which is logged.    Blocks."""
    if place is None or isinstance(place, bytes):
        return place
    try:
        path = account.shard.blobs.path(account.id, file, place)
        if path is not None and place.length:
            return map_file(path)
        return _read(account, file, place, place.length)
    except (Broken, OSError) as error:
        _unreadable(account, file, error)
        return None


def read_start(account: Account, file: int, place: Place | None, size: int) -> bytes | None:
    """The first bytes of a content, at most ``size``; None as in ``read_content``.    Blocks."""
    if place is None:
        return None
    if isinstance(place, bytes):
        return place[:size]
    try:
        return _read(account, file, place, size)
    except (Broken, OSError) as error:
        _unreadable(account, file, error)
        return None


def _unreadable(account: Account, file: int, error: Broken | OSError) -> None:
    log.error("store.content_unreadable", error, account=account.name, file=file)


def _read(account: Account, file: int, location: Location, end: int) -> bytes:
    blobs = account.shard.blobs
    try:
        return blobs.read(account.id, file, location, 0, end)
    except FileNotFoundError:
        # Into another pack: a content in a pack never becomes a row.
        now = locate(account, [file])[0]
        if not isinstance(now, Location) or now == location:
            raise
        return blobs.read(account.id, file, now, 0, end)


def read_contents(account: Account, files: Sequence[int]) -> list[Buffer | None]:
    """Whole contents, in their order.    Blocks; the caller bounds the sum of their sizes."""
    return [
        read_content(account, file, place)
        for file, place in zip(files, locate(account, files), strict=True)
    ]


def read_derived(
    account: Account, files: Sequence[int], kinds: Sequence[int]
) -> list[bytes | None]:
    """Cached values: for every content all kinds in their order, None where none is kept.

    Blocks.    Cost  about 2 us a value.
    """
    number, cache = account.id, keys.cache
    wanted = [cache(number, file, kind) for file in files for kind in kinds]
    return account.shard.engine.multi_get(Family.CACHE, wanted)


def derive_again(account: Account, file: int) -> dict[int, bytes]:
    """Derived values made anew from the content, for where the cache has none.    Blocks.

    Empty where the content cannot be read.
    """
    content = read_content(account, file, locate(account, [file])[0])
    if content is None:
        return {}
    if isinstance(content, mmap.mmap):
        with content:
            return account.shard.derive(content)
    return account.shard.derive(content)


async def derived(
    account: Account, files: Sequence[int], kinds: Sequence[int]
) -> list[bytes | None]:
    """``read_derived`` in a thread.    The caller bounds the number (a few hundred)."""
    return await account.shard.in_thread(read_derived, account, files, kinds)


async def content(account: Account, file: int) -> Buffer | None:
    """One whole content, read in a thread."""
    return (await account.shard.in_thread(read_contents, account, [file]))[0]


async def piece(account: Account, content: Content, start: int, end: int) -> bytes:
    """A piece of a content; of a mapped one read in a thread, as a page fault would stop the loop."""
    if isinstance(content, bytes):
        return content[start:end]
    return await account.shard.in_thread(_copied, content, start, end)


def _copied(content: Content, start: int, end: int) -> bytes:
    return bytes(content[start:end])
