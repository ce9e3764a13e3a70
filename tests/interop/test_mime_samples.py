"""ENVELOPE, BODYSTRUCTURE and BODY[…] of Python's MIME samples, as Dovecot understands them.

Every difference is a row of mime_differences.tsv with a reason and the RFC section that decides.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from support.counterparts import folder
from support.differences import Key, check, judged, read_table
from support.imapclient import ImapClient
from support.imapresponse import Token
from support.servers import Dovecot, Mox, Server
from support.structure import normal, part_names

TABLE = Path(__file__).with_name("mime_differences.tsv")
SAMPLES = "/usr/lib/python3.11/test/test_email/data"
WHOLE = (
    *("RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY", "BODY[]", "BODY[HEADER]", "BODY[TEXT]"),
    *("BODY[HEADER.FIELDS (SUBJECT FROM)]", "BODY[HEADER.FIELDS.NOT (SUBJECT RECEIVED)]"),
    *("BODY[]<100.200>", "BODY[TEXT]<10.50>"),
)

pytestmark = [pytest.mark.interop, pytest.mark.rfc("9051 §7.5.2")]

Answers = dict[str, Token]
_names = itertools.count(1)


def samples() -> dict[str, bytes]:
    found = {}
    for file in sorted(folder(SAMPLES, "libpython3.11-testsuite").glob("msg_*.txt")):
        text = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        found[file.name] = text if text.endswith(b"\r\n") else text + b"\r\n"
    assert len(found) > 40
    return found


def ask(client: ImapClient, seq: int, items: list[str]) -> Answers:
    """Each item asked for by itself, so that one refusal does not hide the others."""
    answers: Answers = {}
    for item in items:
        peek = item.replace("BODY[", "BODY.PEEK[")
        result = client.command(f"FETCH {seq} ({peek})".encode())
        if result.status != b"OK":
            answers[item] = b"refused: " + result.status
            continue
        (value,) = (v for k, v in result.fetched()[seq].items() if k not in (b"UID", b"FLAGS"))
        answers[item] = normal(value) if item in ("BODY", "BODYSTRUCTURE") else value
    return answers


def part_items(client: ImapClient, seq: int) -> list[str]:
    structure = client.ok(b"FETCH %d (BODYSTRUCTURE)" % seq).fetched()[seq][b"BODYSTRUCTURE"]
    items = []
    for name, message in part_names(structure):
        items += [f"BODY[{name}]", f"BODY[{name}.MIME]"]
        if message:
            items += [f"BODY[{name}.HEADER]", f"BODY[{name}.TEXT]"]
    return items


def fill(server: Server, messages: list[bytes]) -> ImapClient:
    name = f"Samples{next(_names)}"
    client = server.imap(timeout=60)
    client.ok(f"CREATE {name}".encode())
    client.append_many(name, messages)
    client.select(name)
    return client


def differences(one: Server, other: Server) -> dict[Key, str]:
    """(sample, item) → what both say."""
    texts = samples()
    found: dict[Key, str] = {}
    with fill(one, list(texts.values())) as a, fill(other, list(texts.values())) as b:
        for seq, sample in enumerate(texts, 1):
            parts = dict.fromkeys([*part_items(a, seq), *part_items(b, seq)])
            items = [*WHOLE, *parts]
            said_a, said_b = ask(a, seq, items), ask(b, seq, items)
            for item in items:
                if said_a[item] != said_b[item]:
                    ours, theirs = repr(said_a[item]), repr(said_b[item])
                    shown = f"{one.name}: {ours[:700]}\n    {other.name}: {theirs[:700]}"
                    found[sample, item] = shown
    return found


@pytest.mark.slow
def test_mime_samples_are_understood_as_by_dovecot(mox: Mox, dovecot: Dovecot) -> None:
    check(differences(mox, dovecot), TABLE)


def test_the_comparison_itself_sees_no_difference_between_two_dovecots(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    with Dovecot(tmp_path / "second") as second:
        assert differences(second, dovecot) == {}


def test_an_unlisted_difference_and_a_superfluous_row_are_faults() -> None:
    text = "# x\nsample\titem\treason\trfc\nm1\tENVELOPE\twhy\tRFC 5322 §3.4\n"
    rows = read_table(text)
    assert judged({("m1", "ENVELOPE"): "x"}, rows) == []
    assert judged({}, rows) == ["m1 ENVELOPE: the row is no longer needed"]
    (fault,) = judged({("m1", "ENVELOPE"): "x", ("m2", "BODY[1]"): "y"}, rows)
    assert fault.startswith("m2 BODY[1] is not listed")


def test_case_means_nothing_in_types_and_parameter_names() -> None:
    parameters: list[Token] = [b"CHARSET", b"UTF-8", b"a", b"b"]
    swapped: list[Token] = [b"A", b"b", b"charset", b"UTF-8"]
    one: list[Token] = [b"TEXT", b"Plain", parameters, None, None, b"7BIT", b"3", b"1"]
    other: list[Token] = [b"text", b"plain", swapped, None, None, b"7bit", b"3", b"1"]
    assert normal(one) == normal(other)
    assert normal([one, b"MIXED"]) == normal([other, b"mixed"])
    assert normal([*one[:6], b"4", b"1"]) != normal(other)
