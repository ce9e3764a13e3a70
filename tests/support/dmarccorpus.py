"""Situations for DMARC: policies in DNS, an author's domain, what SPF and DKIM found.

In every name "@" stands for the organisational domain of the case.    RFC 7489.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from support import dkimcorpus
from support.dnszones import Spoilt

IP = "192.0.2.10"
KEY = "rsa2048"
SPF = {"pass": "v=spf1 ip4:192.0.2.10 -all", "fail": "v=spf1 -all", "temperror": "v=spf1 -all"}
Texts: TypeAlias = dict[str, list[str]]


@dataclass(frozen=True)
class Case:
    """One question.   Results of SPF and DKIM: pass, fail, temperror or none."""

    domain: str  # of From
    policies: Mapping[str, Sequence[str]]  # name → texts
    spf_domain: str
    spf: str
    dkim: Sequence[tuple[str, str]]  # domain and result, from the top
    by_helo: bool = False  # MAIL FROM is empty
    broken: Sequence[str] = field(default_factory=tuple)  # names whose look-up fails

    @property
    def texts(self) -> Texts:
        """All TXT records of the case."""
        found: Texts = {name: list(texts) for name, texts in self.policies.items()}
        if self.spf != "none":
            found[self.spf_domain] = [SPF[self.spf]]
        key = dkimcorpus.selectors()[KEY]
        for domain, result in self.dkim:
            name = dkimcorpus.name_of(KEY if result != "temperror" else "late", domain)
            found[name] = key
        for name in self.broken:
            found.setdefault(name, ["v=DMARC1; p=reject"])
        return found

    @property
    def spoilt(self) -> dict[str, Spoilt]:
        """Whose records cannot be had."""
        names = [*self.broken]
        if self.spf == "temperror":
            names.append(self.spf_domain)
        late = [domain for domain, result in self.dkim if result == "temperror"]
        names += [dkimcorpus.name_of("late", domain) for domain in late]
        return {f"{name} TXT": Spoilt.FORGED for name in names}

    @property
    def message(self) -> bytes:
        """A message for which DKIM finds what the case says."""
        header = (
            f"From: Ann <ann@{self.domain}>\r\nTo: bob@example.net\r\nSubject: x\r\n"
            f"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <x@{self.domain}>\r\n"
        )
        text = f"{header}\r\ntext\r\n".encode()
        fields = b""
        for domain, result in self.dkim:
            selector = "late" if result == "temperror" else KEY
            names = "from:to:subject:date"
            whole = dkimcorpus.signed(text, {"d": domain, "s": selector}, by=KEY, names=names)
            one = whole.removesuffix(text)
            if result == "fail":
                one = one.replace(b"; h=from:", b"; z=x; h=from:")
            fields += one
        return fields + text


class _Maker:
    """Numbers the cases, so that each has its own domain."""

    def __init__(self) -> None:
        self.found: dict[str, Case] = {}

    def add(
        self,
        name: str,
        policy: str | Sequence[str] | None = "v=DMARC1; p=reject",
        *,
        domain: str = "@",
        more: Mapping[str, str] | None = None,
        spf: tuple[str, str] = ("silent.org", "none"),
        dkim: Sequence[tuple[str, str]] = (),
        by_helo: bool = False,
        broken: Sequence[str] = (),
        suffix: str = "org",
    ) -> None:
        assert name not in self.found, name
        whole = f"dmarc{len(self.found)}.{suffix}"

        def filled(text: str) -> str:
            return text.replace("@", whole)

        texts = [policy] if isinstance(policy, str) else list(policy or ())
        policies = {filled(f"_dmarc.{at}"): [text] for at, text in (more or {}).items()}
        if texts:
            policies[filled("_dmarc.@")] = texts
        self.found[name] = Case(
            domain=filled(domain),
            policies=policies,
            spf_domain=filled(spf[0]),
            spf=spf[1],
            dkim=[(filled(one), result) for one, result in dkim],
            by_helo=by_helo,
            broken=[filled(one) for one in broken],
        )


def cases() -> dict[str, Case]:
    """Name → case."""
    maker = _Maker()
    _alignment(maker)
    _policies(maker)
    _records(maker)
    _errors(maker)
    return maker.found


def _alignment(maker: _Maker) -> None:
    add = maker.add
    for policy in ("none", "quarantine", "reject"):
        text = f"v=DMARC1; p={policy}"
        add(f"p={policy}, nothing passes", text)
        add(f"p={policy}, both fail", text, spf=("@", "fail"), dkim=[("@", "fail")])
        add(f"p={policy}, SPF passes", text, spf=("@", "pass"))
        add(f"p={policy}, DKIM passes", text, dkim=[("@", "pass")])
        add(
            f"p={policy}, others pass",
            text,
            spf=("other.org", "pass"),
            dkim=[("other.net", "pass")],
        )
    for strict, text in (
        ("", "v=DMARC1; p=reject"),
        (", strict", "v=DMARC1; p=reject; adkim=s; aspf=s"),
    ):
        add(f"SPF of below{strict}", text, spf=("sub.@", "pass"))
        add(f"DKIM of below{strict}", text, dkim=[("sub.@", "pass")])
        add(f"SPF of above{strict}", text, domain="sub.@", spf=("@", "pass"))
        add(f"DKIM of above{strict}", text, domain="sub.@", dkim=[("@", "pass")])
        add(f"SPF of beside{strict}", text, domain="a.@", spf=("b.@", "pass"))
        add(f"DKIM of beside{strict}", text, domain="a.@", dkim=[("b.@", "pass")])
        add(f"SPF exact{strict}", text, spf=("@", "pass"))
        add(f"DKIM exact{strict}", text, dkim=[("@", "pass")])
    add("strict for SPF alone, DKIM below", "v=DMARC1; p=reject; aspf=s", dkim=[("sub.@", "pass")])
    add("strict for DKIM alone, SPF below", "v=DMARC1; p=reject; adkim=s", spf=("sub.@", "pass"))
    add("ends alike", spf=("not@", "pass"), dkim=[("not@", "pass")])
    add("second signature passes", dkim=[("other.net", "pass"), ("@", "pass")])
    add("one fails, one passes", dkim=[("@", "fail"), ("@", "pass")])
    add("HELO passes", spf=("@", "pass"), by_helo=True)
    add("HELO below passes", spf=("mail.@", "pass"), by_helo=True)
    add("HELO of others passes", spf=("mail.other.org", "pass"), by_helo=True)
    add("under a longer suffix, beside", domain="a.@", spf=("b.@", "pass"), suffix="co.uk")
    add("under a longer suffix, another", spf=("another.co.uk", "pass"), suffix="co.uk")
    add("under a wildcard suffix", domain="a.@", dkim=[("@", "pass")], suffix="x.ck")
    add("under a wildcard suffix, another", dkim=[("another.x.ck", "pass")], suffix="x.ck")
    add("From in capitals", domain="SUB.@", dkim=[("sub.@", "pass")])


def _policies(maker: _Maker) -> None:
    add = maker.add
    for sp in ("none", "quarantine", "reject"):
        add(f"sp={sp}, from above", f"v=DMARC1; p=reject; sp={sp}")
        add(f"sp={sp}, from below", f"v=DMARC1; p=reject; sp={sp}", domain="sub.@")
        add(f"sp={sp}, from far below", f"v=DMARC1; p=none; sp={sp}", domain="a.b.c.@")
    add("no sp, from below", "v=DMARC1; p=quarantine", domain="sub.@")
    add(
        "own record below", "v=DMARC1; p=reject", domain="sub.@", more={"sub.@": "v=DMARC1; p=none"}
    )
    add(
        "own record below with sp",
        "v=DMARC1; p=reject",
        domain="sub.@",
        more={"sub.@": "v=DMARC1; p=none; sp=reject"},
    )
    add("record between", None, domain="a.sub.@", more={"sub.@": "v=DMARC1; p=reject"})
    add("no record", None)
    add("no record, all pass", None, spf=("@", "pass"), dkim=[("@", "pass")])
    add("pct=0", "v=DMARC1; p=reject; pct=0")
    add("pct=100", "v=DMARC1; p=reject; pct=100")
    add("pct=101", "v=DMARC1; p=reject; pct=101")
    add("pct=-1", "v=DMARC1; p=reject; pct=-1")
    add("pct=all", "v=DMARC1; p=reject; pct=all")


def _records(maker: _Maker) -> None:
    add = maker.add
    rua = "rua=mailto:r@example.org"
    for text in (
        *(
            "v=DMARC1;p=reject",
            "v=DMARC1; p=reject;",
            "v=DMARC1 ; p = reject ; ",
            "v = DMARC1; p=reject",
        ),
        *("v=dmarc1; p=reject", "V=DMARC1; p=reject", "v=DMARC1; P=reject", "v=DMARC1; p=REJECT"),
        *(
            "v=DMARC1",
            "v=DMARC1;",
            "v=DMARC1 p=reject",
            "v=DMARC2; p=reject",
            "v=DMARC10; p=reject",
        ),
        *(" v=DMARC1; p=reject", "p=reject; v=DMARC1", "p=reject", "v=DMARC1; sp=reject; p=reject"),
        *(
            "v=DMARC1; p=what",
            f"v=DMARC1; p=what; {rua}",
            f"v=DMARC1; {rua}",
            "v=DMARC1; sp=reject",
        ),
        *("v=DMARC1; p=reject; sp=what", f"v=DMARC1; p=reject; sp=what; {rua}", "v=DMARC1; p="),
        *("v=DMARC1; p=reject; adkim=x", "v=DMARC1; p=reject; zz=1", "v=DMARC1; zz=1; p=reject"),
        *("v=DMARC1; p=reject; p=none", "v=DMARC1; p=none; p=reject", "v=DMARC1; p=reject; what"),
        *("v=DMARC1;; p=reject", "v=DMARC1; p=reject; rua=", "v=DMARC1; p=reject; rua=what"),
        *("v=DMARC1; p=reject; ri=-1", "v=DMARC1; p=reject; fo=x", "v=DMARC1; p=reject; rf=x"),
        *("v=DMARC1; p=reject; np=none", "v=DMARC1; p=reject\\; sp=none"),
    ):
        add(f"text {text!r}", text)
    # equal in effect: who takes the one or the other says the same
    add("two records", ["v=DMARC1; p=reject", "v=DMARC1; p=reject; pct=100"])
    add("a text beside", ["v=spf1 -all", "v=DMARC1; p=reject"])
    add("another text alone", ["v=spf1 -all"])
    add(
        "below bad, above good",
        "v=DMARC1; p=reject",
        domain="sub.@",
        more={"sub.@": "v=DMARC1; p=what"},
    )
    add("below another text", "v=DMARC1; p=reject", domain="sub.@", more={"sub.@": "v=spf1 -all"})


def _errors(maker: _Maker) -> None:
    add = maker.add
    add("policy broken", None, broken=["_dmarc.@"])
    add("policy below broken", "v=DMARC1; p=reject", domain="sub.@", broken=["_dmarc.sub.@"])
    add("SPF broken", spf=("@", "temperror"))
    add("DKIM broken", dkim=[("@", "temperror")])
    add("SPF broken, DKIM passes", spf=("@", "temperror"), dkim=[("@", "pass")])
    add("DKIM broken, SPF passes", spf=("@", "pass"), dkim=[("@", "temperror")])
    add("SPF of others broken", spf=("broken.org", "temperror"))
