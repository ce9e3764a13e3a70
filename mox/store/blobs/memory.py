"""Contents in a dict, for tests."""

from pathlib import Path

from mox.store.blobs.base import Body
from mox.store.errors import DataDamaged
from mox.store.layout.rows import Location


class MemoryBlobs:
    """See ``Blobs``."""

    def __init__(self) -> None:
        self._contents: dict[tuple[int, int], bytes] = {}

    def check_space(self) -> None:
        """Memory has no end."""

    def put_group(self, bodies: list[Body]) -> list[Location]:
        """Keep the contents."""
        locations = []
        for body in bodies:
            content = (
                body.content if isinstance(body.content, bytes) else body.content.path.read_bytes()
            )
            if not isinstance(body.content, bytes):
                body.content.path.unlink()
            self._contents[body.account, body.file] = content
            locations.append(Location(pack=0, offset=0, length=len(content), crc=0))
        return locations

    def read(self, account: int, file: int, location: Location, start: int, end: int) -> bytes:
        """A range of a content."""
        try:
            return self._contents[account, file][start:end]
        except KeyError as error:
            raise DataDamaged("content is missing", cause=error) from error

    def path(self, account: int, file: int, location: Location) -> Path | None:
        """There are no files."""
        return None

    def erase(self, account: int, file: int, location: Location) -> None:
        """Forget a content."""
        self._contents.pop((account, file), None)

    def close(self) -> None:
        """Nothing to close."""
