"""What happened, in plain words."""

import msgspec
import pytest

from mox.queue.entry import Attempt, Ending, Entry, HostTry, Retired, clip, decode, encode
from mox.queue.explain import explain, span
from mox.queue.schedule import Schedule
from mox.store.errors import DataDamaged

NOW = 1_796_000_000_000
MINUTE = 60_000
ENTRY = Entry(
    id=17,
    content=16,
    size=1234,
    queued_ms=NOW - 10 * MINUTE,
    account="me",
    sender_localpart="me",
    sender_domain="example.org",
    recipient_localpart="you",
    recipient_domain="example.net",
    next_ms=NOW + 15 * MINUTE,
    attempts=2,
    first_ms=NOW - 10 * MINUTE,
    last_ms=NOW - 2 * MINUTE,
    message_id="1@example.org",
    subject="hello",
)
FIRST = Attempt(number=1, start_ms=NOW - 10 * MINUTE)
SECOND = Attempt(
    number=2,
    start_ms=NOW - 2 * MINUTE,
    duration_ms=1234,
    finished=True,
    code=450,
    enhanced="4.2.0",
    error="RCPT TO: try again later",
    remote_host="mx2.example.net",
    remote_ip="192.0.2.2",
    lines=("450 4.2.0 try again later",),
    tries=(
        HostTry(
            host="mx1.example.net",
            ip="192.0.2.1",
            duration_ms=1000,
            policy="mta-sts enforce",
            policy_why="the policy of example.net names the host",
            outcome="certificate expired",
            next_step="the next host",
        ),
        HostTry(
            host="mx2.example.net",
            ip="192.0.2.2",
            duration_ms=234,
            policy="mta-sts enforce",
            tls="TLSv1.3 TLS_AES_128_GCM_SHA256",
            certificate="valid, for mx2.example.net",
            replies=("220 mx2.example.net ESMTP", "450 4.2.0 try again later"),
        ),
    ),
    next_step="tried again at 1 Dec 2026 00:00:00 +0000",
)


def told(found: Entry | Retired, *attempts: Attempt) -> str:
    return "\n".join(explain(found, attempts, NOW, Schedule()))


def test_a_message_that_waits() -> None:
    text = told(ENTRY, FIRST, SECOND)
    for wanted in (
        "Message 17 from <me@example.org> to <you@example.net>",
        "of account me, 1234 bytes",
        "Subject: hello",
        "The next attempt, number 3, is in 15 min, ",
        "the last attempt is in 3 d 23 h, ",
        "ended with the server",
        "Host mx1.example.net (192.0.2.1), 1.0 s",
        "TLS asked for: mta-sts enforce, because the policy of example.net names the host",
        "TLS used: none",
        "Outcome: certificate expired",
        "Then: the next host",
        "TLS used: TLSv1.3 TLS_AES_128_GCM_SHA256",
        "Certificate: valid, for mx2.example.net",
        "> 220 mx2.example.net ESMTP",
        "Failed with 450 4.2.0: RCPT TO: try again later",
        "It took 1.2 s. Then: tried again at 1 Dec 2026 00:00:00 +0000.",
    ):
        assert wanted in text


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"hold": True}, "It is on hold"),
        ({"ending": Ending.DROP}, "removed as soon as its attempt ends"),
        ({"ending": Ending.FAIL}, "given up as soon as its attempt ends"),
        ({"transport": "relay"}, "Transport relay is set"),
        ({"require_tls": True}, "REQUIRETLS"),
        ({"require_tls": False}, "TLS-Required: No"),
        ({"notify": "NEVER"}, "wants notifications: NEVER"),
        ({"base_id": 15}, "the first has number 15"),
        ({"release_ms": NOW}, "Not to be sent before"),
        ({"next_ms": NOW - 1}, "number 3, is now"),
    ],
)
def test_what_is_special(changes: dict[str, object], wanted: str) -> None:
    assert wanted in told(msgspec.structs.replace(ENTRY, **changes), FIRST, SECOND)


def test_a_message_under_way() -> None:
    running = Attempt(number=2, start_ms=NOW - 1000)
    text = told(ENTRY, FIRST, running)
    assert "It is being delivered" in text
    assert text.endswith("going on, or ended with the server")


def test_a_message_that_is_done() -> None:
    done = Attempt(
        number=2,
        start_ms=NOW,
        finished=True,
        success=True,
        code=250,
        enhanced="2.0.0",
        remote_host="mx.example.net",
        next_step="done",
    )
    retired = Retired(
        entry=ENTRY, success=True, last_activity_ms=NOW, keep_until_ms=NOW + 1, event="delivered"
    )
    text = told(retired, FIRST, done)
    assert "It was delivered. Done " in text
    assert "Accepted by mx.example.net: 250 2.0.0" in text
    lost = msgspec.structs.replace(retired, success=False, event="failed")
    assert "It was not delivered: failed." in told(lost, FIRST)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (3_600_000, "1 h 0 min"),
        (90_061_000, "1 d 1 h"),
    ],
)
def test_spans(milliseconds: int, text: str) -> None:
    assert span(milliseconds) == text


def test_older_values_are_read() -> None:
    """Fields come at the end, with defaults; an unknown version is refused."""
    whole = msgspec.msgpack.decode(encode(FIRST)[1:])
    assert decode(Attempt, b"\x01" + msgspec.msgpack.encode(whole[:2])) == FIRST
    assert decode(Attempt, b"\x01" + msgspec.msgpack.encode([*whole, "new"])) == FIRST
    for damaged in (b"", b"\x02" + encode(FIRST)[1:], b"\x01\xff", encode(FIRST)[:5]):
        with pytest.raises(DataDamaged):
            decode(Attempt, damaged)


def test_what_peers_say_is_cut() -> None:
    assert clip("a\r\n b\t\x00") == "a b \x00"
    assert len(clip("x" * 5000)) == 1000
    assert clip("\udc80") == "?"
