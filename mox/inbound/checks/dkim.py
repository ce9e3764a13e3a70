"""dkim: the keys of a message's signatures.    RFC 6376 §6.1.2.

What is signed is hashed while it arrives; the results come of both when the message has ended.
"""

import asyncio
from collections.abc import Sequence

from mox.dns.base import Resolver
from mox.inbound.checks.base import Stage
from mox.inbound.context import Context
from mox.mailauth.dkim.verify import KeyAnswer, Status, look_up_key

Keys = dict[str, KeyAnswer]
"""By the name of the key's record."""


class DKIM:
    """Asked when the header section is there, all keys side by side."""

    name = "dkim"
    stage = Stage.HEADER

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s

    async def run(self, ctx: Context) -> Keys:
        """Ask."""
        verification = ctx.verification
        assert verification is not None, "the header section comes first"
        return await look_up_keys(ctx.asking.resolver, verification.names)

    def unavailable(self, ctx: Context, problem: str) -> Keys:
        """Not known now."""
        verification = ctx.verification
        assert verification is not None, "the header section comes first"
        return keys_unavailable(verification.names, problem)


async def look_up_keys(resolver: Resolver, names: Sequence[str]) -> Keys:
    """The records of these names, all side by side."""
    if len(names) == 1:
        return {names[0]: await look_up_key(resolver, names[0])}  # most mail: no tasks
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(look_up_key(resolver, name)) for name in names]
    return {name: task.result() for name, task in zip(names, tasks, strict=True)}


def keys_unavailable(names: Sequence[str], problem: str) -> Keys:
    """The answers that say: not known now."""
    late = KeyAnswer(status=Status.TEMPERROR, reason=f"key unavailable: {problem}")
    return dict.fromkeys(names, late)
