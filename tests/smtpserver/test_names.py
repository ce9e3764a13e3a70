"""Names of clients, looked up.    spec/smtp-server.md section 5; RFC 7505."""

import asyncio

import pytest
from support.smtpsession import House

from mox.base.limits import SMTP_MX_HOSTS
from mox.dns.base import Answer, Kind, Record
from mox.dns.zones import Zones
from mox.smtp import replies
from mox.smtpserver import names
from mox.smtpserver.errors import Rejected


class Silent(Zones):
    """Never answers about some names."""

    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        if name == "silent.example":
            await asyncio.Event().wait()
        return await super().query(name, kind)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "SMTP_TIMEOUT_LOOKUP", 0.05)


@pytest.mark.usefixtures("_at_once")
async def test_a_resolver_that_does_not_answer_is_waited_for_in_vain(house: House) -> None:
    client = await house.connect(resolver=Silent({}))
    await client.say("HELO silent.example", 250)
    await client.say("MAIL FROM:<a@silent.example>", 451, "4.4.0")
    await client.say("MAIL FROM:<a@gone.example>", 550, "5.7.27")


@pytest.mark.usefixtures("_at_once")
async def test_one_exchanger_without_an_answer_hides_no_other() -> None:
    zones = {
        "a.example": {"MX": ["1 silent.example", "2 mx.example"]},
        "mx.example": {"A": ["192.0.2.1"]},
    }
    with pytest.raises(Rejected) as raised:
        await names.check_sender(Silent(zones), "a.example")
    assert raised.value.reply is replies.SENDER_UNCLEAR
    swapped = {**zones, "a.example": {"MX": ["2 silent.example", "1 mx.example"]}}
    await names.check_sender(Silent(swapped), "a.example")


async def test_a_domain_with_endless_exchangers_is_given_up() -> None:
    hosts = [f"mx{number}.example" for number in range(1000)]
    zones = Zones({"a.example": {"MX": [f"10 {host}" for host in hosts]}})
    with pytest.raises(Rejected) as raised:
        await names.check_sender(zones, "a.example")
    assert raised.value.reply is replies.SENDER_NOWHERE
    assert len({name for name, _ in zones.asked}) == 1 + SMTP_MX_HOSTS


async def test_names_that_cannot_be_looked_up() -> None:
    long = ".".join(["a" * 63] * 3 + ["a" * 62])  # 254 octets: one too many for a name in DNS
    with pytest.raises(Rejected):
        await names.check_sender(Zones({}), long)
    with pytest.raises(Rejected):
        await names.check_hello(Zones({}), long)


async def test_the_domain_of_a_null_sender_is_none(house: House) -> None:
    zones = Zones({})
    client = await house.connect(resolver=zones)
    await client.say("EHLO client.example", 250)
    await client.say("MAIL FROM:<>", 250, "2.1.0")
    assert zones.asked == []


async def test_names_of_users_and_of_local_servers_are_not_looked_up(house: House) -> None:
    zones = Zones({})
    lmtp = await house.connect(resolver=zones, lmtp=True)
    await lmtp.say("LHLO gone.example", 250)
    await lmtp.say("MAIL FROM:<a@gone.example>", 250, "2.1.0")
    await lmtp.say("RSET", 250, "2.0.0")
    await lmtp.say("MAIL FROM:<a@[192.0.2.7]>", 250, "2.1.0")
    assert zones.asked == []
