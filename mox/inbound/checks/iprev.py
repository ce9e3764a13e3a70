"""iprev: does the client's address have a name that leads back to it?    RFC 8601 §3."""

from mox.inbound.checks.base import Stage
from mox.inbound.context import Context
from mox.mailauth import iprev


class IPRev:
    """Asked at connect."""

    name = "iprev"
    stage = Stage.CONNECT

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s

    async def run(self, ctx: Context) -> iprev.Result:
        """Ask."""
        return await iprev.evaluate(ctx.asking.resolver, ctx.remote_ip)

    def unavailable(self, ctx: Context, problem: str) -> iprev.Result:
        """Not known now."""
        return iprev.Result(status=iprev.Status.TEMPERROR, ip=ctx.remote_ip, problem=problem)
