"""Judging the mail that one listener receives: the door for the SMTP server.

evidence = judging.connected(remote_ip, tls=...)      the questions begin
evidence.said_hello(...)  .began(...)  .header_arrived(...)  .body(...)
outcomes = await evidence.deliver(delivery, hearing)
await evidence.close()
"""

from mox.inbound import judged
from mox.inbound.context import Asking
from mox.inbound.deliver import Delivery
from mox.inbound.evidence import Evidence
from mox.inbound.judged import Desk, Hearing, Outcome


class Judging:
    """One per listener that takes mail from strangers.    Made by the runtime."""

    __slots__ = ("_asking", "_desk")

    def __init__(self, asking: Asking, desk: Desk) -> None:
        self._asking = asking
        self._desk = desk

    def connected(self, remote_ip: str, *, tls: bool) -> "Judge":
        """A client is there: its name and the DNS lists are asked about."""
        return Judge(self._asking, self._desk, remote_ip, tls=tls)


class Judge(Evidence):
    """The evidence about one connection, and whoever decides on it."""

    __slots__ = ("_desk",)

    def __init__(self, asking: Asking, desk: Desk, remote_ip: str, *, tls: bool) -> None:
        super().__init__(asking, remote_ip, tls=tls)
        self._desk = desk

    @property
    def notifies(self) -> bool:
        """Can a sender be told later that some recipients did not get a message?"""
        return self._desk.bouncer is not None

    async def deliver(self, delivery: Delivery, hearing: Hearing) -> list[Outcome]:
        """Judge the message that is here as a whole and store it; the outcome of each recipient.

        The content is consumed in every case.
        """
        return await judged.deliver(self._desk, self, delivery, hearing)
