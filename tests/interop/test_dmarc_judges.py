"""DMARC of many situations, beside opendmarc and rspamd.

We and rspamd evaluate SPF and DKIM of a real message; opendmarc's library is given the results.
Every difference is a row of mailauth_differences.tsv with a reason and the RFC section that decides.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support import dmarccorpus, opendmarc
from support.differences import Key, check
from support.dmarccorpus import Case
from support.dnszones import Zone
from support.nameservers import Names
from support.rspamd import SUFFIXES, Rspamd

from mox.base.clock import SystemClock
from mox.dns.resolver import DnsResolver
from mox.mailauth import spf
from mox.mailauth.dkim.verify import verify
from mox.mailauth.dmarc import evaluate as dmarc
from mox.mailauth.publicsuffix import listed

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.rfc("7489 §6.6")]

TABLE = Path(__file__).with_name("mailauth_differences.tsv")
HELO = "mail.example.org"
RSPAMD = {
    "DMARC_POLICY_ALLOW": "pass",
    "DMARC_POLICY_REJECT": "reject",
    "DMARC_POLICY_QUARANTINE": "quarantine",
    "DMARC_POLICY_SOFTFAIL": "monitor",
    "DMARC_NA": "nopolicy",
    "DMARC_BAD_POLICY": "bad",
    "DMARC_DNSFAIL": "later",
}

STATUSES = {
    dmarc.Status.PASS: "pass",
    dmarc.Status.NONE: "nopolicy",
    dmarc.Status.PERMERROR: "bad",
    dmarc.Status.TEMPERROR: "later",
}


@pytest.fixture(scope="module")
def cases() -> Mapping[str, Case]:
    return dmarccorpus.cases()


@pytest.fixture(scope="module")
def names(cases: Mapping[str, Case]) -> Iterator[Names]:
    texts = {name: records for case in cases.values() for name, records in case.texts.items()}
    spoilt = {name: how for case in cases.values() for name, how in case.spoilt.items()}
    zones = []
    for apex in ("org", "net", "co.uk", "x.ck"):
        within = {name: {"TXT": one} for name, one in texts.items() if name.endswith(f".{apex}")}
        zones.append(Zone(apex, within, spoilt=spoilt))
    with Names(zones) as found:
        yield found


async def ours(case: Case, resolver: DnsResolver) -> str:
    message = case.message
    sender = spf.Sender(
        ip=ipaddress.ip_address(dmarccorpus.IP),
        helo=case.spf_domain if case.by_helo else HELO,
        localpart="" if case.by_helo else "ann",
        domain="" if case.by_helo else case.spf_domain,
    )
    found = await spf.evaluate(resolver, sender)
    assert found.status.value == case.spf
    now_s = SystemClock().now_ms() // 1000
    signatures = await verify(resolver, message, now_s=now_s, suffixes=listed())
    assert [one.status.value for one in signatures] == [result for _, result in case.dkim]
    author = dmarc.author_domain(message)
    policy = await dmarc.look_up(resolver, author, listed())
    verdict = dmarc.evaluate(policy, author, found, signatures, listed(), chance=0.5)
    if verdict.status is not dmarc.Status.FAIL:
        return STATUSES[verdict.status]
    return verdict.policy.value if verdict.rejects else "monitor"


async def test_all_judge_alike_or_we_know_why(
    cases: Mapping[str, Case], names: Names, tmp_path: Path
) -> None:
    resolver = DnsResolver(names.settings, timeout_s=60)
    mine = {}
    for name, case in cases.items():
        mine[name] = await ours(case, resolver)
    await resolver.close()
    theirs = {"opendmarc": opendmarc.judge_all(cases, SUFFIXES, tmp_path), "rspamd": {}}
    with Rspamd(names.unbound.port) as server:
        for name, case in cases.items():
            symbols = server.symbols(
                case.message,
                ip=dmarccorpus.IP,
                helo=case.spf_domain if case.by_helo else HELO,
                sender="" if case.by_helo else f"ann@{case.spf_domain}",
            )
            words = [word for symbol, word in RSPAMD.items() if symbol in symbols]
            theirs["rspamd"][name] = " ".join(words) or f"nothing {symbols}"
    found: dict[Key, str] = {}
    for judge, verdicts in theirs.items():
        for name, word in mine.items():
            if verdicts[name] != word:
                found["dmarc", name, judge, word, verdicts[name]] = str(cases[name])
    check(found, TABLE, "dmarc")
