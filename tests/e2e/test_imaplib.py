"""Python's imaplib as a client: store, search, move, delete, idle."""

import imaplib
from collections.abc import Iterator

import pytest
from support.imapclient import ImapClient
from support.imapresponse import sequence
from support.messages import small_message
from support.ports import HOST
from support.servers import PASSWORD, USER, Server, tls_context

pytestmark = pytest.mark.interop


@pytest.fixture
def client(imap_server: Server, mailbox: str) -> Iterator[imaplib.IMAP4]:
    client = imaplib.IMAP4(HOST, imap_server.port("imap"), timeout=20)
    client.login(USER, PASSWORD)
    for token in ("one", "two", "three"):
        status, _ = client.append(mailbox, "", "", small_message(token))
        assert status == "OK"
    status, count = client.select(mailbox)
    assert (status, count) == ("OK", [b"3"])
    yield client
    client.logout()


def test_store_and_search_by_flag_and_header(client: imaplib.IMAP4) -> None:
    assert client.store("2", "+FLAGS", r"(\Flagged $Later)")[0] == "OK"
    assert client.search(None, "FLAGGED", "KEYWORD", "$Later") == ("OK", [b"2"])
    assert client.search(None, "UNFLAGGED") == ("OK", [b"1 3"])
    assert client.search(None, "SUBJECT", '"three"') == ("OK", [b"3"])
    assert client.search(None, "NOT", "BODY", '"two"') == ("OK", [b"1 3"])
    assert client.store("2", "-FLAGS", r"(\Flagged)")[0] == "OK"
    assert client.search(None, "FLAGGED") == ("OK", [b""])


def test_fetch_gives_the_octets_and_sets_seen(client: imaplib.IMAP4) -> None:
    status, data = client.fetch("1", "(BODY[])")
    assert status == "OK"
    found = data[0]
    assert isinstance(found, tuple)
    assert found[1] == small_message("one")
    assert client.search(None, "SEEN") == ("OK", [b"1"])


def test_move_takes_the_message_away_and_puts_it_there(client: imaplib.IMAP4, mailbox: str) -> None:
    target = f"{mailbox}-target"
    assert client.create(target)[0] == "OK"
    assert client.uid("MOVE", "2", target)[0] == "OK"
    assert client.uid("SEARCH", "ALL") == ("OK", [b"1 3"])
    assert client.select(target) == ("OK", [b"1"])
    _, data = client.fetch("1", "(BODY.PEEK[])")
    found = data[0]
    assert isinstance(found, tuple)
    assert found[1] == small_message("two")


def test_delete_and_expunge_renumber(client: imaplib.IMAP4) -> None:
    assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert client.expunge() == ("OK", [b"1"])
    assert client.search(None, "ALL") == ("OK", [b"1 2"])
    assert client.uid("SEARCH", "ALL") == ("OK", [b"2 3"])


def test_copy_list_rename_delete_a_mailbox(client: imaplib.IMAP4, mailbox: str) -> None:
    target = f"{mailbox}-copy"
    assert client.create(target)[0] == "OK"
    assert client.copy("1:3", target)[0] == "OK"
    assert client.status(target, "(MESSAGES)")[1][0].endswith(b"(MESSAGES 3)")
    assert client.rename(target, f"{target}-renamed")[0] == "OK"
    # imaplib also gives LIST responses that came unasked, with SELECT for example.
    assert client.noop()[0] == "OK"
    client.untagged_responses.clear()
    _, lines = client.list('""', f"{target}*")
    assert len(lines) == 1
    assert f"{target}-renamed".encode() in lines[0]  # type: ignore[operator]
    assert client.delete(f"{target}-renamed")[0] == "OK"
    assert client.list('""', f"{target}*")[1] == [None]


def test_starttls_then_login(imap_server: Server, mailbox: str) -> None:
    client = imaplib.IMAP4(HOST, imap_server.port("imap"), timeout=20)
    assert client.starttls(tls_context())[0] == "OK"
    assert client.login(USER, PASSWORD)[0] == "OK"
    assert client.select(mailbox) == ("OK", [b"0"])
    client.logout()


def until_exists(client: ImapClient) -> int:
    for response in client.pending(10):
        if response.kind == b"EXISTS":
            return response.number
    raise AssertionError("nothing came during IDLE")


@pytest.mark.rfc("2177 §3")
def test_idle_tells_of_new_messages_flags_and_expunges(imap_server: Server, mailbox: str) -> None:
    # imaplib of Python 3.11 has no IDLE.
    with imap_server.imap() as watcher, imap_server.imap() as other:
        watcher.select(mailbox)
        other.select(mailbox)
        tag = watcher.idle()
        other.append(mailbox, small_message("late"))
        assert until_exists(watcher) == 1
        other.ok(b"NOOP")
        other.ok(rb"STORE 1 +FLAGS.SILENT (\Answered)")
        for response in watcher.pending(10):
            if response.kind == b"FETCH" and rb"\Answered" in sequence(response.pairs()[b"FLAGS"]):
                break
        else:
            raise AssertionError("the flag was not told")
        other.ok(rb"STORE 1 +FLAGS.SILENT (\Deleted)")
        other.ok(b"EXPUNGE")
        for response in watcher.pending(10):
            if response.kind == b"EXPUNGE":
                assert response.number == 1
                break
        else:
            raise AssertionError("the expunge was not told")
        assert watcher.done(tag).status == b"OK"
