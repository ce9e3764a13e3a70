"""dnsbl: is the client's address on a list, and is the list itself well?    RFC 5782."""

from mox.inbound.checks.base import Stage
from mox.inbound.context import Context
from mox.mailauth import dnsbl


class DnsBlockList:
    """One list; asked at connect, so that the answer is there when a message needs it."""

    stage = Stage.CONNECT

    def __init__(self, zone: str, limit_s: float) -> None:
        self.zone = zone
        self.name = f"dnsbl {zone}"
        self.limit_s = limit_s

    async def run(self, ctx: Context) -> dnsbl.Result:
        """Ask."""
        asking = ctx.asking
        return await dnsbl.lookup_healthy(
            asking.resolver, asking.health, self.zone, ctx.remote_ip, ctx.clock.monotonic_s()
        )

    def unavailable(self, ctx: Context, problem: str) -> dnsbl.Result:
        """Not known now."""
        return dnsbl.Result(status=dnsbl.Status.TEMPERROR, zone=self.zone, problem=problem)
