"""Verify the DKIM signatures of a message:  python examples/verify_dkim.py message.eml [zones.json]

Prints one line per signature, and the Authentication-Results field a server would add.
With a second file, DNS is what that file says: {"sel._domainkey.example.com": {"TXT": ["v=DKIM1; ..."]}}
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from mox.dns.base import Resolver
from mox.dns.resolver import DnsResolver, system_settings
from mox.dns.zones import Zones
from mox.mailauth.dkim.report import methods
from mox.mailauth.dkim.verify import verify
from mox.mailauth.publicsuffix import listed
from mox.message.authresults import AuthResults, format_field


async def judge(message: bytes, resolver: Resolver) -> int:
    """0 when a signature passes."""
    results = await verify(resolver, message, now_s=int(time.time()), suffixes=listed())
    for result in results:
        domain = result.signature.domain if result.signature else "?"
        sys.stdout.write(f"{domain}: {result.status} {result.reason}\n")
    field = format_field(AuthResults(host="localhost", methods=methods(results)))
    sys.stdout.write(field.decode())
    return 0 if any(result.is_pass for result in results) else 1


async def judge_by_real_dns(message: bytes) -> int:
    """The same with the resolver of this machine."""
    resolver = DnsResolver(system_settings())
    try:
        return await judge(message, resolver)
    finally:
        await resolver.close()


def main(arguments: list[str]) -> int:
    """The exit code."""
    if not arguments:
        sys.stderr.write(f"{__doc__}")
        return 2
    message = Path(arguments[0]).read_bytes()
    if b"\r\n" not in message:
        message = message.replace(b"\n", b"\r\n")  # as it was on the wire
    if len(arguments) == 1:
        return asyncio.run(judge_by_real_dns(message))
    return asyncio.run(judge(message, Zones(json.loads(Path(arguments[1]).read_text()))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
