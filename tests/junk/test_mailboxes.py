"""Junk flags that follow from the mailbox.    spec/junk.md section 6."""

import pytest

from mox.base.flags import FLAGGED, JUNK, NOTJUNK, SEEN
from mox.base.regexp import Regexp
from mox.junk.mailboxes import MailboxRules

NEUTRAL = Regexp("^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)")
NEW_ACCOUNT = MailboxRules(
    enabled=True,
    junk=Regexp("^(junk|spam)"),
    neutral=NEUTRAL,
    rejects_mailbox="Rejects",
    introbox="Introbox",
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Junk", JUNK),
        ("SPAM/2026", JUNK),
        ("Inbox", 0),
        ("Inbox/Junk", 0),
        ("Rejects", 0),
        ("DMARC", 0),
        ("Archive", NOTJUNK),
        ("Trash", NOTJUNK),
        ("My Junk", NOTJUNK),
    ],
)
@pytest.mark.parametrize("before", [0, JUNK, NOTJUNK, JUNK | NOTJUNK])
def test_of_a_new_account(name: str, kind: int, before: int) -> None:
    assert NEW_ACCOUNT.apply(SEEN | FLAGGED | before, name, ()) == SEEN | FLAGGED | kind


def test_the_mailbox_for_junk_whatever_its_name() -> None:
    assert NEW_ACCOUNT.apply(NOTJUNK, "Inbox", ("Archive", "Junk")) == JUNK
    assert MailboxRules().apply(NOTJUNK | SEEN, "Bad", ("Junk",)) == JUNK | SEEN


@pytest.mark.parametrize("before", [0, JUNK, NOTJUNK])
def test_off(before: int) -> None:
    rules = MailboxRules(junk=Regexp("^junk"), neutral=NEUTRAL)
    assert rules.apply(before, "Junk", ()) == before
    assert rules.apply(before, "Archive", ("Archive",)) == before


@pytest.mark.parametrize(
    ("rules", "kind"),
    [
        (MailboxRules(enabled=True), None),
        (MailboxRules(enabled=True, junk=Regexp("x")), None),
        (MailboxRules(enabled=True, notjunk=Regexp("x")), None),
        (MailboxRules(enabled=True, junk=Regexp("x"), neutral=Regexp("y")), NOTJUNK),
        (MailboxRules(enabled=True, junk=Regexp("x"), notjunk=Regexp("y")), 0),
        (MailboxRules(enabled=True, neutral=Regexp("x"), notjunk=Regexp("y")), JUNK),
        (
            MailboxRules(enabled=True, junk=Regexp("x"), neutral=Regexp("y"), notjunk=Regexp("z")),
            None,
        ),
    ],
)
@pytest.mark.parametrize("before", [0, JUNK, NOTJUNK])
def test_all_other_mailboxes(rules: MailboxRules, kind: int | None, before: int) -> None:
    """With two of the three set, they are of the third kind."""
    assert rules.apply(before, "Other", ()) == (before if kind is None else kind)


def test_the_first_that_fits() -> None:
    rules = MailboxRules(enabled=True, junk=Regexp("a"), neutral=Regexp("b"), notjunk=Regexp("c"))
    assert rules.apply(0, "abc", ()) == JUNK
    assert rules.apply(JUNK, "bc", ()) == 0
    assert rules.apply(0, "c", ()) == NOTJUNK


def test_out_of_the_introbox() -> None:
    """Worked example 11: to where it would have gone is wanted; elsewhere the mailbox decides."""

    def moved(flags: int, name: str, *, source: str = "Introbox", is_destined: bool) -> int:
        return NEW_ACCOUNT.moved(flags, name, (), source=source, is_destined=is_destined)

    assert moved(SEEN, "Inbox", is_destined=True) == SEEN | NOTJUNK
    assert moved(0, "Junk", is_destined=False) == JUNK
    assert moved(0, "Junk", is_destined=True) == JUNK
    assert moved(0, "Archive", is_destined=False) == NOTJUNK
    assert moved(0, "Neutral", is_destined=False) == 0
    assert moved(0, "Inbox", source="Rejects", is_destined=True) == 0
    assert MailboxRules().moved(0, "Inbox", (), source="", is_destined=True) == 0
