"""dmarc: what the author's domain wants done with messages that fail.    RFC 7489 §6.6.3.

Only the policy is looked up here; it is weighed when SPF and DKIM are known.
"""

from mox.inbound.checks.base import Stage
from mox.inbound.context import Context
from mox.mailauth.dmarc.evaluate import Found, Status, look_up


class DMARC:
    """Asked when the header section is there and names one author."""

    name = "dmarc"
    stage = Stage.HEADER

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s

    async def run(self, ctx: Context) -> Found:
        """Ask."""
        heading = ctx.heading
        if heading is None or heading.author is None:
            return Found(reason="no author domain")
        return await look_up(ctx.asking.resolver, heading.author.domain.ascii, ctx.asking.suffixes)

    def unavailable(self, ctx: Context, problem: str) -> Found:
        """Not known now."""
        heading = ctx.heading
        domain = "" if heading is None or heading.author is None else heading.author.domain.ascii
        return Found(
            status=Status.TEMPERROR, domain=domain, reason=f"policy unavailable: {problem}"
        )
