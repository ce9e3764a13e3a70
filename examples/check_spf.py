"""May this address send for this sender?  python examples/check_spf.py IP SENDER [HELO] [zones.json]

    python examples/check_spf.py 192.0.2.1 someone@example.org mx.example.org

Prints the result, why, and the Received-SPF field a server would add; the exit code is 0 for a pass.
With a fourth argument, DNS is what that file says: {"example.org": {"TXT": ["v=spf1 mx -all"]}}
"""

import asyncio
import ipaddress
import json
import sys
import time
from pathlib import Path

from mox.dns.base import Resolver
from mox.dns.resolver import DnsResolver, system_settings
from mox.dns.zones import Zones
from mox.mailauth.spf import Sender, Status, evaluate, format_received_spf


async def check(sender: Sender, resolver: Resolver) -> int:
    """The exit code."""
    async with asyncio.timeout(60):
        result = await evaluate(resolver, sender, receiver="localhost", now_s=int(time.time()))
    why = result.problem or result.mechanism
    sys.stdout.write(f"{result.status}: {why} ({result.lookups} terms asked the DNS)\n")
    if result.explanation:
        sys.stdout.write(f"{result.domain} explains: {result.explanation}\n")
    sys.stdout.write(format_received_spf(result, receiver="localhost").decode())
    return 0 if result.status is Status.PASS else 1


async def check_by_real_dns(sender: Sender) -> int:
    """The same with the resolver of this machine."""
    resolver = DnsResolver(system_settings())
    try:
        return await check(sender, resolver)
    finally:
        await resolver.close()


def main(arguments: list[str]) -> int:
    """The exit code."""
    if len(arguments) not in (2, 3, 4):
        sys.stderr.write(f"{__doc__}")
        return 2
    localpart, _, domain = arguments[1].rpartition("@")
    helo = arguments[2] if len(arguments) > 2 else domain
    ip = ipaddress.ip_address(arguments[0])
    sender = Sender(ip=ip, helo=helo, localpart=localpart, domain=domain)
    if len(arguments) < 4:
        return asyncio.run(check_by_real_dns(sender))
    return asyncio.run(check(sender, Zones(json.loads(Path(arguments[3]).read_text()))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
