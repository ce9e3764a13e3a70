"""mbsync pulls, changes come from both sides, and a second run has nothing to do."""

from pathlib import Path

import pytest
from support.filling import fill
from support.imapclient import ImapClient, Literal
from support.imapresponse import atom, number, sequence
from support.mbsync import Sync
from support.messages import MessageMaker
from support.servers import Server

pytestmark = pytest.mark.interop

State = dict[int, tuple[bytes, frozenset[bytes]]]


def server_state(client: ImapClient, mailbox: str) -> State:
    """UID → Message-ID and flags (without Recent)."""
    client.ok(f'EXAMINE "{mailbox}"'.encode())
    state: State = {}
    for items in client.ok(b"FETCH 1:* (UID FLAGS ENVELOPE)").fetched().values():
        flags = {atom(flag) for flag in sequence(items[b"FLAGS"])} - {rb"\Recent"}
        message_id = atom(sequence(items[b"ENVELOPE"])[9])
        state[number(items[b"UID"])] = message_id, frozenset(flags)
    client.ok(b"UNSELECT")
    return state


def folder_state(sync: Sync) -> State:
    """The same, from the Maildir."""
    names = {"S": rb"\Seen", "F": rb"\Flagged", "R": rb"\Answered", "D": rb"\Draft"}
    state: State = {}
    for file in sync.files():
        letters = file.name.partition(":2,")[2]
        head = file.read_bytes().partition(b"\n\n")[0]
        line = next(x for x in head.split(b"\n") if x.lower().startswith(b"message-id:"))
        message_id = line.partition(b":")[2].strip()
        state[sync.uid(file)] = message_id, frozenset(names[letter] for letter in letters)
    return state


def standing(client: ImapClient, mailbox: str) -> bytes:
    """What any change would change."""
    status = client.ok(f'STATUS "{mailbox}" (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ)'.encode())
    return status.of(b"STATUS")[0].raw


def change_far(client: ImapClient, mailbox: str, total: int, maker: MessageMaker) -> None:
    client.select(mailbox)
    client.ok(rb"UID STORE 1:%d +FLAGS.SILENT (\Seen)" % (total // 4))
    client.ok(rb"UID STORE 5,7,9 +FLAGS.SILENT (\Flagged)")
    client.ok(rb"UID STORE %d:%d +FLAGS.SILENT (\Deleted)" % (total - 19, total - 10))
    client.ok(b"EXPUNGE")
    client.append(mailbox, maker.message(total + 1), rb"\Answered")
    client.ok(b"UNSELECT")


def change_near(sync: Sync, total: int) -> None:
    for file in sync.files():
        uid = sync.uid(file)
        if total // 2 < uid <= total // 2 + 25:
            sync.set_flags(file, "RS")
        elif total - 9 <= uid <= total:
            sync.set_flags(file, "T")


def pull_change_push(server: Server, mailbox: str, folder: Path, total: int) -> None:
    maker = MessageMaker(7, scale=0.2)
    sync = Sync(server, mailbox, folder)
    with server.imap(timeout=120) as client:
        fill(server, mailbox, maker.messages(0, total))
        sync.run()
        before = server_state(client, mailbox)
        assert len(before) == total
        assert folder_state(sync) == before

        change_far(client, mailbox, total, maker)
        change_near(sync, total)
        sync.run()
        after = server_state(client, mailbox)
        assert folder_state(sync) == after
        assert len(after) == total - 20 + 1
        assert all(rb"\Seen" in after[uid][1] for uid in range(1, total // 4 + 1))
        middle = range(total // 2 + 1, total // 2 + 26)
        assert all(after[uid][1] >= {rb"\Seen", rb"\Answered"} for uid in middle)
        assert after[5][1] == {rb"\Seen", rb"\Flagged"}

        client.ok(b"NOOP")
        stands, files = standing(client, mailbox), sync.files()
        sync.run()
        assert standing(client, mailbox) == stands
        assert sync.files() == files


def test_mbsync_pulls_changes_and_pushes(imap_server: Server, mailbox: str, tmp_path: Path) -> None:
    pull_change_push(imap_server, mailbox, tmp_path / "sync", 300)


@pytest.mark.slow
def test_mbsync_with_ten_thousand_messages(mox: Server, tmp_path: Path) -> None:
    with mox.imap() as client:
        client.ok(b"CREATE TenThousand")
    pull_change_push(mox, "TenThousand", tmp_path / "sync", 10_000)


def test_mbsync_uploads_what_was_written_locally(
    imap_server: Server, mailbox: str, tmp_path: Path
) -> None:
    sync = Sync(imap_server, mailbox, tmp_path / "sync")
    with imap_server.imap() as client:
        client.ok(f'APPEND "{mailbox}" '.encode(), Literal(b"Message-ID: <a@x>\r\n\r\nfar\r\n"))
        sync.run()
        written = b"Message-ID: <b@x>\nSubject: near\n\nwritten here\n"
        (sync.maildir / "cur" / "1234.5.host:2,FS").write_bytes(written)
        sync.run()
        state = server_state(client, mailbox)
        assert sorted(state.values()) == [
            (b"<a@x>", frozenset()),
            (b"<b@x>", frozenset({rb"\Seen", rb"\Flagged"})),
        ]
        client.select(mailbox)
        items = client.ok(rb"FETCH 2 (BODY.PEEK[TEXT])").fetched()[2]
        assert items[b"BODY[TEXT]"] == b"written here\r\n"
