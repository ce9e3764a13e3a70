"""SPF of many situations, beside pyspf and rspamd; of random ones beside pyspf.

The 203 cases of the test suite are in tests/mailauth/spf.  Every difference is a row of
mailauth_differences.tsv with a reason and the RFC section that decides.
"""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support import spfcorpus
from support.differences import Key, check
from support.dnszones import Spoilt, Zone, owner_of
from support.nameservers import Names
from support.rspamd import Rspamd
from support.spfcorpus import Case

from mox.dns.base import Resolver
from mox.dns.resolver import DnsResolver
from mox.dns.zones import Zones
from mox.mailauth.spf import Sender, evaluate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import spf

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.rfc("7208 §4")]

TABLE = Path(__file__).with_name("mailauth_differences.tsv")
RSPAMD = {
    "R_SPF_ALLOW": "pass",
    "R_SPF_PLUSALL": "pass",
    "R_SPF_FAIL": "fail",
    "R_SPF_SOFTFAIL": "softfail",
    "R_SPF_NEUTRAL": "neutral",
    "R_SPF_NA": "none",
    "R_SPF_PERMFAIL": "permerror",
    "R_SPF_DNSFAIL": "temperror",
}


def all_records(cases: Mapping[str, Case]) -> dict[str, Any]:
    records: dict[str, Any] = {**spfcorpus.forward_records(), **spfcorpus.reverse_records()}
    for case in cases.values():
        records |= case.records
    return records


@pytest.fixture(scope="module")
def cases() -> Mapping[str, Case]:
    return spfcorpus.cases()


@pytest.fixture(scope="module")
def names(cases: Mapping[str, Case]) -> Iterator[Names]:
    records = all_records(cases)
    broken = {name for case in cases.values() for name in case.broken}
    forward = {n: r for n, r in records.items() if n not in (spfcorpus.IP4, spfcorpus.IP6)}
    zones = [
        Zone("example.org", forward, spoilt=dict.fromkeys(broken, Spoilt.FORGED)),
        Zone("2.0.192.in-addr.arpa", {spfcorpus.IP4: records[spfcorpus.IP4]}),
        Zone("8.b.d.0.1.0.0.2.ip6.arpa", {spfcorpus.IP6: records[spfcorpus.IP6]}),
    ]
    with Names(zones) as found:
        yield found


async def ours(case: Case, resolver: Resolver) -> str:
    localpart, _, domain = case.sender.rpartition("@")
    sender = Sender(
        ip=ipaddress.ip_address(case.ip), helo=case.helo, localpart=localpart, domain=domain
    )
    return (await evaluate(resolver, sender)).status.value


class PySpf:
    """pyspf, answering its questions from the records."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def judge(self, case: Case, records: Mapping[str, Any]) -> str:
        known = {owner_of(name).lower(): kinds for name, kinds in records.items()}
        broken = {entry.lower() for entry in case.broken}

        def look_up(
            name: str, qtype: str, tcpfallback: bool = True, timeout: int = 30
        ) -> list[tuple[tuple[str, str], Any]]:
            name = name.rstrip(".").lower()
            if any(not 0 < len(label) < 64 for label in name.split(".")):
                return []
            if f"{name} {qtype}".lower() in broken:
                raise spf.TempError("DNS failed")
            kinds = known.get(name, {})
            if "CNAME" in kinds:
                target = kinds["CNAME"][0]
                return [((name, "CNAME"), target), *look_up(target, qtype)]
            return [((name, qtype), _read(qtype, value)) for value in kinds.get(qtype, ())]

        self._patch.setattr(spf, "DNSLookup", look_up)
        result, _ = spf.check2(i=case.ip, s=case.sender, h=case.helo)
        return str(result)


def _read(kind: str, value: str) -> Any:
    if kind == "TXT":
        return (value.encode(),)
    if kind == "MX":
        preference, host = value.split(" ")
        return (int(preference), host.rstrip("."))
    return value


async def test_all_judge_alike_or_we_know_why(
    cases: Mapping[str, Case], names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = all_records(cases)
    other = PySpf(monkeypatch)
    resolver = DnsResolver(names.settings, timeout_s=60)
    found: dict[Key, str] = {}
    with Rspamd(names.unbound.port) as server:
        for name, case in cases.items():
            mine = await ours(case, resolver)
            symbols = server.symbols(
                b"From: x@example.net\r\nSubject: x\r\n\r\nx\r\n",
                ip=case.ip,
                helo=case.helo,
                sender=case.sender,
            )
            said = [word for symbol, word in RSPAMD.items() if symbol in symbols]
            theirs = {"pyspf": other.judge(case, records), "rspamd": "".join(said) or "nothing"}
            for judge, word in theirs.items():
                if word != mine:
                    shown = f"{case.records.get(case.domain)} {case.sender} {case.ip} {symbols}"
                    found["spf", name, judge, mine, word] = shown
    await resolver.close()
    check(found, TABLE, "spf")


async def test_random_records_beside_pyspf(monkeypatch: pytest.MonkeyPatch) -> None:
    other = PySpf(monkeypatch)
    count = 0
    for case in spfcorpus.random_cases(2000):
        records = all_records({"": case})
        mine, theirs = await ours(case, Zones(records)), other.judge(case, records)
        assert mine == theirs, (mine, theirs, case)
        count += mine not in ("permerror", "none")
    assert count > 1000
