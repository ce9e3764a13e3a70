from support.smtpsession import DOMAINS, STATIC

from mox.config.live import Live, Target
from mox.config.load import load
from mox.config.lookup import Miss
from mox.inbound.recipients import ConfigDirectory
from mox.smtp.address import parse_address


def test_the_directory_follows_the_configuration() -> None:
    live = Live(load(STATIC, DOMAINS))
    directory = ConfigDirectory(live)
    found = directory.resolve(parse_address('"a b"@localhost'))
    assert isinstance(found, Target)
    assert (found.account, found.mailbox) == ("mox", "Inbox")
    assert directory.resolve(parse_address("x@elsewhere.example")) is Miss.DOMAIN_UNKNOWN
    assert directory.resolve(parse_address("x@[192.0.2.1]")) is Miss.DOMAIN_UNKNOWN
    assert directory.resolve(parse_address("mox@off.example")) is Miss.DOMAIN_DISABLED
    assert directory.is_disabled("off.example")
    assert directory.may_send_as("mox", parse_address("mox@xn--bcher-kva.example"))
    assert not directory.may_send_as("other", parse_address("mox@example.org"))

    live.swap(load(STATIC, DOMAINS, fallback_account="other"))
    found = directory.resolve(parse_address("x@elsewhere.example"))
    assert isinstance(found, Target)
    assert found.account == "other"
