"""The server with a committer that promises too early: what the judges of crashes must find.

python -m support.faulty ack-before-write localserve ...
"""

from __future__ import annotations

import asyncio
import sys
import time

from mox.cli.main import run
from mox.store import commit, shard

LATE_S = 0.2  # how much later the promised thing happens
SETUP = 4  # batches of the first start: account, password, what is learnt; the server needs them at once


class AckBeforeWrite(commit.Committer):
    """Answers before a batch is handed to the database's write."""

    async def written(self, ticket: int) -> None:
        """At once."""
        if ticket <= SETUP:
            await super().written(ticket)

    async def synced(self, ticket: int, *, is_patient: bool = False) -> None:
        """At once."""
        if ticket <= SETUP:
            await super().synced(ticket, is_patient=is_patient)
        self.want_sync(ticket)

    def _commit(self, group: list[commit.Staged]) -> bool:
        if group and group[-1][0] > SETUP:
            time.sleep(LATE_S)
        return super()._commit(group)


class AckBeforeSync(commit.Committer):
    """Answers when a batch is written, before the sync."""

    async def synced(self, ticket: int, *, is_patient: bool = False) -> None:
        """When it is written."""
        await self.written(ticket)
        asyncio.get_running_loop().call_later(LATE_S, self.want_sync, ticket)


FAULTS = {"ack-before-write": AckBeforeWrite, "ack-before-sync": AckBeforeSync}


def main() -> int:
    """Run the command line with the fault named first."""
    fault, *arguments = sys.argv[1:]
    shard.Committer = FAULTS[fault]  # type: ignore[attr-defined]
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
