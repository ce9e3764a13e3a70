"""Judging the mail that one listener receives: the door for the SMTP server.

evidence = judging.connected(remote_ip, tls=...)      the questions begin
evidence.said_hello(...)  .began(...)  .header_arrived(...)  .body(...)
await deliver.judged(judging, evidence, delivery, ...)
await evidence.close()
"""

from mox.inbound.context import Asking
from mox.inbound.evidence import Evidence


class Judging:
    """One per listener that takes mail from strangers.    Made by the runtime."""

    __slots__ = ("asking",)

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    def connected(self, remote_ip: str, *, tls: bool) -> Evidence:
        """A client is there: its name and the DNS lists are asked about."""
        return Evidence(self.asking, remote_ip, tls=tls)
