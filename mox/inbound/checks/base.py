"""What a check is: it asks one question about where a message came from, and states what it found.

A check weighs nothing and refuses nobody.  It has a time limit; running over it, or failing, is a
finding like any other, with the word for "not known now" as its result.
"""

import asyncio
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

import msgspec

from mox.base import metrics
from mox.base.log import get_logger
from mox.inbound import counting
from mox.inbound.context import Context

log = get_logger("inbound")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Stage(IntEnum):
    """When the input of a check is there."""

    CONNECT = 1
    MAIL = 2
    HEADER = 3


class Finding(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What a check found."""

    check: str
    facts: T
    took_ms: int
    problem: str = ""  # why the check has no result of its own; then ``facts`` say "not known now"


class Check(Protocol[T_co]):
    """One question.    ``name`` and ``stage`` are the protocol's own words."""

    @property
    def name(self) -> str:
        """Of the check, in logs and verdicts."""
        ...

    @property
    def stage(self) -> Stage:
        """When it can begin."""
        ...

    @property
    def limit_s(self) -> float:
        """Seconds it may take."""
        ...

    async def run(self, ctx: Context) -> T_co:
        """Ask.    Errors: none on purpose; what is raised is a bug, and counted."""
        ...

    def unavailable(self, ctx: Context, problem: str) -> T_co:
        """The result that says: not known now."""
        ...


class Running(Generic[T_co]):
    """A check under way.    Its owner closes it."""

    __slots__ = ("_task",)

    def __init__(self, check: Check[T_co], ctx: Context) -> None:
        self._task = asyncio.get_running_loop().create_task(_run(check, ctx), name=check.name)

    @property
    def is_done(self) -> bool:
        """The finding is there."""
        return self._task.done()

    async def finding(self) -> Finding[T_co]:
        """Wait for it; whoever stops waiting does not end the check."""
        if self._task.done():
            return self._task.result()
        return await asyncio.shield(self._task)

    def result(self) -> Finding[T_co]:
        """The finding that is there."""
        return self._task.result()

    def cancel(self) -> None:
        """End it; ``ended`` tells when."""
        self._task.cancel()

    async def ended(self) -> None:
        """Wait until nothing of it runs any more."""
        await asyncio.gather(self._task, return_exceptions=True)


async def _run(check: Check[T], ctx: Context) -> Finding[T]:
    began = ctx.clock.monotonic_s()
    problem = ""
    try:
        async with asyncio.timeout(check.limit_s):
            facts = await check.run(ctx)
    except TimeoutError:
        problem = "timeout"
        facts = check.unavailable(ctx, problem)
    except Exception as error:
        # One question that cannot be asked must not keep the message from being judged.
        metrics.unhandled("inbound")
        log.error("check.broken", error, check=check.name)
        problem = "internal error"
        facts = check.unavailable(ctx, problem)
    seconds = ctx.clock.monotonic_s() - began
    counting.answered(facts, seconds)
    return Finding(check=check.name, facts=facts, took_ms=round(seconds * 1000), problem=problem)
