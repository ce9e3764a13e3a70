"""A client that comes back learns what changed, and nothing else.   RFC 7162."""

import pytest
from support.imapclient import ImapClient, Result
from support.imapresponse import atom, number, sequence
from support.messages import small_message
from support.servers import Server

TOTAL = 500

pytestmark = pytest.mark.interop


def uids_of(ranges: bytes) -> set[int]:
    found: set[int] = set()
    for part in ranges.split(b","):
        low, _, high = part.partition(b":")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def vanished(result: Result) -> set[int]:
    found: set[int] = set()
    for response in result.of(b"VANISHED"):
        assert response.tokens[1] == [b"EARLIER"]
        found |= uids_of(atom(response.tokens[2]))
    return found


def flags_by_uid(result: Result) -> dict[int, set[bytes]]:
    found: dict[int, set[bytes]] = {}
    for response in result.of(b"FETCH"):
        items = response.pairs()
        flags = {atom(flag) for flag in sequence(items[b"FLAGS"])} - {rb"\Recent"}
        found[number(items[b"UID"])] = flags
        assert number(sequence(items[b"MODSEQ"])[0]) > 0
    return found


def change_a_hundred(other: ImapClient) -> tuple[dict[int, set[bytes]], set[int]]:
    """60 flag changes, 30 expunges, 10 new messages; gives flags by UID, and the expunged UIDs."""
    expected: dict[int, set[bytes]] = {}
    for first in range(1, 61):
        uid = first * 7  # 7 … 420
        flag = (rb"\Flagged", rb"\Seen", b"$later")[first % 3]
        other.ok(b"UID STORE %d +FLAGS.SILENT (%s)" % (uid, flag))
        expected[uid] = {flag}
    gone = {uid for uid in range(421, TOTAL) if uid % 2}  # 40 odd ones
    gone = set(sorted(gone)[:30])
    text = b",".join(b"%d" % uid for uid in sorted(gone))
    other.ok(b"UID STORE " + text + rb" +FLAGS.SILENT (\Deleted)")
    other.ok(b"UID EXPUNGE " + text)
    return expected, gone


@pytest.mark.rfc("7162 §3.2.5")
def test_reselect_after_a_hundred_changes_sends_only_these(
    imap_server: Server, mailbox: str
) -> None:
    with imap_server.imap() as other:
        other.append_many(mailbox, [small_message(f"q{n}") for n in range(TOTAL)])
        with imap_server.imap() as client:
            client.ok(b"ENABLE QRESYNC")
            selected = client.select(mailbox)
            assert selected.exists == TOTAL
            validity = selected.code_number(b"UIDVALIDITY")
            modseq = selected.code_number(b"HIGHESTMODSEQ")

        other.select(mailbox)
        expected, gone = change_a_hundred(other)
        for n in range(10):
            other.append(mailbox, small_message(f"new{n}"))
            expected[TOTAL + n + 1] = set()

        with imap_server.imap() as client:
            client.ok(b"ENABLE QRESYNC")
            back = client.select(mailbox, b"(QRESYNC (%d %d))" % (validity, modseq))
            assert back.exists == TOTAL - 30 + 10
            assert vanished(back) == gone
            assert flags_by_uid(back) == expected
            kinds = [r.kind for r in back.untagged if r.kind in (b"VANISHED", b"FETCH")]
            assert kinds.index(b"VANISHED") < kinds.index(b"FETCH")
            now = back.code_number(b"HIGHESTMODSEQ")
            assert now > modseq

        with imap_server.imap() as client:
            client.ok(b"ENABLE QRESYNC")
            again = client.select(mailbox, b"(QRESYNC (%d %d))" % (validity, now))
            assert not again.of(b"FETCH")
            assert not again.of(b"VANISHED")


@pytest.mark.rfc("7162 §3.2.5.1")
def test_known_uids_limit_what_is_told(imap_server: Server, mailbox: str) -> None:
    with imap_server.imap() as client:
        client.append_many(mailbox, [small_message(f"k{n}") for n in range(20)])
        client.ok(b"ENABLE QRESYNC")
        selected = client.select(mailbox)
        validity = selected.code_number(b"UIDVALIDITY")
        modseq = selected.code_number(b"HIGHESTMODSEQ")
        client.ok(rb"STORE 1:20 +FLAGS.SILENT (\Seen)")
        client.ok(rb"STORE 4:6,15 +FLAGS.SILENT (\Deleted)")
        client.ok(b"EXPUNGE")
        client.ok(b"UNSELECT")
        back = client.select(mailbox, b"(QRESYNC (%d %d 1:10))" % (validity, modseq))
        assert vanished(back) == {4, 5, 6}
        assert set(flags_by_uid(back)) == {1, 2, 3, 7, 8, 9, 10}


@pytest.mark.rfc("7162 §3.2.5")
def test_another_uidvalidity_gives_no_news(imap_server: Server, mailbox: str) -> None:
    with imap_server.imap() as client:
        client.append_many(mailbox, [small_message(f"v{n}") for n in range(3)])
        client.ok(b"ENABLE QRESYNC")
        validity = client.select(mailbox).code_number(b"UIDVALIDITY")
        client.ok(b"UNSELECT")
        back = client.select(mailbox, b"(QRESYNC (%d 1))" % (validity + 1))
        assert back.exists == 3
        assert not back.of(b"FETCH")
        assert not back.of(b"VANISHED")
