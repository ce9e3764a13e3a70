"""Messages signed by us, by opendkim and by dkimpy, and many that are wrong, before four judges.

Every difference is a row of mailauth_differences.tsv with a reason and the RFC section that decides.
A judgement is "pass", "later" (for a temporary reason none now) or "no"; RFC 6376 §6.1 knows no more.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import dkimcorpus, opendkim
from support.differences import Key, check
from support.dnszones import Records, Spoilt, Zone
from support.nameservers import Names
from support.rspamd import Rspamd

from mox.base.clock import SystemClock
from mox.dns.resolver import DnsResolver
from mox.mailauth.dkim.canonical import Canon
from mox.mailauth.dkim.sign import SigningKey, sign
from mox.mailauth.dkim.verify import Status, verify
from mox.mailauth.publicsuffix import listed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dkim

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.rfc("6376 §6")]

TABLE = Path(__file__).with_name("mailauth_differences.tsv")
CANONS = [f"{header}/{body}" for header in Canon for body in Canon]
TEXTS = {
    dkimcorpus.name_of(selector): records for selector, records in dkimcorpus.selectors().items()
}
FORGED = dkimcorpus.name_of("forged")

Messages = Mapping[str, bytes]
Judgements = dict[str, str]


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    records: Records = {name: {"TXT": texts} for name, texts in TEXTS.items()}
    zone = Zone(dkimcorpus.DOMAIN, records, spoilt={f"{FORGED} TXT": Spoilt.FORGED})
    with Names([zone]) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dkim")


@pytest.fixture(scope="module")
def messages(folder: Path) -> Messages:
    """The whole corpus: what is signed there, and right messages signed by three signers."""
    found = dict(dkimcorpus.cases())
    rsa = opendkim.Key(dkimcorpus.DOMAIN, "rsa2048", dkimcorpus.key_file("rsa2048", folder))
    edwards = opendkim.Key(
        dkimcorpus.DOMAIN,
        "ed25519",
        dkimcorpus.key_file("ed25519", folder),
        algorithm="ed25519-sha256",
    )
    for name, message in dkimcorpus.right_messages().items():
        for canon in CANONS:
            case = f"{canon}, {name}"
            found[f"signed by us, {case}"] = signed_by_us(message, "rsa2048", canon)
            found[f"signed by dkimpy, {case}"] = signed_by_dkimpy(message, "rsa2048", canon)
            found[f"signed by opendkim, {case}"] = opendkim.sign(
                message, rsa, folder, canonicalisation=canon, oversigned=["From", "Subject"]
            )
    text = dkimcorpus.right_messages()["text"]
    found["signed by us, ed25519"] = signed_by_us(text, "ed25519", "relaxed/relaxed")
    found["signed by us, rsa1024"] = signed_by_us(text, "rsa1024", "relaxed/relaxed")
    found["signed by dkimpy, ed25519"] = signed_by_dkimpy(text, "ed25519", "relaxed/relaxed")
    found["signed by opendkim, ed25519"] = opendkim.sign(text, edwards, folder)
    found["signed by opendkim-testmsg"] = opendkim.testmsg_signs(text, rsa)
    return found


def signed_by_us(message: bytes, name: str, canon: str) -> bytes:
    header, _, body = canon.partition("/")
    key = SigningKey(
        domain=dkimcorpus.DOMAIN,
        selector=name,
        private=dkimcorpus.key(name),
        header_canon=Canon(header),
        body_canon=Canon(body),
        lifetime_s=3600,
    )
    now_s = SystemClock().now_ms() // 1000
    return sign(message, [key], now_s=now_s, local_part="ann") + message


def signed_by_dkimpy(message: bytes, name: str, canon: str) -> bytes:
    header, _, body = canon.partition("/")
    pem = dkimcorpus.pem(name)
    more: dict[str, Any] = {}
    if name == "ed25519":
        pem = dkimcorpus.seed(name)
        more["signature_algorithm"] = b"ed25519-sha256"
    field = dkim.sign(
        message,
        name.encode(),
        dkimcorpus.DOMAIN.encode(),
        pem,
        canonicalize=(header.encode(), body.encode()),
        **more,
    )
    return bytes(field) + message


async def ours(messages: Messages, names: Names) -> Judgements:
    resolver = DnsResolver(names.settings)
    found = {}
    for name, message in messages.items():
        now_s = SystemClock().now_ms() // 1000
        results = await verify(resolver, message, now_s=now_s, suffixes=listed())
        statuses = {result.status for result in results}
        found[name] = (
            "pass" if Status.PASS in statuses else "later" if Status.TEMPERROR in statuses else "no"
        )
    await resolver.close()
    return found


def by_opendkim(messages: Messages, names: Names, folder: Path) -> Judgements:
    def judge(message: bytes) -> str:
        results = opendkim.judge(message, names.unbound.port, folder)
        return "pass" if "pass" in results else "later" if "temperror" in results else "no"

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(messages, pool.map(judge, messages.values()), strict=True))


def by_testmsg(messages: Messages, names: Names, folder: Path) -> Judgements:
    """It says the same of a key that is missing and of one that cannot be had now."""
    texts = {name: records for name, records in TEXTS.items() if name != FORGED}
    answers = opendkim.testmsg_judges(list(messages.values()), texts, folder)
    return {
        name: "no" if answer else "pass" for name, answer in zip(messages, answers, strict=True)
    }


def by_dkimpy(messages: Messages, names: Names, folder: Path) -> Judgements:
    """It tells pass from everything else, and takes the first record of a name."""

    def text(name: bytes, timeout: int = 5) -> bytes | None:
        records = TEXTS.get(name.decode().lower().removesuffix("."), [])
        return records[0].encode() if records and name.decode() != FORGED + "." else None

    def judge(message: bytes) -> str:
        try:
            verifier = dkim.DKIM(message)
            count = sum(name.lower() == b"dkim-signature" for name, _ in verifier.headers)
        except dkim.DKIMException:
            return "no"
        for index in range(count):
            try:
                if verifier.verify(index, dnsfunc=text):
                    return "pass"
            except dkim.DKIMException:
                continue
        return "no"

    return {name: judge(message) for name, message in messages.items()}


def by_rspamd(messages: Messages, names: Names, folder: Path) -> Judgements:
    found = {}
    with Rspamd(names.unbound.port) as server:
        for name, message in messages.items():
            symbols = server.symbols(message)
            found[name] = (
                "pass"
                if "R_DKIM_ALLOW" in symbols
                else "later"
                if "R_DKIM_TEMPFAIL" in symbols
                else "no"
            )
    return found


JUDGES = {
    "opendkim": by_opendkim,
    "opendkim-testmsg": by_testmsg,
    "dkimpy": by_dkimpy,
    "rspamd": by_rspamd,
}
KNOW_NO_LATER = {"opendkim-testmsg", "dkimpy"}


async def test_all_judge_alike_or_we_know_why(
    messages: Messages, names: Names, folder: Path
) -> None:
    mine = await ours(messages, names)
    found: dict[Key, str] = {}
    for judge, ask in JUDGES.items():
        theirs = ask(messages, names, folder)
        assert theirs.keys() == mine.keys()
        for name, word in mine.items():
            wanted = "no" if judge in KNOW_NO_LATER and word == "later" else word
            if theirs[name] != wanted:
                found["dkim", name, judge, wanted, theirs[name]] = repr(messages[name][:700])
    check(found, TABLE, "dkim")


async def test_what_three_signers_signed_passes_before_us(messages: Messages, names: Names) -> None:
    right = {name: one for name, one in messages.items() if name.startswith("signed by")}
    right.pop("signed by opendkim-testmsg")  # rsa-sha1
    assert len(right) > 70
    assert set((await ours(right, names)).values()) == {"pass"}
