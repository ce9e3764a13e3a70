"""An engine and blobs that remember what was written, for machines that stop anywhere."""

from mox.store.blobs.base import Body
from mox.store.blobs.memory import MemoryBlobs
from mox.store.engine.base import Batch
from mox.store.engine.memory import MemoryEngine
from mox.store.layout.rows import Location


class RecordingEngine(MemoryEngine):
    """Remembers what was written, and how much of it was synced."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[Batch] = []
        self.synced = 0

    def write(self, batch: Batch) -> None:
        super().write(batch)
        self.writes.append(batch)

    def sync(self) -> None:
        count = len(self.writes)
        super().sync()
        self.synced = count

    def cut_off(self, kept: int) -> MemoryEngine:
        """What a crash leaves when so many writes survive."""
        left = MemoryEngine()
        for batch in self.writes[:kept]:
            left.write(batch)
        return left


class RecordingBlobs(MemoryBlobs):
    """Remembers when bodies came and went, counted in writes."""

    def __init__(self, engine: RecordingEngine) -> None:
        super().__init__()
        self.engine = engine
        self.put: list[tuple[int, int, int, bytes]] = []
        self.erased: list[tuple[int, int, int]] = []

    def put_group(self, bodies: list[Body]) -> list[Location]:
        places = super().put_group(bodies)
        done = len(self.engine.writes)
        for body, place in zip(bodies, places, strict=True):
            content = self.read(body.account, body.file, place, 0, place.length)
            self.put.append((done, body.account, body.file, content))
        return places

    def erase(self, account: int, file: int, location: Location) -> None:
        self.erased.append((self.engine.synced, account, file))
        super().erase(account, file, location)

    def cut_off(self, kept: int) -> MemoryBlobs:
        """Bodies that are there when so many writes survive; gone as early as they may be."""
        left = MemoryBlobs()
        for done, account, file, content in self.put:
            if done <= kept:
                left._contents[account, file] = content
        for synced, account, file in self.erased:
            if synced <= kept:
                left._contents.pop((account, file), None)
        return left
