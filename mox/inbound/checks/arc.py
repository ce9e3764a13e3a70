"""arc: the keys of a chain of seals, and what the chain is worth.    RFC 8617 §5.2.

Stated, and no more: who sealed is not asked whether they are to be believed, so no verdict follows.
A message without fields of ARC is not asked about.
"""

import asyncio

import msgspec

from mox.base.limits import ARC_KEYS
from mox.inbound.checks.base import Finding, Running, Stage
from mox.inbound.checks.dkim import Keys, keys_unavailable, look_up_keys
from mox.inbound.context import Context
from mox.mailauth.arc.verify import Result, Status, Verification

# What is judged on the event loop; more may be made to be costly.
_FEW = 2  # sets
_INLINE = 64 * 1024  # bytes of a header section


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a chain."""

    result: Result
    sealers: tuple[str, ...] = ()  # domains, first one first; of a chain that fails what they claim


NO_CHAIN = Finding(check="arc", facts=Chain(result=Result(status=Status.NONE)), took_ms=0)


class ARC:
    """Asked when the header section is there, all keys side by side."""

    name = "arc"
    stage = Stage.HEADER

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s

    async def run(self, ctx: Context) -> Keys:
        """Ask."""
        chain = _chain(ctx)
        return await look_up_keys(ctx.asking.resolver, [] if chain.fault else chain.names)

    def unavailable(self, ctx: Context, problem: str) -> Keys:
        """Not known now; RFC 8617 §5.2.1: then the chain fails."""
        return keys_unavailable(_chain(ctx).names, problem)


def begin(ctx: Context) -> Running[Keys] | None:
    """The header section is there: the check, None without fields of ARC."""
    heading = ctx.heading
    if heading is None or not heading.has_arc:
        return None
    chain = ctx.chain = Verification(heading.block, now_s=ctx.now_s)
    if not heading.is_complete and not chain.fault:
        chain.fault = "header section too large"
    elif len(chain.names) > ARC_KEYS and not chain.fault:
        chain.fault = "too many keys"
    return Running(ARC(ctx.asking.limits.check_s), ctx)


async def finding(running: Running[Keys] | None, ctx: Context) -> Finding[Chain]:
    """The judgement, once the whole body was fed."""
    if running is None:
        return NO_CHAIN
    keys = await running.finding()
    chain = _chain(ctx)
    sealers, heading = chain.sealers, ctx.heading
    if len(sealers) > _FEW or (heading is not None and len(heading.block) > _INLINE):
        result = await asyncio.to_thread(chain.judge, keys.facts)
    else:
        result = chain.judge(keys.facts)
    return Finding(
        check="arc",
        facts=Chain(result=result, sealers=sealers),
        took_ms=keys.took_ms,
        problem=keys.problem,
    )


def _chain(ctx: Context) -> Verification:
    assert ctx.chain is not None, "the header section comes first"
    return ctx.chain
