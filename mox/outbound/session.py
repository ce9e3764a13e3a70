"""A conversation with one host under a plan: kept or new, as far as the first MAIL.

Source  spec/smtp-client-queue.md sections 3, 5 and 6.
"""

import ssl
from collections.abc import Sequence

import msgspec

from mox.base.clock import Clock
from mox.dns.name import IPAddress
from mox.outbound import counting
from mox.outbound.pool import Kept, Place, Pool
from mox.smtpclient.auth import Login, log_in
from mox.smtpclient.dial import Dial, dial
from mox.smtpclient.dialogue import Dialogue
from mox.smtpclient.errors import DeliveryError, LinkLost, ProtocolBroken
from mox.smtpclient.link import Link
from mox.smtpclient.secure import Secured, binding_of, enforce, make_context, secure
from mox.tlspolicy.choose import Demand
from mox.tlspolicy.pkix import Authorities


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A host to speak to, and how it is reached."""

    place: Place
    ips: tuple[IPAddress, ...]  # in the order to be tried
    connect: Dial
    login: Login | None = None


class Opened(msgspec.Struct, kw_only=True):
    """How far the opening of a conversation came; filled on the way, also where it fails."""

    ip: str = ""
    local_ip: str = ""
    helo: str = ""
    is_new: bool = False  # not a connection that was kept
    tls_tried: bool = False
    secured: Secured | None = None
    replies: Sequence[str] = ()


class Sessions:
    """Opens conversations, and keeps those that can be used again."""

    def __init__(self, clock: Clock, authorities: Authorities, pool: Pool) -> None:
        self._clock = clock
        self._authorities = authorities
        self._pool = pool
        self._context: ssl.SSLContext = make_context()

    async def open(self, target: Target, opened: Opened) -> Kept:
        """A conversation ready for MAIL.    Errors: DeliveryError; then nothing is left open."""
        kept = self._pool.take(target.place)
        if kept is None:
            return await self._new(target, opened)
        opened.ip, opened.local_ip = kept.ip, kept.link.local_ip
        opened.helo, opened.secured = kept.dialogue.extensions.name, kept.secured
        return kept

    async def renew(self, target: Target, opened: Opened) -> Kept:
        """A new conversation where a kept one turned out to be gone."""
        return await self._new(target, opened)

    def give(self, kept: Kept) -> None:
        """The conversation is not needed now."""
        self._pool.give(kept)

    def end(self, kept: Kept) -> None:
        """The conversation is of no more use."""
        self._pool.end(kept)

    async def _new(self, target: Target, opened: Opened) -> Kept:
        place, plan = target.place, target.place.plan
        try:
            found = await dial(target.connect, target.ips, place.port)
        except BaseException as error:
            counting.connected(error)
            raise
        counting.connected(None)
        link = found.link
        dialogue = Dialogue(link, place.hello, self._clock)
        opened.is_new = True
        opened.ip, opened.local_ip = str(found.ip), link.local_ip
        opened.replies = dialogue.heard
        try:
            if plan.demand is Demand.IMMEDIATE:
                opened.tls_tried = True
                await link.start_tls(self._context, plan.server_name)
            await dialogue.greet()
            opened.helo = dialogue.extensions.name
            opened.tls_tried = opened.tls_tried or (
                plan.demand is not Demand.NONE and dialogue.extensions.has("STARTTLS")
            )
            now_s = self._clock.now_ms() / 1000
            opened.secured = await secure(
                dialogue, plan, self._context, self._authorities, now_s=now_s
            )
            enforce(plan, opened.secured)
            if target.login is not None:
                await log_in(dialogue, target.login, binding_of(link.tls))
        except BaseException as error:
            if isinstance(error, DeliveryError) and not isinstance(
                error, LinkLost | ProtocolBroken
            ):
                # It refused us; leave in good manners.
                self._pool.end(_kept(target, dialogue, opened, link))
            else:
                link.abort()
            raise
        return _kept(target, dialogue, opened, link)


def _kept(target: Target, dialogue: Dialogue, opened: Opened, link: Link) -> Kept:
    return Kept(
        place=target.place, dialogue=dialogue, link=link, ip=opened.ip, secured=opened.secured
    )
