"""The judge of crashes does report: each fault it is there for, made by hand."""

import dataclasses

import pytest
from support.crash import Found, Ledger, Remains, Sent, reconcile


def ledger() -> Ledger:
    made = Ledger(validity=7, highest=12, largest_uid=2)
    for token, uid in (("a", 1), ("b", 2), ("c", 0)):
        made.sent[token] = Sent(token, 300, exact=uid > 0, acknowledged=uid > 0, uid=uid)
    made.modseqs = {1: {10: frozenset(), 12: frozenset({b"$one"})}, 2: {11: frozenset()}}
    made.promised = {1: {b"$one"}}
    return made


def remains() -> Remains:
    of = ledger().sent
    return Remains(
        validity=7,
        uidnext=3,
        highest=12,
        messages={
            1: Found("a", 12, frozenset({b"$one"}), of["a"].octets()),
            2: Found("b", 11, frozenset(), of["b"].octets()),
        },
    )


def test_what_was_promised_and_is_there_is_no_fault() -> None:
    assert reconcile(ledger(), remains()) == []


def test_an_unacknowledged_message_may_be_there_with_a_header_before_it() -> None:
    left = remains()
    octets = b"Received: by here\r\n" + ledger().sent["c"].octets()
    left.messages[3] = Found("c", 13, frozenset(), octets)
    left = dataclasses.replace(left, uidnext=4, highest=13)
    assert reconcile(ledger(), left) == []
    left.messages[3] = Found("c", 13, frozenset(), b"Received: x\r\n\r\n" + octets)
    assert "other octets" in reconcile(ledger(), left)[0]


@pytest.mark.parametrize(
    ("uid", "message", "fault"),
    [
        (2, None, "b was acknowledged and is lost"),
        (2, Found("b", 11, frozenset(), b"short"), "other octets"),
        (2, Found("c", 11, frozenset(), None), "b was acknowledged and is lost"),
        (2, Found("b", 10, frozenset(), None), "modseq 10 was used for UIDs 1 and 2"),
        (2, Found("b", 9, frozenset(), None), "modseq 11 was told, is 9"),
        (2, Found("b", 11, frozenset({b"$x"}), None), "other flags under the same modseq"),
        (1, Found("a", 12, frozenset(), None), "{b'$one'} was acknowledged and is lost"),
        (3, Found("b", 13, frozenset(), None), "b is there more than once"),
        (3, Found("zzz", 13, frozenset(), None), "nobody sent 'zzz'"),
    ],
)
def test_each_fault_is_reported(uid: int, message: Found | None, fault: str) -> None:
    left = remains()
    if message is None:
        del left.messages[uid]
    else:
        left.messages[uid] = message
    assert any(fault in line for line in reconcile(ledger(), left))


@pytest.mark.parametrize(
    ("change", "fault"),
    [({"validity": 8}, "UIDVALIDITY"), ({"uidnext": 2}, "UIDNEXT"), ({"highest": 11}, "HIGHEST")],
)
def test_counters_that_go_back_are_reported(change: dict[str, int], fault: str) -> None:
    left = dataclasses.replace(remains(), **change)  # type: ignore[arg-type]
    assert any(line.startswith(fault) for line in reconcile(ledger(), left))


def test_a_message_under_another_uid_is_reported() -> None:
    left = remains()
    left.messages[3] = left.messages.pop(2)
    assert any("b was given UID 2 and has [3]" in line for line in reconcile(ledger(), left))
