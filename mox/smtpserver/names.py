"""What DNS says of the names a client gives: of HELO, and of the domain of a sender.

Source  spec/smtp-server.md section 5; RFC 5321 §5.1, RFC 7505.
"""

import asyncio
from typing import Final

from mox.base.limits import SMTP_MX_HOSTS, SMTP_TIMEOUT_LOOKUP
from mox.dns.base import BadName, Kind, NotFound, Resolver, Temporary
from mox.smtp import replies
from mox.smtpserver.errors import Rejected

_NULL: Final = ""  # the host of a null MX


async def check_hello(resolver: Resolver, name: str) -> None:
    """A name without any address is nobody's.    Errors: Rejected; not for temporary trouble."""
    try:
        async with asyncio.timeout(SMTP_TIMEOUT_LOOKUP):
            await resolver.addresses(name)
    except (NotFound, BadName) as e:
        raise Rejected(replies.HELLO_UNKNOWN) from e
    except (Temporary, TimeoutError):
        return  # the client is not to suffer from it


async def check_sender(resolver: Resolver, domain: str) -> None:
    """Where nobody could send a notification, nothing is taken from.    Errors: Rejected."""
    try:
        async with asyncio.timeout(SMTP_TIMEOUT_LOOKUP):
            if await _takes_mail(resolver, domain):
                return
    except (Temporary, TimeoutError) as e:
        raise Rejected(replies.SENDER_UNCLEAR) from e
    except BadName as e:
        raise Rejected(replies.SENDER_NOWHERE) from e
    raise Rejected(replies.SENDER_NOWHERE)


async def _takes_mail(resolver: Resolver, domain: str) -> bool:
    """Does a mail exchanger, or the domain itself, have an address?    Errors: Temporary, BadName."""
    try:
        records = (await resolver.mx(domain)).records
    except NotFound:
        hosts = [domain]  # RFC 5321 §5.1: the implicit MX
    else:
        # RFC 7505 §3: the null MX stands alone; beside others it is no host.
        hosts = [one.host for one in sorted(records) if one.host != _NULL][:SMTP_MX_HOSTS]
    for host in hosts[1:]:
        resolver.prefetch(host, Kind.A)
        resolver.prefetch(host, Kind.AAAA)
    unclear: Temporary | None = None
    for host in hosts:
        try:
            await resolver.addresses(host)
        except (NotFound, BadName):
            continue
        except Temporary as e:
            unclear = e
            continue
        return True
    if unclear is not None:
        raise unclear
    return False
