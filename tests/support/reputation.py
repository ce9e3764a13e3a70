"""Reputation as the specification has it: queries over all messages; and random pasts."""

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

from mox.junk.reputation import DAY_MS, Sender

NOW = 1_900_000_000_000
YEAR = 365 * DAY_MS


class Message(NamedTuple):
    """A stored message; flag: J, N, or nothing."""

    sender: Sender
    mailbox: int
    received: int
    flag: str
    expunged: bool


class Sent(NamedTuple):
    localpart: str
    domain: str
    org: str
    sent: int


DOMAINS = ("x.example", "y.x.example", "z.example")
domains = st.sampled_from(DOMAINS)
localparts = st.sampled_from(["a", "b", "c", ""])


def org_of(domain: str) -> str:
    return ".".join(domain.split(".")[-2:])


@st.composite
def senders(draw: st.DrawFn) -> Sender:
    domain = draw(st.sampled_from([*DOMAINS, ""]))
    return Sender(
        from_localpart=draw(localparts) if domain else "",
        from_domain=domain,
        from_org_domain=org_of(domain) if domain else "",
        from_validated=draw(st.booleans()) if domain else False,
        dkim_domains=tuple(draw(st.lists(domains, max_size=2))),
        mail_from_localpart=draw(localparts),
        mail_from_domain=draw(st.sampled_from([*DOMAINS, ""])),
        mail_from_validated=draw(st.booleans()),
        ehlo_domain=draw(domains),
        ehlo_validated=draw(st.booleans()),
        ip1=draw(st.sampled_from(["i1", "i2", "i3", ""])),
        ip2=draw(st.sampled_from(["n1", "n2", ""])),
        ip3=draw(st.sampled_from(["r1", ""])),
    )


ages = st.sampled_from([0, 1, 40, 91, 92, 182, 183, 700, 730, 731, 1095, 1096]).map(
    lambda days: NOW - days * DAY_MS
)
few_senders = st.lists(senders(), min_size=1, max_size=4)


@st.composite
def pasts(draw: st.DrawFn) -> tuple[list[Message], list[Sent], Sender, int]:
    pool = draw(few_senders)
    messages = draw(
        st.lists(
            st.builds(
                Message,
                st.sampled_from(pool),
                st.integers(1, 2),
                ages,
                st.sampled_from(["J", "J", "N", "N", ""]),
                st.sampled_from([False, False, False, True]),
            ),
            max_size=30,
        )
    )
    sent = [
        Sent(localpart, domain, org_of(domain), when)
        for localpart, domain, when in draw(
            st.lists(st.tuples(localparts, domains, ages), max_size=2)
        )
    ]
    asked = draw(st.one_of(st.sampled_from(pool), senders()))
    return messages, sent, asked, draw(st.integers(1, 3))


class Oracle:
    """The specification word for word, over all messages."""

    def __init__(self, messages: list[Message], sent: list[Sent], new: Sender, mailbox: int):
        self.messages, self.sent, self.new, self.mailbox = messages, sent, new, mailbox

    def query(
        self, matches: Callable[[Sender], bool], max_age: int, max_count: int
    ) -> list[Message]:
        found = [
            (message.received, number, message)
            for number, message in enumerate(self.messages)
            if message.mailbox == self.mailbox
            and not message.expunged
            and message.flag
            and message.received >= NOW - max_age
            and matches(message.sender)
        ]
        return [message for *_, message in sorted(found, reverse=True)[:max_count]]

    def wrote(self, matches: Callable[[Sent], bool], max_age: int) -> bool:
        return any(matches(one) and one.sent >= NOW - max_age for one in self.sent)

    def answer(self) -> tuple[bool | None, bool, str]:
        return (
            self.level_a()
            or self.level_domain(
                self.new.from_domain,
                lambda one: one.from_domain,
                lambda one: one.domain,
                "domain",
            )
            or self.level_domain(
                self.new.from_org_domain,
                lambda one: one.from_org_domain,
                lambda one: one.org,
                "orgdomain",
            )
            or self.level_d()
            or self.level_e()
            or (None, False, "none")
        )

    @staticmethod
    def two(found: list[Message]) -> bool:
        return found[0].flag == "J" and (len(found) == 1 or found[1].flag == "J")

    def level_a(self) -> tuple[bool | None, bool, str] | None:
        new = self.new
        if not new.from_domain:
            return None

        def same(validated: bool) -> Callable[[Sender], bool]:
            return lambda one: (
                (one.from_localpart, one.from_domain) == (new.from_localpart, new.from_domain)
                and one.from_validated == validated
            )

        if found := self.query(same(new.from_validated), 3 * YEAR, 2):
            return self.two(found), new.from_validated, "msgfromfull"
        if not new.from_validated and (found := self.query(same(True), 3 * YEAR, 2)):
            return True, self.two(found), "msgfromfull"
        if self.wrote(
            lambda one: (one.localpart, one.domain) == (new.from_localpart, new.from_domain),
            3 * YEAR,
        ):
            return False, True, "msgtofull"
        return None

    def level_domain(
        self,
        domain: str,
        of_sender: Callable[[Sender], str],
        of_sent: Callable[[Sent], str],
        name: str,
    ) -> tuple[bool | None, bool, str] | None:
        if not domain:
            return None
        validated = self.new.from_validated
        found = self.query(
            lambda one: of_sender(one) == domain and one.from_validated == validated, 2 * YEAR, 20
        )
        if found:
            good = sum(message.flag == "N" for message in found)
            if 100 * good // len(found) > 80:
                return False, True, "msgfrom" + name
            if good == 0:
                senders = {message.sender.from_localpart for message in found}
                return True, len(senders) >= 3, "msgfrom" + name
            return None, False, "msgfrom" + name
        if not validated:
            found = self.query(
                lambda one: of_sender(one) == domain and one.from_validated, 2 * YEAR, 2
            )
            if found:
                return True, self.two(found), "msgfrom" + name
        if self.wrote(lambda one: of_sent(one) == domain, 2 * YEAR):
            return False, True, "msgto" + name
        return None

    def level_d(self) -> tuple[bool | None, bool, str] | None:
        new, half = self.new, YEAR // 2
        found = [
            self.query(lambda one, d=domain: d in one.dkim_domains, half, 50)  # type: ignore[misc]
            for domain in dict.fromkeys(new.dkim_domains)
        ]
        spf: list[Message] = []
        if new.mail_from_validated and new.mail_from_domain:
            spf = self.query(
                lambda one: (
                    one.mail_from_validated
                    and one.mail_from_localpart == new.mail_from_localpart
                    and one.mail_from_domain == new.mail_from_domain
                ),
                half,
                50,
            ) or self.query(
                lambda one: (
                    one.mail_from_validated and one.mail_from_domain == new.mail_from_domain
                ),
                half,
                50,
            )
        if not spf and new.ehlo_validated and new.ehlo_domain:
            spf = self.query(
                lambda one: one.ehlo_validated and one.ehlo_domain == new.ehlo_domain, half, 50
            )
        signals = [one for one in [*found, spf] if one]
        if not signals:
            return None
        parts = [sum(message.flag == "J" for message in one) / len(one) for one in signals]
        ham, spam = any(p < 0.1 for p in parts), any(p > 0.9 for p in parts)
        if ham and not spam:
            return False, True, "dkimspf"
        if spam and not ham:
            return True, max(len(one) for one in signals) > 1, "dkimspf"
        return None, False, "dkimspf"

    def level_e(self) -> tuple[bool | None, bool, str] | None:
        for number, need in ((1, 2), (2, 5), (3, 10)):
            name = f"ip{number}"
            value = getattr(self.new, name)
            if not value:
                continue
            found = self.query(
                lambda one, n=name, v=value: getattr(one, n) == v,  # type: ignore[misc]
                YEAR // 4,
                50,
            )
            if found:
                p = sum(message.flag == "J" for message in found) / len(found)
                junk = False if p < 0.25 else True if p > 0.75 else None
                return junk, len(found) >= need and (p <= 0.1 or p >= 0.9), name
        return None
