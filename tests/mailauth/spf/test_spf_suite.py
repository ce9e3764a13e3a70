"""The test suite of the SPF project: 203 cases.    tests/data/spf/README says where it is from.

How its zones read: a record of type SPF is a TXT record where the name has no TXT record of its
own; TXT NONE means that it has none; TIMEOUT fails the look-ups of kinds the name has no record of;
a name that begins with "error." fails where nothing is known of it.
"""

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest

from mox.dns.base import Answer, Kind, Record, Temporary
from mox.dns.name import canonical
from mox.dns.zones import Zones
from mox.mailauth.spf import Sender, evaluate

SUITE = Path(__file__).parents[2] / "data" / "spf" / "rfc7208-tests.json"
SCENARIOS: list[dict[str, Any]] = json.loads(SUITE.read_text())
CASES = [(scenario, name) for scenario in SCENARIOS for name in scenario["tests"]]

# Cases whose explanation is compared without regard to case, and why.
CASE_IGNORED = {
    "v-macro-ip6": "the suite writes the nibbles of %{ir} in upper case, RFC 7208 §7.4 in lower",
}


class SuiteZones(Zones):
    """Zones, with the suite's way to fail."""

    def __init__(self, data: dict[str, list[Any]]) -> None:
        self.late = {canonical(name) for name, records in data.items() if "TIMEOUT" in records}
        super().__init__({name: kinds(records) for name, records in data.items()})

    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        at = canonical(name)
        fails = at in self.late or (at.startswith("error.") and at not in self._names)
        if fails and not self._records.get((at, kind)):
            raise Temporary(name=name)
        return await super().query(name, kind)


def kinds(records: list[Any]) -> dict[str, list[str | bytes]]:
    found: dict[str, list[str | bytes]] = {}
    for entry in records:
        if entry == "TIMEOUT":
            continue
        for kind, value in entry.items():
            found.setdefault(kind, []).append(text(kind, value))
    texts = found.pop("SPF", [])
    found.setdefault("TXT", texts)
    found["TXT"] = [one for one in found["TXT"] if one != "NONE"]
    return found


def text(kind: str, value: Any) -> str:
    match kind:
        case "MX":
            return f"{value[0]} {value[1]}"
        case "TXT" | "SPF":
            return value if isinstance(value, str) else "".join(value)
        case _:
            return str(value)


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 203


@pytest.mark.rfc("7208")
@pytest.mark.parametrize(
    ("scenario", "name"), CASES, ids=[f"{s['description']}-{name}" for s, name in CASES]
)
async def test_case(scenario: dict[str, Any], name: str) -> None:
    case = scenario["tests"][name]
    localpart, _, domain = case["mailfrom"].rpartition("@")
    sender = Sender(
        ip=ipaddress.ip_address(case["host"]),
        helo=case["helo"],
        localpart=localpart,
        domain=domain,
    )
    result = await evaluate(SuiteZones(scenario["zonedata"]), sender)
    # Where several results are right, the first is the preferred one.
    wanted = case["result"] if isinstance(case["result"], str) else case["result"][0]
    assert result.status.value == wanted, result
    if "explanation" not in case:
        return
    explanation = result.explanation or "DEFAULT"
    if name in CASE_IGNORED:
        assert explanation.lower() == case["explanation"].lower()
    else:
        assert explanation == case["explanation"]
