"""The answer from the index is that of a query over all messages, whatever was flagged since."""

from hypothesis import given
from support.reputation import NOW, Message, Oracle, Sent, pasts

from mox.junk.memory import MemoryVotes
from mox.junk.reputation import Reputation, Sender, evaluate


def by_index(messages: list[Message], sent: list[Sent], new: Sender, mailbox: int) -> Reputation:
    votes = MemoryVotes()
    for number, message in enumerate(messages):
        # everything was flagged once, then the flag changed or went
        first = message.flag != "J"
        votes.add(message.mailbox, number, message.sender, message.received, junk=first)
        votes.remove(message.mailbox, number, message.sender)
        if message.flag and not message.expunged:
            junk = message.flag == "J"
            votes.add(message.mailbox, number, message.sender, message.received, junk=junk)
    for one in sent:
        votes.wrote(one.localpart, one.domain, one.org, one.sent)
    return evaluate(votes.of(mailbox), new, NOW)


@given(pasts())
def test_the_index_answers_as_a_query_over_all_messages(
    past: tuple[list[Message], list[Sent], Sender, int],
) -> None:
    messages, sent, new, mailbox = past
    found = by_index(messages, sent, new, mailbox)
    expected = Oracle(messages, sent, new, mailbox).answer()
    assert (found.junk, found.conclusive, found.method.value) == expected
    assert found.junk is not None or not found.conclusive
