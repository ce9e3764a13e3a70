"""What an account should know of senders and words, by looking at every one of its messages."""

from mox.base.flags import JUNK, NOTJUNK
from mox.junk.memory import MemoryCounts
from mox.junk.model import Count, train
from mox.junk.recipients import sent_to
from mox.junk.words import message_words
from mox.message import mime
from mox.message.header import end_of_header
from mox.store.account import Account
from mox.store.engine.base import Family
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts
from mox.store.reading import read_contents
from mox.store.words import read_learning
from support.reputation import Message, Sent


def org_of(domain: str) -> str:
    return ".".join(domain.split(".")[-2:])


def stored_messages(account: Account) -> list[tuple[int, int, int, int, int]]:
    """Live messages: mailbox, UID, flags, received, content; of one moment the newer come later."""
    found = []
    for mailbox in account.mailboxes.values():
        start, end = keys.rows(account.id, mailbox.id, 1, 1 << 32)
        for key, value in account.shard.engine.scan(Family.ROW, start, end):
            found.append((mailbox.id, keys.row_uid(key), *rows.message_state(value)))
    return sorted(found, key=lambda one: (-one[0], one[1]))


def facts_of(account: Account, file: int) -> Facts:
    value = account.shard.engine.get(Family.MSG, keys.file(account.id, file))
    assert value is not None
    return rows.decode(Facts, value)


def past(account: Account) -> tuple[list[Message], list[Sent]]:
    """Everything that counts for reputation."""
    messages, sent = [], []
    by_id = {int(number): mailbox for number, mailbox in account.mailboxes.items()}
    for mailbox, _, flags, received_ms, file in stored_messages(account):
        facts = facts_of(account, file)
        origin = facts.origin
        if facts.destined and mailbox != facts.origin:
            origin = facts.destined
        flag = {JUNK: "J", NOTJUNK: "N"}.get(flags & (JUNK | NOTJUNK), "")
        messages.append(Message(facts.sender, origin, received_ms, flag, False))
        if "Sent" in by_id[mailbox].record.special_use:
            [content] = read_contents(account, [file])
            assert isinstance(content, bytes)
            recipients, date_ms = sent_to(content[: end_of_header(content)])
            sent += [
                Sent(
                    one.localpart,
                    one.domain.unicode,
                    org_of(one.domain.unicode),
                    received_ms if date_ms is None else date_ms,
                )
                for one in recipients
            ]
    return messages, sent


def trained_anew(account: Account) -> dict[bytes, Count]:
    """The counts that learning every flagged message gives."""
    counts = MemoryCounts()
    if account.filter is None:
        return counts.rows
    for _, _, flags, _, file in stored_messages(account):
        if bool(flags & JUNK) != bool(flags & NOTJUNK):
            [content] = read_contents(account, [file])
            assert isinstance(content, bytes)
            words = message_words(content, mime.parse(content), account.filter.grams)
            assert not counts.apply(train(words, junk=bool(flags & JUNK)))
    return counts.rows


def stored_counts(account: Account) -> dict[bytes, Count]:
    """The counts in use; and there are no others."""
    engine = account.shard.engine
    used = keys.words(account.id, read_learning(engine, account.id).generation)
    found = {}
    for key, value in engine.scan(Family.KV, *keys.settings(account.id, keys.WORD)):
        assert key.startswith(used), "counts of another generation are left"
        found[key[len(used) :]] = rows.decode_count(value)
    return found
