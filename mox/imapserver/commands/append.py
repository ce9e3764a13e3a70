"""APPEND, of one message or several.    RFC 9051 §6.3.12; RFC 3502, RFC 3516 §4.4, RFC 7889."""

from mox.imap import append as grammar
from mox.imap import codes
from mox.imap.append import AppendMessage
from mox.imap.command import Command as Received
from mox.imap.cursor import Cursor
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.commands.copy import find_target
from mox.imapserver.errors import No
from mox.imapserver.session import Session
from mox.imapserver.spooling import Spooling
from mox.store.content import NewMessage
from mox.store.errors import MailboxMissing
from mox.store.mailbox import Mailbox
from mox.store.messages import Added, append


def _parse(cursor: Cursor, _session: Session) -> None:
    """Only for a command without a message, which is wrong in one way or another."""
    cursor.space()
    cursor.mailbox()
    grammar.message(cursor)
    raise cursor.fail("a message")


async def _run(_session: Session, _nothing: None) -> Done:
    raise AssertionError("an APPEND without a literal does not parse")


async def _append(session: Session, received: Received) -> Done:
    """The command up to its first message was received; its data is not accepted yet."""
    cursor = Cursor(received)
    cursor.space()
    name = cursor.mailbox()
    account = session.owner
    mailbox = find_target(session, name)
    messages: list[NewMessage] = []
    spooling = Spooling(account.shard)
    try:
        more = True
        while more:
            # Flags that are wrong are BAD before the data is asked for, and have no effect.
            asked = grammar.message(cursor)
            _check(session, asked, sum(message.size for message in messages))
            async with spooling.message(as_is=asked.literal.binary) as sink:
                await session.input.stream_literal(asked.literal, sink)
            await session.input.next_part()
            more = grammar.finish(cursor, asked)
            messages.append(_message(session, asked, spooling))
        added = await _add(session, mailbox, messages)
    except BaseException:
        await spooling.discard()
        raise
    code = codes.append_uid(added.uidvalidity, added.uids)
    return Done(code, "appended")


def _check(session: Session, asked: AppendMessage, before: int) -> None:
    """What can be refused before the data comes.    Errors: No, BadKeyword, QuotaExceeded."""
    # RFC 6855 §4: deviates: 8-bit header fields are taken without UTF8=ACCEPT too.
    asked.flags.check_keywords()
    size = asked.literal.size
    if size == 0:
        # RFC 3502 §3: a message without octets cancels the whole command.
        raise No("an empty message cancels the command")
    if size > session.service.append_limit:
        # RFC 7889 §4
        raise No("message too large", codes.TOOBIG)
    session.owner.check_quota(before + size)


def _message(session: Session, asked: AppendMessage, spooling: Spooling) -> NewMessage:
    # RFC 9051 §6.3.12: without a date-time, the time of now.
    received_ms, zone_minutes = asked.received or (session.service.clock.now_ms(), 0)
    return NewMessage(
        content=spooling.take(),
        flags=asked.flags.bits,
        keywords=asked.flags.keywords,
        received_ms=received_ms,
        zone_minutes=zone_minutes,
    )


async def _add(session: Session, mailbox: Mailbox, messages: list[NewMessage]) -> Added:
    try:
        added = await append(session.owner, mailbox, messages, origin=session.feed)
    except MailboxMissing as error:
        raise No(error.public, codes.TRYCREATE, cause=error) from error
    view = session.view
    if view is not None and view.mailbox is mailbox:
        # EXISTS is told, but no FETCH of what the client just gave.
        view.own(added.modseq)
    return added


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"APPEND", states=State.LOGGED_IN, parse=_parse, run=_run, stream=_append),
)
