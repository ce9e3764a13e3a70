"""spf: may this client send for this domain?    RFC 7208."""

from mox.inbound.checks.base import Stage
from mox.inbound.context import Context
from mox.mailauth import spf


class SPF:
    """Asked at MAIL; of HELO where the reverse path is empty (RFC 7208 §2.4)."""

    name = "spf"
    stage = Stage.MAIL

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s

    async def run(self, ctx: Context) -> spf.Result:
        """Ask."""
        return await spf.evaluate(
            ctx.asking.resolver, _sender(ctx), receiver=ctx.asking.hostname, now_s=ctx.now_s
        )

    def unavailable(self, ctx: Context, problem: str) -> spf.Result:
        """Not known now."""
        sender = _sender(ctx)
        identity = spf.Identity.MAILFROM if sender.domain else spf.Identity.HELO
        return spf.Result(
            status=spf.Status.TEMPERROR,
            identity=identity,
            sender=sender,
            domain=sender.domain or sender.helo,
            problem=problem,
        )


def _sender(ctx: Context) -> spf.Sender:
    sender = ctx.sender
    assert sender is not None, "MAIL comes first"
    return spf.Sender(
        ip=ctx.remote_ip, helo=ctx.hello, localpart=sender.localpart, domain=sender.domain
    )
