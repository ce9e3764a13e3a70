"""Situations for SPF: records in DNS, a client, a sender; and random ones from a fixed seed.

In every text "@" stands for the domain of the case.    RFC 7208.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from support.dnszones import Records

ZONE = "example.org"
IP4 = "192.0.2.10"
IP6 = "2001:db8::10"
_LONG_NAME = ".".join(["x" * 60] * 4)


@dataclass(frozen=True)
class Case:
    """One question."""

    domain: str
    records: Records
    ip: str = IP4
    localpart: str = "ann"
    helo: str = "mail.example.org"
    sender_domain: str | None = None  # of MAIL FROM; None: domain; "": the null sender
    broken: frozenset[str] = field(default_factory=frozenset)  # "name KIND" that cannot be had

    @property
    def sender(self) -> str:
        """MAIL FROM, without brackets."""
        domain = self.domain if self.sender_domain is None else self.sender_domain
        return f"{self.localpart}@{domain}" if domain else ""


Wanted: TypeAlias = dict[str, dict[str, list[str]]]
Add: TypeAlias = Callable[..., None]


def _made(
    number: int,
    spf: str | Sequence[str],
    more: Wanted | None = None,
    *,
    ip: str = IP4,
    localpart: str = "ann",
    helo: str = "mail.example.org",
    sender_domain: str | None = None,
) -> Case:
    domain = f"case{number}.{ZONE}"
    texts = [spf] if isinstance(spf, str) else list(spf)
    written: Wanted = {"@": {"TXT": texts}} if texts else {}
    for name, kinds in (more or {}).items():
        written.setdefault(name, {}).update(kinds)
    records: Wanted = {}
    broken: set[str] = set()
    for name, kinds in written.items():
        owner = records.setdefault(_filled(name, domain), {})
        for kind, values in kinds.items():
            if kind == "BROKEN":  # of these kinds
                broken.update(f"{_filled(name, domain)} {one}" for one in values)
                owner.update({one: [_SOMETHING[one]] for one in values})
            else:
                owner[kind] = [_filled(value, domain) for value in values]
    return Case(
        domain,
        records,
        ip=ip,
        localpart=localpart,
        helo=_filled(helo, domain),
        sender_domain=None if sender_domain is None else _filled(sender_domain, domain),
        broken=frozenset(broken),
    )


_SOMETHING = {"A": "192.0.2.99", "TXT": "v=spf1 -all", "MX": "10 mail.example.org"}


def _filled(text: str, domain: str) -> str:
    return text.replace("@", domain)


def _reverse(ip: str) -> str:
    return ipaddress.ip_address(ip).reverse_pointer


def _includes(count: int, last: str) -> Wanted:
    """A chain of so many includes."""
    found: Wanted = {}
    for n in range(1, count):
        found[f"i{n}.@"] = {"TXT": [f"v=spf1 include:i{n + 1}.@ -all"]}
    found[f"i{count}.@"] = {"TXT": [last]}
    return found


def _hosts(count: int, right: int) -> Wanted:
    """MX records for hosts, of which one is the client."""
    found: Wanted = {"@": {"MX": [f"{10 + n} m{n}.@" for n in range(count)]}}
    for n in range(count):
        found[f"m{n}.@"] = {"A": [IP4 if n == right else f"198.51.100.{n + 1}"]}
    return found


def cases() -> dict[str, Case]:
    """Name → case."""
    found: dict[str, Case] = {}

    def add(name: str, spf: str | Sequence[str], more: Wanted | None = None, **rest: Any) -> None:
        assert name not in found, name
        found[name] = _made(len(found), spf, more, **rest)

    for qualifier in ("", "+", "-", "~", "?"):
        add(f"{qualifier}all", f"v=spf1 {qualifier}all")
        add(f"{qualifier}ip4", f"v=spf1 {qualifier}ip4:{IP4} -all")
    _networks(add)
    _hosts_and_names(add)
    _others(add)
    _macros(add)
    _limits(add)
    _syntax(add)
    _identities(add)
    plain = found["ip4"]
    found["domain in capitals"] = replace(plain, sender_domain=plain.domain.upper())
    return found


def _networks(add: Add) -> None:
    for term in (
        *("ip4:192.0.2.0/24", "ip4:192.0.2.11", "ip4:192.0.2.8/30", "ip4:192.0.2.8/29"),
        *("ip4:0.0.0.0/0", "ip4:192.0.2.10/32", "ip4:192.0.2.10/33", "ip4:192.0.2.10/"),
        *("ip4:192.0.2", "ip4:192.0.2.300", "ip4:192.0.2.010", "ip4:192.0.2.10/024", "ip4:"),
        *("ip4", "ip4:2001:db8::10", "ip6:192.0.2.10", "ip6:::ffff:192.0.2.10"),
        *("ip4:192.0.2.10//64", "ip4:192.0.2.10/24/24", "ip4=192.0.2.10", "IP4:192.0.2.10"),
    ):
        add(f"{term} for IPv4", f"v=spf1 {term} -all")
    for term in (
        *("ip6:2001:db8::10", "ip6:2001:db8::/32", "ip6:2001:db9::/32", "ip6:::/0"),
        *("ip6:2001:db8::10/128", "ip6:2001:db8::10/129", "ip6:2001:db8:::10", "ip6:"),
        *(
            "ip6:2001:DB8:0:0:0:0:0:10",
            "ip4:192.0.2.10",
            "ip6:2001:db8::10/064",
            "ip6:[2001:db8::10]",
        ),
    ):
        add(f"{term} for IPv6", f"v=spf1 {term} -all", ip=IP6)
    add("ip4 for an IPv4-mapped client", f"v=spf1 ip4:{IP4} -all", ip=f"::ffff:{IP4}")
    add("ip6 for an IPv4-mapped client", "v=spf1 ip6:::ffff:0:0/96 -all", ip=f"::ffff:{IP4}")


def _hosts_and_names(add: Add) -> None:
    near: Wanted = {"@": {"A": ["192.0.2.77"], "AAAA": ["2001:db8::77"]}}
    exact: Wanted = {"@": {"A": ["198.51.100.1", IP4], "AAAA": [IP6]}}
    for term in ("a", "a/24", "a/32", "a//64", "a/24//64", "a/0", "a/33", "a//129", "a/", "a:"):
        add(f"{term} near", f"v=spf1 {term} -all", near)
        add(f"{term} near, IPv6", f"v=spf1 {term} -all", near, ip=IP6)
    add("a exact", "v=spf1 a -all", exact)
    add("a exact, IPv6", "v=spf1 a -all", exact, ip=IP6)
    add("a elsewhere", "v=spf1 a:h.@ -all", {"h.@": {"A": [IP4]}})
    add("a elsewhere with length", "v=spf1 a:h.@/24 -all", {"h.@": {"A": ["192.0.2.1"]}})
    add("a of nobody", "v=spf1 a:nobody.@ -all")
    add("a by alias", "v=spf1 a:c.@ -all", {"c.@": {"CNAME": ["h.@"]}, "h.@": {"A": [IP4]}})
    add("a broken", "v=spf1 a:b.@ -all", {"b.@": {"BROKEN": ["A"]}})
    add("a broken after a match", f"v=spf1 ip4:{IP4} a:b.@ -all", {"b.@": {"BROKEN": ["A"]}})
    add("a with a single label", "v=spf1 a:host -all")
    add("a with a number as top", "v=spf1 a:host.123 -all")
    add("a with an address", f"v=spf1 a:{IP4} -all")
    add("a with an empty label", "v=spf1 a:h..@ -all")
    add("a with a dot at the end", "v=spf1 a:h.@. -all", {"h.@": {"A": [IP4]}})
    add("a with an underscore", "v=spf1 a:_h.@ -all", {"_h.@": {"A": [IP4]}})
    add("a with a long label", f"v=spf1 a:{'x' * 64}.@ -all")
    for count, right in ((1, 0), (3, 2), (10, 9), (10, 99), (11, 10), (11, 0), (11, 99)):
        add(f"mx, number {right} of {count}", "v=spf1 mx -all", _hosts(count, right))
    add(
        "mx with length", "v=spf1 mx/24 -all", {"@": {"MX": ["1 h.@"]}, "h.@": {"A": ["192.0.2.1"]}}
    )
    add("mx elsewhere", "v=spf1 mx:o.@ -all", {"o.@": {"MX": ["1 h.@"]}, "h.@": {"A": [IP4]}})
    add("mx null", "v=spf1 mx -all", {"@": {"MX": ["0 ."]}})
    add("mx of nobody", "v=spf1 mx:nobody.@ -all")
    add("mx whose host is nobody", "v=spf1 mx -all", {"@": {"MX": ["1 nobody.@"]}})
    add("mx implicit", "v=spf1 mx -all", {"@": {"A": [IP4]}})
    add("mx broken", "v=spf1 mx:b.@ -all", {"b.@": {"BROKEN": ["MX"]}})


def _others(add: Add) -> None:
    for result in ("+all", "-all", "~all", "?all", "what", "redirect=nobody.@"):
        add(
            f"include of {result}",
            "v=spf1 include:i.@ ~all",
            {"i.@": {"TXT": [f"v=spf1 {result}"]}},
        )
        add(f"redirect to {result}", "v=spf1 redirect=i.@", {"i.@": {"TXT": [f"v=spf1 {result}"]}})
    add("include of nobody", "v=spf1 include:nobody.@ ~all")
    add("include without domain", "v=spf1 include ~all")
    add("include with empty domain", "v=spf1 include: ~all")
    add("include with length", "v=spf1 include:i.@/24 ~all", {"i.@": {"TXT": ["v=spf1 +all"]}})
    add("include broken", "v=spf1 include:b.@ ~all", {"b.@": {"BROKEN": ["TXT"]}})
    add(
        "include of two records",
        "v=spf1 include:i.@ ~all",
        {"i.@": {"TXT": ["v=spf1 +all", "v=spf1 -all"]}},
    )
    add("include of itself", "v=spf1 include:@ ~all")
    add("redirect to itself", "v=spf1 redirect=@")
    add("redirect to nobody", "v=spf1 redirect=nobody.@")
    add("redirect after all", "v=spf1 -all redirect=i.@", {"i.@": {"TXT": ["v=spf1 +all"]}})
    add("redirect before all", "v=spf1 redirect=i.@ -all", {"i.@": {"TXT": ["v=spf1 +all"]}})
    add("redirect twice", "v=spf1 redirect=i.@ redirect=i.@", {"i.@": {"TXT": ["v=spf1 +all"]}})
    add("redirect empty", "v=spf1 redirect=")
    add("redirect broken", "v=spf1 redirect=b.@", {"b.@": {"BROKEN": ["TXT"]}})
    add("exists", "v=spf1 exists:e.@ -all", {"e.@": {"A": ["127.0.0.2"]}})
    add("exists, IPv6 client", "v=spf1 exists:e.@ -all", {"e.@": {"A": ["127.0.0.2"]}}, ip=IP6)
    add("exists of AAAA alone", "v=spf1 exists:e.@ -all", {"e.@": {"AAAA": ["::1"]}}, ip=IP6)
    add("exists not", "v=spf1 exists:nobody.@ -all")
    add("exists without domain", "v=spf1 exists -all")
    add("exists with length", "v=spf1 exists:e.@/24 -all", {"e.@": {"A": ["127.0.0.2"]}})
    add("exists broken", "v=spf1 exists:b.@ -all", {"b.@": {"BROKEN": ["A"]}})
    add("exp of a failure", "v=spf1 -all exp=e.@", {"e.@": {"TXT": ["you are %{i}"]}})
    add("exp of nobody", "v=spf1 -all exp=nobody.@")
    add("exp twice", "v=spf1 -all exp=e.@ exp=e.@", {"e.@": {"TXT": ["no"]}})
    add("exp empty", "v=spf1 exp= -all")


def _macros(add: Add) -> None:
    for macro, name in (
        *(("%{d}", "@"), ("%{o}", "@"), ("%{l}", "ann"), ("%{i}", IP4), ("%{v}", "in-addr")),
        *(("%{ir}", "10.2.0.192"), ("%{d2}", ZONE), ("%{d1}", "org"), ("%{h}", "mail.example.org")),
        *(("%{dr}", ".".join(ZONE.split(".")[::-1])), ("%{L}", "ann"), ("%{i2}", "2.10")),
        *(("%{ir2}", "0.192"), ("%{d0}", ZONE), ("%{d999}", "@"), ("%{x}", "x"), ("%{", "x")),
        *(("%", "x"), ("%a", "x"), ("%{d", "x"), ("%{d2r}", "org.example"), ("%{l1r-}", "ann")),
        *(("%{c}", IP4), ("%{r}", "x"), ("%{t}", "x"), ("%%", "x"), ("%_", "x"), ("%-", "x")),
        *(("%{D}", "@"), ("%{i.}", IP4), ("%{ir.-}", "10.2.0.192"), ("%{d2d}", "x")),
    ):
        add(
            f"exists by macro {macro}",
            f"v=spf1 exists:{macro}.m.@ -all",
            {f"{name}.m.@": {"A": ["127.0.0.2"]}},
        )
    for localpart in ("ann-lee", "ann.lee", "ann_lee", "ANN"):
        add(
            f"macro l- of {localpart}",
            "v=spf1 exists:%{lr-}.m.@ -all",
            {f"{'.'.join(localpart.lower().split('-')[::-1])}.m.@": {"A": ["127.0.0.2"]}},
            localpart=localpart,
        )
    add(
        "macro i of IPv6",
        "v=spf1 exists:%{ir}.%{v}.m.@ -all",
        {f"{_reverse(IP6).removesuffix('.arpa')}.m.@": {"A": ["127.0.0.2"]}},
        ip=IP6,
    )
    add(
        "macro makes a name too long",
        f"v=spf1 exists:%{{h}}.{_LONG_NAME[:150]}.m.@ -all",
        helo="h." * 60 + "example.org",
    )
    add(
        "include by macro",
        "v=spf1 include:%{d2}.m.@ ~all",
        {f"{ZONE}.m.@": {"TXT": ["v=spf1 +all"]}},
    )
    add("redirect by macro", "v=spf1 redirect=%{l}.m.@", {"ann.m.@": {"TXT": ["v=spf1 +all"]}})
    add("a by macro", "v=spf1 a:%{l}.m.@ -all", {"ann.m.@": {"A": [IP4]}})
    add(
        "mx by macro",
        "v=spf1 mx:%{l}.m.@ -all",
        {"ann.m.@": {"MX": ["1 h.@"]}, "h.@": {"A": [IP4]}},
    )
    add("macro and length", "v=spf1 a:%{l}.m.@/24 -all", {"ann.m.@": {"A": ["192.0.2.1"]}})
    add(
        "slash in macro delimiters",
        "v=spf1 exists:%{l/}.m.@ -all",
        {"ann.m.@": {"A": ["127.0.0.2"]}},
    )


def _limits(add: Add) -> None:
    for count in (9, 10, 11):
        names: Wanted = {f"h{n}.@": {"A": ["198.51.100.1"]} for n in range(count)}
        terms = " ".join(f"a:h{n}.@" for n in range(count))
        add(f"{count} look-ups, then all", f"v=spf1 {terms} ~all", names)
        add(f"{count} look-ups, then ip4", f"v=spf1 {terms} ip4:{IP4} -all", names)
        add(f"{count} includes deep", "v=spf1 include:i1.@ -all", _includes(count, "v=spf1 +all"))
    for count in (1, 2, 3):
        terms = " ".join(f"a:nobody{n}.@" for n in range(count))
        add(f"{count} void look-ups, then all", f"v=spf1 {terms} ~all")
        add(f"{count} void look-ups, then ip4", f"v=spf1 {terms} ip4:{IP4} -all")
        add(
            f"{count} void look-ups, then a match",
            f"v=spf1 {terms} a:h.@ -all",
            {"h.@": {"A": [IP4]}},
        )
    add("a match before too many", f"v=spf1 ip4:{IP4} " + " ".join(f"a:h{n}.@" for n in range(12)))
    add(
        "ten look-ups by redirect",
        "v=spf1 " + " ".join(f"a:h{n}.@" for n in range(9)) + " redirect=i.@",
        {"i.@": {"TXT": ["v=spf1 +all"]}, **{f"h{n}.@": {"A": ["198.51.100.1"]} for n in range(9)}},
    )
    add(
        "eleven look-ups by redirect",
        "v=spf1 " + " ".join(f"a:h{n}.@" for n in range(10)) + " redirect=i.@",
        {
            "i.@": {"TXT": ["v=spf1 +all"]},
            **{f"h{n}.@": {"A": ["198.51.100.1"]} for n in range(10)},
        },
    )


def _syntax(add: Add) -> None:
    add("no record", [])
    add("another text", ["something else"], {"@": {"A": [IP4]}})
    add("a record beside texts", ["something else", "v=spf1 +all"])
    add("two records", ["v=spf1 +all", "v=spf1 -all"])
    for text in (
        *("v=spf1", "v=spf1 ", "v=spf10 +all", "V=SPF1 +ALL", " v=spf1 +all", "v=spf1\t+all"),
        *(
            "v=spf1  +all",
            "v=spf1 +all ",
            "v=spf1+all",
            "v=spf1;+all",
            "v=spf1 +all;",
            "v=spf2.0/pra +all",
        ),
        *("v=spf1 +all -all", "v=spf1 -all +all", "v=spf1 all:x", "v=spf1 all/24", "v=spf1 ++all"),
        *("v=spf1 unknown -all", "v=spf1 -all unknown", "v=spf1 unknown:x +all", "v=spf1 x=y +all"),
        *("v=spf1 accept=1 +all", "v=spf1 all=1 +all", "v=spf1 ptr=x +all", "v=spf1 +x=y +all"),
        *("v=spf1 1x=y +all", "v=spf1 x-y_z.1=%{d} +all", "v=spf1 x=%{ +all", "v=spf1 =y +all"),
        *(
            "v=spf1 x= +all",
            "v=spf1 moo.cow/far_out=man:dog/cat +all",
            "v=spf1 !all",
            "v=spf1 a:b:c +all",
        ),
        *("v=spf1 +all v=spf1", "v=spf1 include:%{d}%{d} -all", "v=spf1 e\x01x=y +all"),
    ):
        add(f"text {text!r}", text)
    add("a long record", "v=spf1 " + "ip4:198.51.100.1 " * 120 + "+all")
    add("not ASCII", "v=spf1 a:grüße.@ -all")


def _identities(add: Add) -> None:
    add("null sender, by HELO", "v=spf1 +all", sender_domain="", helo="@")
    add("null sender, HELO of nobody", [], sender_domain="", helo="nobody.@")
    add("null sender, HELO an address", "v=spf1 +all", sender_domain="", helo=f"[{IP4}]")
    add("null sender, HELO of one label", "v=spf1 +all", sender_domain="", helo="localhost")
    add(
        "null sender, macro l",
        "v=spf1 exists:%{l}.m.@ -all",
        {"postmaster.m.@": {"A": ["127.0.0.2"]}},
        sender_domain="",
        helo="@",
    )
    add(
        "empty localpart",
        "v=spf1 exists:%{l}.m.@ -all",
        {"postmaster.m.@": {"A": ["127.0.0.2"]}},
        localpart="",
    )
    add("domain of one label", [], sender_domain="localhost")
    add("domain with a long label", [], sender_domain="x" * 64 + ".@")
    add("domain with an empty label", [], sender_domain="x..@")
    add("broken", [], {"@": {"BROKEN": ["TXT"]}})


def reverse_records() -> Records:
    """What the client's addresses claim: the same for all cases."""
    return {
        IP4: {"PTR": ["mail.example.org", "liar.example.org"]},
        IP6: {"PTR": ["mail.example.org"]},
    }


def forward_records() -> Records:
    """The names that reverse_records() gives."""
    return {
        "mail.example.org": {"A": [IP4], "AAAA": [IP6]},
        "liar.example.org": {"A": ["198.51.100.200"]},
    }


# --- random ones ---


def random_cases(count: int, seed: int = 7208) -> list[Case]:
    """Records of random terms over a small world, in which look-ups often find something.

    Two things are left out, in which pyspf decides before it has to (RFC 7208 §4.6, §5.4): a record
    that includes itself, behind a match, and hosts of an MX that have no address, behind one.
    """
    rng = random.Random(seed)
    return [_random_case(rng, number) for number in range(count)]


_HOSTS = ["n0.@", "n1.@"]  # these have addresses of both kinds
_NAMES = [*_HOSTS, "n2.@", "n3.@"]


def _random_case(rng: random.Random, number: int) -> Case:
    more: Wanted = {}
    for name in [*_NAMES, "@"]:
        kinds: dict[str, list[str]] = {}
        if name in _HOSTS or rng.random() < 0.5:
            known = [IP4, "192.0.2.11", "192.0.2.200", "198.51.100.1"]
            kinds["A"] = rng.sample(known, rng.randint(1, 2))
        if name in _HOSTS or rng.random() < 0.5:
            kinds["AAAA"] = rng.sample([IP6, "2001:db8::11", "2001:db9::1"], rng.randint(1, 2))
        if rng.random() < 0.5:
            kinds["MX"] = [f"{n} {rng.choice(_HOSTS)}" for n in range(1, rng.randint(2, 4))]
        if name != "@" and rng.random() < 0.7:
            kinds["TXT"] = [_random_record(rng, [one for one in _NAMES if one > name])]
        if kinds:
            more[name] = kinds
    ip = rng.choice([IP4, IP4, IP6])
    return _made(number, _random_record(rng, _NAMES), more, ip=ip)


def _random_record(rng: random.Random, others: Sequence[str]) -> str:
    """``others``: what it may include, or redirect to."""
    terms = [_random_term(rng, others) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.6:
        terms.append(rng.choice("+-~?") + "all")
    elif rng.random() < 0.4 and others:
        terms.append(f"redirect={rng.choice(others)}")
    if rng.random() < 0.1:
        terms.append(rng.choice(["x=y", "what", "ip4:1.2.3", "a/99", "exp=n0.@"]))
    return " ".join(["v=spf1", *terms])


def _random_term(rng: random.Random, others: Sequence[str]) -> str:
    length = rng.choice(["", "", "/24", "/31", "//32", "/24//64"])
    name = rng.choice([*_NAMES, "@", "%{l}.@", "n%{i1}.@", "nobody.@"])
    choices = [
        f"ip4:{rng.choice([IP4, '192.0.2.0/24', '192.0.2.12/30', '198.51.100.0/25'])}",
        f"ip6:{rng.choice([IP6, '2001:db8::/32', '2001:db9::/32'])}",
        f"a{length}",
        f"a:{name}{length}",
        f"mx{length}",
        f"mx:{name}{length}",
        f"exists:{name}",
    ]
    if others:
        choices += [f"include:{rng.choice(others)}"] * 2
    return rng.choice(["", "", "-", "~", "?"]) + rng.choice(choices)
