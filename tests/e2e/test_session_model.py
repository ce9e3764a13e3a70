"""The model of a session does report: each thing a server must not say, said by hand."""

import pytest
from support.imapresponse import parse_response
from support.sessionmodel import Model, Shared

START = (
    b"* 3 EXISTS",
    b"* OK [HIGHESTMODSEQ 30] x",
    b"* 1 FETCH (UID 5 FLAGS () MODSEQ (10))",
    b"* 2 FETCH (UID 6 FLAGS (\\Seen) MODSEQ (20))",
    b"* 3 FETCH (UID 8 FLAGS () MODSEQ (30))",
)


def model(*, qresync: bool) -> Model:
    made = Model("x", Shared(), condstore=True, qresync=qresync)
    take(made, START, "FETCH", solicited=True)
    assert made.shared.faults == []
    return made


def take(model: Model, lines: tuple[bytes, ...], command: str, *, solicited: bool = False) -> None:
    model.take([parse_response(line + b"\r\n") for line in lines], command, solicited=solicited)


@pytest.mark.parametrize(
    ("qresync", "command", "lines"),
    [
        (False, "NOOP", (b"* 2 EXPUNGE", b"* 4 EXISTS", b"* 3 FETCH (UID 9 FLAGS () MODSEQ (31))")),
        (True, "UID FETCH", (b"* VANISHED 5,8", b"* 1 FETCH (UID 6 FLAGS () MODSEQ (31))")),
        (True, "NOOP", (b"* 5 EXISTS", b"* VANISHED 9", b"* OK [HIGHESTMODSEQ 32] x")),
        (True, "UID FETCH", (b"* VANISHED (EARLIER) 1:4,7",)),
        (False, "IDLE", (b"* 1 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (33))", b"* 1 EXPUNGE")),
    ],
)
def test_what_a_server_may_say(qresync: bool, command: str, lines: tuple[bytes, ...]) -> None:
    made = model(qresync=qresync)
    take(made, lines, command)
    assert made.shared.faults == []


@pytest.mark.parametrize(
    ("qresync", "command", "lines", "fault"),
    [
        (False, "NOOP", (b"* 2 EXISTS",), "only EXPUNGE may take away"),
        (False, "FETCH", (b"* 1 EXPUNGE",), "during FETCH"),
        (False, "STORE", (b"* 1 EXPUNGE",), "during STORE"),
        (True, "SEARCH", (b"* VANISHED 5",), "during SEARCH"),
        (False, "NOOP", (b"* 4 EXPUNGE",), "EXPUNGE 4 of 3"),
        (True, "NOOP", (b"* 1 EXPUNGE",), "VANISHED is due"),
        (False, "NOOP", (b"* VANISHED 5",), "without QRESYNC"),
        (True, "NOOP", (b"* VANISHED 7",), "UID 7, which is not there"),
        (True, "NOOP", (b"* VANISHED 5", b"* VANISHED 5"), "UID 5, which is not there"),
        (True, "NOOP", (b"* 4 EXISTS", b"* VANISHED 7"), "UID 7, which is not there"),
        (False, "NOOP", (b"* 4 FETCH (UID 9 FLAGS () MODSEQ (31))",), "FETCH 4 of 3"),
        (False, "NOOP", (b"* 2 FETCH (UID 7 FLAGS () MODSEQ (31))",), "was UID 6 and is UID 7"),
        (False, "NOOP", (b"* 4 EXISTS", b"* 4 FETCH (UID 7 MODSEQ (31))"), "ascending"),
        (False, "NOOP", (b"* 2 FETCH (UID 6 FLAGS () MODSEQ (19))",), "went back from 20 to 19"),
        (False, "NOOP", (b"* 2 FETCH (UID 6 FLAGS () MODSEQ (20))",), "told before"),
        (False, "NOOP", (b"* 2 FETCH (UID 6 FLAGS () MODSEQ (25))",), "HIGHESTMODSEQ 30 was told"),
        (False, "NOOP", (b"* 2 FETCH (UID 6 FLAGS ())",), "without MODSEQ"),
        (False, "NOOP", (b"* 2 FETCH (FLAGS () MODSEQ (31))",), "without UID"),
        (False, "NOOP", (b"* OK [HIGHESTMODSEQ 29] x",), "went back from 30 to 29"),
        (False, "NOOP", (b"* BYE x",), "BYE"),
        (
            False,
            "NOOP",
            (b"* 3 EXPUNGE", b"* 3 EXISTS", b"* 3 FETCH (UID 8 FLAGS () MODSEQ (31))"),
            "told as gone",
        ),
        (
            False,
            "NOOP",
            (
                b"* 1 FETCH (UID 5 RFC822.SIZE 7 MODSEQ (10))",
                b"* 1 FETCH (UID 5 RFC822.SIZE 8 MODSEQ (10))",
            ),
            "had 7 octets",
        ),
    ],
)
def test_each_fault_is_reported(
    qresync: bool, command: str, lines: tuple[bytes, ...], fault: str
) -> None:
    made = model(qresync=qresync)
    take(made, lines, command)
    assert fault in "".join(made.shared.faults)


def test_search_results_are_checked() -> None:
    made = model(qresync=False)
    made.search([1, 3], uid_form=False, gone_before=set())
    made.search([6, 8], uid_form=True, gone_before={5})
    assert made.shared.faults == []
    made.search([4], uid_form=False, gone_before=set())
    made.search([5], uid_form=True, gone_before={5})
    made.search([1, 1], uid_form=False, gone_before=set())
    assert len(made.shared.faults) == 3


def test_coming_back_is_checked() -> None:
    lines = (b"* VANISHED (EARLIER) 6", b"* 3 FETCH (UID 9 FLAGS () MODSEQ (31))")
    responses = [parse_response(line + b"\r\n") for line in lines]
    made = model(qresync=True)
    made.reselected(responses, exists=3)
    assert made.uids == [5, 8, 9]
    assert made.shared.faults == []
    made.reselected(responses, exists=4)
    assert "EXISTS says 4" in made.shared.faults[0]


def test_an_earlier_vanished_message_must_be_gone_in_the_end() -> None:
    made = model(qresync=True)
    take(made, (b"* VANISHED (EARLIER) 6",), "UID FETCH")
    made.settled()
    assert "which are there" in made.shared.faults[0]


def test_what_an_answer_told_is_by_the_numbers_of_its_time() -> None:
    made = model(qresync=False)
    lines = (b"* 1 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (31))", b"* 2 FETCH (UID 6 MODSEQ (32))")
    take(made, (*lines, b"* 1 EXPUNGE"), "UID STORE")
    assert made.told == {5}
    made.stored([6], b"+", frozenset({b"$k1"}))
    assert made.state() == {6: frozenset({rb"\Seen", b"$k1"}), 8: frozenset()}
    assert made.shared.faults == []
