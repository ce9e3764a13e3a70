"""Addresses that get no reports from us, for a while.    spec/reports-autotls.md section 3.

One list for DMARC and for TLS reports, as an address that cannot take the ones rarely takes the others.
"""

import msgspec

from mox.base.errors import Refused
from mox.base.limits import SUPPRESSED_ADDRESSES
from mox.reports import keys
from mox.store.engine.base import Batch, Family
from mox.store.layout import rows
from mox.store.serverdata import ServerData


class Suppressed(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An address."""

    address: str  # lower case
    until_ms: int
    comment: str = ""


class SuppressedAddresses:
    """The list."""

    def __init__(self, data: ServerData) -> None:
        self._data = data

    async def add(self, address: str, until_ms: int, comment: str = "") -> None:
        """Put an address on it, or change until when.    Errors: Refused: too many; StoreStopped."""
        address = address.lower()
        known = await self.all()
        if len(known) >= SUPPRESSED_ADDRESSES and all(one.address != address for one in known):
            raise Refused("too many addresses are suppressed")
        batch = Batch()
        record = Suppressed(address=address, until_ms=until_ms, comment=comment)
        batch.put(Family.KV, keys.suppressed(address), rows.encode(record))
        await self._data.stored(await self._data.write(batch))

    async def remove(self, address: str) -> None:
        """Take an address off it.    Errors: Refused: it is not there; StoreStopped."""
        key = keys.suppressed(address.lower())
        if await self._data.in_thread(self._data.engine.get, Family.KV, key) is None:
            raise Refused(f"{address} is not suppressed")
        batch = Batch()
        batch.delete(Family.KV, key)
        await self._data.stored(await self._data.write(batch))

    async def all(self) -> list[Suppressed]:
        """All of it, also what is over, by address."""
        return await self._data.in_thread(self._all)

    def _all(self) -> list[Suppressed]:
        found = self._data.engine.scan(Family.KV, *keys.ALL_SUPPRESSED)
        return [rows.decode(Suppressed, value) for _, value in found]

    async def covers(self, address: str, now_ms: int) -> bool:
        """Whether an address gets none now."""
        key = keys.suppressed(address.lower())
        value = await self._data.in_thread(self._data.engine.get, Family.KV, key)
        return value is not None and rows.decode(Suppressed, value).until_ms > now_ms
