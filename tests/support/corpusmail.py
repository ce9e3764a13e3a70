"""Weeks of mail to a few users, wanted and not, with the DNS it needs: the same for the same seed.

Senders are of the kinds a mailbox sees: friends with and without signatures, a partner company,
newsletters of one mailing service, shops, mailing lists, strangers who mean well; and campaigns that
change domain and address, machines that were broken into, throw-away addresses at a large provider,
marketers who never stop, customers of the mailing service that nobody asked for, forged senders.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.mailauth.dkim.canonical import Canon
from mox.mailauth.dkim.sign import SigningKey, sign

HOUR_MS = 3_600_000
WEEK_MS = 7 * 24 * HOUR_MS

COMMON = """the and you that this with for have are not but what all were when your can there use each
which their will other about out many then them these some would make like him into time has look two
more write see number way could people than first water been call who its now find long down day did get
come made may part over new take only little work know place year live back give most very after thing
just name good sentence man think say great where help through much before line right too means old any
same tell boy follow came want show also around form three small set put end does another well large"""
HOME = """dinner weekend garden kitchen grandma birthday holiday train photos cousin bicycle picnic
school concert neighbour recipe soup puppy haircut umbrella sofa cinema lake cabin"""
WORK = """meeting invoice quarter draft contract budget deadline agenda slides review supplier warehouse
payroll minutes colleague estimate customer deployment report shipment tender signature"""
HOBBY = """compiler kernel patch regression branch library thread parser buffer release backtrace module
linker benchmark commit checksum syntax macro socket header encoding"""
NEWS = """newsletter issue edition readers article interview column editors subscribe unsubscribe preview
festival museum author review podcast opinion weekly"""
SHOP = """order parcel tracking delivery receipt payment basket size colour returns warehouse courier
invoice total quantity item refund"""
SALES = """offer discount free sale price save today limited exclusive deal click buy now shop member
special gift"""
SPAM = (
    """pills pharmacy viagra dosage prescription tablets generic potency doctor meds cheapest""",
    """casino jackpot spins bonus roulette betting winner chips blackjack wager payout""",
    """crypto bitcoin profit trading wallet investment guaranteed returns broker doubling millionaire""",
    """loan credit debt mortgage approved refinance lender instant payday interest apply""",
    """inheritance barrister beneficiary transfer million dollars confidential deceased fund bank urgent""",
    """replica watches rolex luxury handbags designer brand cheap leather genuine swiss""",
    """singles dating lonely hot photos chat local meet webcam profile flirt""",
    """ranking seo backlinks traffic website visitors google optimisation keywords audit leads""",
)
PHISH = """account verify suspended password security login confirm identity unusual activity update
immediately billing locked statement"""
SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "qui",
    "ro",
    "su",
    "ta",
    "ve",
    "wi",
    "xo",
    "yu",
    "za",
    "bri",
    "cla",
    "dre",
    "flo",
    "gra",
]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way to a user."""

    at_ms: int
    user: str
    id: str  # of Message-ID, without brackets, lower case
    kind: str
    is_spam: bool
    author: str
    mail_from: str
    ip: str
    hello: str
    retries: bool  # the sender comes again after a temporary refusal
    raw: bytes


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who sends: who they say they are, and where it comes from."""

    author: str
    mail_from: str
    ip: str
    hello: str
    signers: tuple[str, ...] = ()
    retries: bool = True


class Circle(msgspec.Struct, kw_only=True):
    """Whom a user has to do with."""

    friends: list[Source]
    provider_friends: list[str]  # local parts
    colleagues: list[str]  # local parts
    brands: list[Source]
    shops: list[Source]
    members: list[str]  # of the mailing list
    marketers: list[Source]
    met: list[Source] = []  # strangers who wrote before


class Internet:
    """Names, addresses and keys, as they are made up."""

    def __init__(self) -> None:
        self.zones: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, SigningKey] = {}
        self._networks = {"198.18": 0, "198.19": 0}

    def network(self, *, bad: bool = False) -> str:
        """The first three numbers of 256 addresses nobody has yet, at least a region away."""
        half = "198.19" if bad else "198.18"
        at = self._networks[half]
        self._networks[half] += 1
        return f"{half}.{at * 8 % 256 + at // 32}"

    def host(self, name: str, ip: str) -> None:
        """A machine whose name and address lead to each other."""
        self.zones[ip] = {"PTR": [name]}
        self.zones[name] = {"A": [ip]}

    def domain(
        self, name: str, ips: Sequence[str] = (), *, dkim: bool = False, dmarc: str = ""
    ) -> None:
        """A domain.    ``ips``: those that SPF allows; none: no SPF."""
        if ips:
            allowed = " ".join(f"ip4:{ip}" for ip in ips)
            self.zones.setdefault(name, {})["TXT"] = [f"v=spf1 {allowed} -all"]
        if dmarc:
            self.zones[f"_dmarc.{name}"] = {"TXT": [f"v=DMARC1; p={dmarc}"]}
        if dkim:
            private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
            public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            text = f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"
            self.zones[f"s._domainkey.{name}"] = {"TXT": [text]}
            self._keys[name] = SigningKey(
                domain=name,
                selector="s",
                private=private,
                header_canon=Canon.RELAXED,
                body_canon=Canon.RELAXED,
            )

    def sign(self, raw: bytes, signers: Sequence[str], at_ms: int) -> bytes:
        """With the signatures of these domains."""
        if not signers:
            return raw
        return sign(raw, [self._keys[name] for name in signers], now_s=at_ms // 1000) + raw


class Corpus:
    """``letters``: all mail, oldest first.    ``zones``: the DNS it needs."""

    def __init__(self, seed: int, users: Sequence[str], weeks: int, start_ms: int) -> None:
        self.net = Internet()
        self.letters: list[Sent] = []
        self.wrote_to: dict[str, list[str]] = {}  # whom a user wrote to before it all began
        self._random = random.Random(seed)
        self._start_ms = start_ms
        self._numbers: dict[str, int] = {}
        self._institutions()
        for user in users:
            circle = self._circle()
            self.wrote_to[user] = [
                circle.friends[0].author,
                f"{circle.provider_friends[0]}@bigmail.example",
            ]
            for week in range(weeks):
                self._wanted(user, week, circle)
                self._unwanted(user, week, circle)
        self.letters.sort(key=lambda one: (one.at_ms, one.id))

    @property
    def zones(self) -> dict[str, dict[str, Any]]:
        """The DNS of all senders."""
        return self.net.zones

    # -------------------------------------------------------------- who there is

    def _institutions(self) -> None:
        """Who sends to all users."""
        net = self.net
        self._provider = self._hosts("out{}.bigmail.example", net.network(), 4)
        net.domain("bigmail.example", [ip for ip, _ in self._provider], dkim=True, dmarc="none")
        self._service = self._hosts("m{}.mailings.example", net.network(), 6)
        net.domain("mailings.example", [ip for ip, _ in self._service], dkim=True)
        self._partner = self._company("partner.example", dmarc="quarantine")
        self._shops = [self._company(f"shop-{n}.example", who="orders") for n in range(6)]
        self._brands = [self._brand(f"brand-{n}.example") for n in range(8)]
        self._list_host = self._hosts("lists.project.example", net.network(), 1)[0]
        net.domain("project.example", [self._list_host[0]], dkim=True)
        self._bank = "bank.example"
        net.domain(self._bank, [f"{net.network()}.1"], dkim=True, dmarc="reject")
        self._marketers = [self._company(f"growth-{n}.example", who="team") for n in range(5)]
        self._customers = [self._brand(f"promo-{n}.example") for n in range(3)]
        self._bad_networks = [net.network(bad=True) for _ in range(6)]

    def _hosts(self, name: str, network: str, count: int) -> list[tuple[str, str]]:
        found = [(f"{network}.{n + 1}", name.format(n + 1)) for n in range(count)]
        for ip, host in found:
            self.net.host(host, ip)
        return found

    def _company(self, domain: str, *, who: str = "office", dmarc: str = "") -> Source:
        """A domain with a server of its own that signs."""
        ip, host = self._hosts(f"mx.{domain}", self.net.network(), 1)[0]
        self.net.domain(domain, [ip], dkim=True, dmarc=dmarc)
        address = f"{who}@{domain}"
        return Source(author=address, mail_from=address, ip=ip, hello=host, signers=(domain,))

    def _brand(self, domain: str) -> Source:
        """A customer of the mailing service."""
        self.net.domain(domain, dkim=True)
        at = self._random.choice(self._service)
        return Source(
            author=f"news@{domain}",
            mail_from=f"bounces+{domain.partition('.')[0]}@mailings.example",
            ip=at[0],
            hello=at[1],
            signers=(domain, "mailings.example"),
        )

    def _at_provider(self, localpart: str) -> Source:
        address = f"{localpart}@bigmail.example"
        ip, host = self._random.choice(self._provider)
        return Source(
            author=address, mail_from=address, ip=ip, hello=host, signers=("bigmail.example",)
        )

    def _circle(self) -> Circle:
        rng = self._random
        friends = [self._company(f"{self._name()}.example", who=self._name()) for _ in range(2)]
        friends.append(self._unproven(f"{self._name()}.example", self._name()))
        return Circle(
            friends=friends,
            provider_friends=[f"{self._name()}.{self._name()}" for _ in range(2)],
            colleagues=[self._name() for _ in range(4)],
            brands=rng.sample(self._brands, 4),
            shops=rng.sample(self._shops, 3),
            members=[f"{self._name()}@{self._name()}.example" for _ in range(6)],
            marketers=rng.sample(self._marketers, 3),
        )

    def _unproven(self, domain: str, who: str) -> Source:
        """A domain without SPF and DKIM; its server has a name."""
        ip, host = self._hosts(f"mail.{domain}", self.net.network(), 1)[0]
        address = f"{who}@{domain}"
        return Source(author=address, mail_from=address, ip=ip, hello=host)

    # -------------------------------------------------------------- a week

    def _wanted(self, user: str, week: int, circle: Circle) -> None:
        rng = self._random
        for _ in range(6):
            self._letter(user, week, "friend", rng.choice(circle.friends), HOME)
        for _ in range(4):
            friend = self._at_provider(rng.choice(circle.provider_friends))
            self._letter(user, week, "friend", friend, HOME)
        for _ in range(6):
            address = f"{rng.choice(circle.colleagues)}@partner.example"
            colleague = msgspec.structs.replace(self._partner, author=address, mail_from=address)
            self._letter(user, week, "colleague", colleague, WORK)
        for brand in circle.brands:
            self._letter(user, week, "newsletter", brand, NEWS, sales=0.2)
        for _ in range(2):
            self._letter(user, week, "shop", rng.choice(circle.shops), SHOP, sales=0.1)
        for _ in range(7):
            self._letter(user, week, "list", self._by_list(circle), HOBBY)
        for _ in range(3):
            theme = rng.choice([WORK, HOME, WORK, HOME, SPAM[3], SPAM[7]])  # some lend or advertise
            self._letter(user, week, "stranger", self._stranger(circle), theme)

    def _by_list(self, circle: Circle) -> Source:
        """The list changes messages, so that the signature of the author's domain is gone."""
        ip, host = self._list_host
        return Source(
            author=self._random.choice(circle.members),
            mail_from="devel-bounces@project.example",
            ip=ip,
            hello=host,
            signers=("project.example",),
        )

    def _stranger(self, circle: Circle) -> Source:
        """Who writes for the first time, or again."""
        rng = self._random
        if circle.met and rng.random() < 0.3:
            return rng.choice(circle.met)
        domain, who = f"{self._name()}.example", self._name()
        chance = rng.random()
        if chance < 0.3:
            found = self._at_provider(f"{who}.{self._name()}")
        elif chance < 0.8:
            found = self._company(domain, who=who)
        else:
            found = self._unproven(domain, who)
        circle.met.append(found)
        return found

    def _unwanted(self, user: str, week: int, circle: Circle) -> None:
        rng = self._random
        themes = [SPAM[(week + n) % len(SPAM)] for n in range(3)]  # each week one is new
        for _ in range(3):
            campaign, words = self._campaign(), rng.choice(themes)
            for _ in range(rng.randrange(3, 7)):
                who = f"{self._name()}@{campaign.author.partition('@')[2]}"
                source = msgspec.structs.replace(campaign, author=who, mail_from=who)
                self._letter(user, week, "campaign", source, words, sales=0.2, poison=15)
        for _ in range(10):
            self._letter(user, week, "broken-in", self._broken_in(), rng.choice(themes), sales=0.1)
        for _ in range(4):
            thrown_away = self._at_provider(f"{self._name()}{rng.randrange(1000)}")
            self._letter(user, week, "throw-away", thrown_away, rng.choice(themes), poison=10)
        for _ in range(6):
            self._letter(user, week, "marketer", rng.choice(circle.marketers), SPAM[7], sales=0.2)
        for _ in range(3):
            customer = rng.choice(self._customers)
            self._letter(user, week, "service-abuse", customer, SPAM[6] + NEWS, sales=0.3)
        forged = rng.choice(circle.friends).author
        for author in (f"service@{self._bank}", forged, forged):
            source = msgspec.structs.replace(self._broken_in(), author=author, mail_from=author)
            self._letter(user, week, "forged", source, PHISH)

    def _campaign(self) -> Source:
        """A domain bought for a few days, on an address of networks that sell to such people."""
        rng = self._random
        domain = f"{self._name()}{rng.randrange(100)}.example"
        ip = f"{rng.choice(self._bad_networks)}.{rng.randrange(1, 255)}"
        host = f"mx.{domain}"
        self.net.host(host, ip)
        signs = rng.random() < 0.5
        self.net.domain(domain, [ip], dkim=signs)
        address = f"x@{domain}"
        return Source(
            author=address,
            mail_from=address,
            ip=ip,
            hello=host,
            signers=(domain,) if signs else (),
            retries=False,
        )

    def _broken_in(self) -> Source:
        """Somebody's computer at home, with a sender made up; half of them have a name."""
        rng = self._random
        ip = f"198.19.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        if rng.random() < 0.5 and ip not in self.net.zones:
            self.net.host(f"dyn-{ip.replace('.', '-')}.access.example", ip)
        address = f"{self._name()}@{self._name()}.example"
        return Source(author=address, mail_from=address, ip=ip, hello=self._name(), retries=False)

    # -------------------------------------------------------------- a message

    def _letter(
        self,
        user: str,
        week: int,
        kind: str,
        source: Source,
        theme: str,
        *,
        sales: float = 0.02,
        poison: int = 0,
    ) -> None:
        """One more.    ``poison``: words of wanted mail, to mislead filters."""
        at_ms = self._start_ms + week * WEEK_MS + int(self._random.random() * WEEK_MS)
        self._numbers[user] = number = self._numbers.get(user, 0) + 1
        id_ = f"{user}-{number}@{source.author.partition('@')[2]}"
        words = self._words(theme.split(), self._random.randrange(40, 160), sales)
        words += self._random.choices((HOME + WORK + HOBBY).split(), k=poison)
        subject = " ".join(self._words(theme.split(), 5, sales))
        lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
        raw = (
            f"From: {source.author}\r\nTo: {user}@example.org\r\nSubject: {subject}\r\n"
            f"Date: {formatdate(at_ms / 1000)}\r\nMessage-ID: <{id_}>\r\n\r\n"
            + "\r\n".join(lines)
            + "\r\n"
        ).encode()
        self.letters.append(
            Sent(
                at_ms=at_ms,
                user=user,
                id=id_,
                kind=kind,
                is_spam=kind in UNWANTED,
                author=source.author,
                mail_from=source.mail_from,
                ip=source.ip,
                hello=source.hello,
                retries=source.retries,
                raw=self.net.sign(raw, source.signers, at_ms),
            )
        )

    def _words(self, theme: list[str], count: int, sales: float) -> list[str]:
        rng, found = self._random, []
        for _ in range(count):
            chance = rng.random()
            if chance < 0.05:
                found.append(self._name())
            elif chance < 0.05 + sales:
                found.append(rng.choice(_SALES))
            elif chance < 0.35 + sales:
                found.append(rng.choice(theme))
            else:
                found.append(rng.choice(_COMMON))
        return found

    def _name(self) -> str:
        return "".join(self._random.choices(SYLLABLES, k=self._random.randrange(3, 5)))


_COMMON = COMMON.split()
_SALES = SALES.split()

WANTED = ("friend", "colleague", "newsletter", "shop", "list", "stranger")
UNWANTED = frozenset({"campaign", "broken-in", "throw-away", "marketer", "service-abuse", "forged"})
