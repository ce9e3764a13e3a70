"""Is there space for a content that becomes a row of the index?

Packs ask the disk at every group, in their thread.  A row is put without one, so the answer is kept
for a moment.
"""

from mox.base.clock import Clock
from mox.store.blobs.base import Blobs

_KEPT_S = 0.2  # for so long the disk is taken to have space: what comes meanwhile fits its reserve


class Space:
    """Of one owner of an index and packs."""

    def __init__(self, blobs: Blobs, clock: Clock) -> None:
        self._blobs = blobs
        self._clock = clock
        self._until_s = 0.0

    def check(self) -> None:
        """Errors: DiskFull.    Cost  one look at the file system in a while."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._until_s:
            self._blobs.check_space()
            self._until_s = now_s + _KEPT_S
