"""ARC chains before dkimpy and rspamd, and dkimpy's chains before us.

Every difference is a row of mailauth_differences.tsv with a reason and the RFC section that decides.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import arccorpus, dkimcorpus
from support.differences import Key, check
from support.dnszones import Zone
from support.nameservers import Names
from support.rspamd import Rspamd

from mox.base.clock import SystemClock
from mox.dns.resolver import DnsResolver
from mox.mailauth.arc.verify import verify

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dkim

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.rfc("8617 §5.2")]

TABLE = Path(__file__).with_name("mailauth_differences.tsv")
NOW = SystemClock().now_ms() // 1000
TEXTS = arccorpus.texts()
# rspamd says now this, now that: it may be done before it has looked at all seals.
WAVERS = {"after a broken seal", "key of the first missing"}
RSPAMD = {"ARC_ALLOW": "pass", "ARC_REJECT": "fail", "ARC_INVALID": "fail", "ARC_NA": "none"}


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    with Names([Zone("example.org", {name: {"TXT": one} for name, one in TEXTS.items()})]) as found:
        yield found


def by_dkimpy(message: bytes) -> str:
    def text(name: bytes, timeout: int = 5) -> bytes | None:
        records = TEXTS.get(name.decode().lower().removesuffix("."))
        return records[0].encode() if records else None

    status, _, _ = dkim.arc_verify(message, dnsfunc=text)
    return "nothing" if status is None else bytes(status).decode()


def signed_by_dkimpy(message: bytes, hand: str, status: str) -> bytes:
    report = f"Authentication-Results: {hand}; arc={status}; spf=pass smtp.mailfrom=a\r\n"
    fields = dkim.arc_sign(
        report.encode() + message,
        b"rsa2048",
        hand.encode(),
        dkimcorpus.pem("rsa2048"),
        hand.encode(),
        include_headers=[b"from", b"to", b"subject", b"date"],
    )
    return b"".join(fields) + message


async def test_all_judge_alike_or_we_know_why(names: Names) -> None:
    resolver = DnsResolver(names.settings, timeout_s=60)
    found: dict[Key, str] = {}
    with Rspamd(names.unbound.port) as server:
        for name, message in arccorpus.cases().items():
            result = await verify(resolver, message, now_s=NOW)
            symbols = server.symbols(message)
            words = [word for symbol, word in RSPAMD.items() if symbol in symbols]
            theirs = {"dkimpy": by_dkimpy(message)}
            if name not in WAVERS:
                theirs["rspamd"] = " ".join(words) or "nothing"
            for judge, word in theirs.items():
                if word != result.status.value:
                    key = ("arc", name, judge, result.status.value, word)
                    found[key] = f"{result.reason} {symbols}"
    await resolver.close()
    check(found, TABLE, "arc")


async def test_chains_of_both_makers_mixed_pass(names: Names) -> None:
    resolver = DnsResolver(names.settings, timeout_s=60)
    message = arccorpus.MESSAGE
    for number, hand in enumerate(arccorpus.HANDS[:6]):
        if number % 2:
            message = arccorpus.sealed(message)
        else:
            message = signed_by_dkimpy(message, hand, "pass" if number else "none")
        result = await verify(resolver, message, now_s=NOW)
        assert (result.status.value, len(result.hands)) == ("pass", number + 1), result.reason
        assert by_dkimpy(message) == "pass"
    await resolver.close()
