"""LIST and LSUB.

Source  RFC 9051 §6.3.9, RFC 5258 (extended), RFC 5819 (STATUS), RFC 6154 (special use), RFC 3348
        (children); RFC 3501 §6.3.9 (LSUB).
"""

import asyncio
from collections.abc import Iterable

import msgspec

from mox.base.limits import IMAP_LIST_PATTERNS
from mox.imap.cursor import Cursor
from mox.imap.errors import BadMailboxName
from mox.imap.mailboxname import decode_pattern
from mox.imap.pattern import Pattern, join
from mox.imapserver import status
from mox.imapserver.command import AnyCommand, Command, Done, State
from mox.imapserver.errors import Bad
from mox.imapserver.listing import list_line, special_use
from mox.imapserver.session import Session
from mox.store.account import Account

MATCHES_PER_TURN = 500  # names matched before others have their turn; a few ms

_SELECTION = frozenset((b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE"))
_RETURN = frozenset((b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE"))


class _Arguments(msgspec.Struct, frozen=True, kw_only=True):
    reference: bytes
    patterns: tuple[bytes, ...]
    extended: bool = False
    selection: frozenset[bytes] = frozenset()
    returned: frozenset[bytes] = frozenset()
    status_items: tuple[bytes, ...] = ()


def _parse(cursor: Cursor, session: Session) -> _Arguments:
    cursor.space()
    selection: frozenset[bytes] = frozenset()
    extended = cursor.at_open()
    if extended:
        selection = frozenset(cursor.list_of(lambda: _option(cursor, _SELECTION), empty=True))
        cursor.space()
        # RFC 5258 §3: RECURSIVEMATCH says something about another criterion.
        if b"RECURSIVEMATCH" in selection and b"SUBSCRIBED" not in selection:
            raise Bad("RECURSIVEMATCH needs SUBSCRIBED")
    reference = cursor.mailbox()
    cursor.space()
    if cursor.at_open():
        extended = True
        patterns = tuple(cursor.list_of(cursor.list_mailbox))
        if len(patterns) > IMAP_LIST_PATTERNS:
            raise Bad("too many patterns")
    else:
        patterns = (cursor.list_mailbox(),)
    returned: set[bytes] = set()
    items: tuple[bytes, ...] = ()
    if cursor.try_space():
        extended = True
        if not cursor.try_name(b"RETURN"):
            raise cursor.fail("RETURN")
        cursor.space()
        cursor.open()
        while not cursor.try_close():
            if returned or items:
                cursor.space()
            if cursor.try_name(b"STATUS"):
                cursor.space()
                items += status.parse_items(cursor, session)
            else:
                returned.add(_option(cursor, _RETURN))
    return _Arguments(
        reference=reference,
        patterns=patterns,
        extended=extended,
        selection=selection,
        returned=frozenset(returned),
        status_items=tuple(dict.fromkeys(items)),
    )


def _option(cursor: Cursor, known: frozenset[bytes]) -> bytes:
    name = cursor.name()
    if name not in known:
        raise cursor.reject("unknown option")
    return name


def _compile(session: Session, reference: bytes, patterns: Iterable[bytes]) -> list[Pattern]:
    """Patterns under the reference; those that match nothing are left out.

    Source  RFC 9051 §6.3.9: a pattern that is not accepted, here in broken modified UTF-7, gives
            no LIST and is no error.
    """
    found = []
    for raw in patterns:
        try:
            base = decode_pattern(reference, utf8=session.utf8)
            text = decode_pattern(raw, utf8=session.utf8)
        except BadMailboxName:
            continue
        joined = join(base, text) if text else None
        if joined is not None:
            found.append(Pattern(joined))
    return found


class _Names:
    """The mailboxes and subscriptions of an account, as far as LIST asks about them."""

    def __init__(self, account: Account, selection: frozenset[bytes]) -> None:
        self._selection = selection
        self.existing = account.by_name
        self.subscribed = account.subscriptions
        self.recursive = b"RECURSIVEMATCH" in selection
        self.with_children = {parent for name in self.existing for parent in _parents(name)}
        candidates = set(self.subscribed) if b"SUBSCRIBED" in selection else set(self.existing)
        self.selected = {name for name in candidates if self._special(name)}
        # RFC 5258 §3.5: names with something selected below them, whether they exist or not.
        self.with_selected_below = (
            {parent for name in self.selected for parent in _parents(name)}
            if self.recursive
            else set()
        )

    def _special(self, name: str) -> bool:
        if b"SPECIAL-USE" not in self._selection:
            return True
        mailbox = self.existing.get(name)
        return mailbox is not None and bool(mailbox.record.special_use)

    def candidates(self) -> list[str]:
        """Names to be matched, sorted."""
        return sorted(self.selected | self.with_selected_below)

    def needed(self, matching: list[str]) -> list[str]:
        """Of matching names those that are selected, or stand for one below that is not among them.

        Source  RFC 5258 §3: a name that does not exist must not be there for less; §3.5.
        """
        if not self.recursive:
            return matching
        hidden = self.selected.difference(matching)
        standing = {parent for name in hidden for parent in _parents(name)}
        return [name for name in matching if name in self.selected or name in standing]

    def attributes(self, name: str, arguments: _Arguments) -> list[bytes]:
        """Attributes of a name.    RFC 9051 §7.3.1."""
        found: list[bytes] = []
        mailbox = self.existing.get(name)
        asked = arguments.selection | arguments.returned
        if b"SUBSCRIBED" in asked and name in self.subscribed:
            found.append(b"\\Subscribed")
        if mailbox is None:
            found.append(b"\\NonExistent")
        if b"CHILDREN" in arguments.returned:
            has = name in self.with_children
            found.append(b"\\HasChildren" if has else b"\\HasNoChildren")
        if mailbox is not None:
            found += special_use(mailbox)
        return found


async def _list(session: Session, arguments: _Arguments) -> Done:
    if not arguments.extended and not arguments.patterns[0]:
        # RFC 9051 §6.3.9: only the separator is asked for.
        session.write(b'* LIST (\\Noselect) "/" ""\r\n')
        return Done()
    patterns = _compile(session, arguments.reference, arguments.patterns)
    if arguments.status_items:
        await status.prepare(session, arguments.status_items)
    account = session.owner
    names = _Names(account, arguments.selection)
    for name in names.needed(await _matching(patterns, names.candidates())):
        mailbox = account.by_name.get(name)
        if mailbox is None and name not in names.subscribed and not names.recursive:
            continue  # deleted while others had their turn
        below = name in names.with_selected_below
        attributes = names.attributes(name, arguments)
        session.write(list_line(session, name, attributes, subscribed_below=below))
        if mailbox is not None and arguments.status_items:
            # RFC 5819 §2: not for names that cannot be selected.
            session.write(await status.status_line(session, mailbox, arguments.status_items))
    return Done()


async def _matching(patterns: list[Pattern], names: list[str]) -> list[str]:
    """Names that any of the patterns matches."""
    found = []
    per_turn = max(1, MATCHES_PER_TURN // max(1, len(patterns)))
    for count, name in enumerate(names, 1):
        if any(pattern.matches(name) for pattern in patterns):
            found.append(name)
        if count % per_turn == 0:
            await asyncio.sleep(0)
    return found


def _parents(name: str) -> Iterable[str]:
    at = name.rfind("/")
    while at > 0:
        yield name[:at]
        at = name.rfind("/", 0, at)


def _parse_lsub(cursor: Cursor, _session: Session) -> _Arguments:
    cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    return _Arguments(reference=reference, patterns=(cursor.list_mailbox(),))


async def _lsub(session: Session, arguments: _Arguments) -> Done:
    patterns = _compile(session, arguments.reference, arguments.patterns)
    subscribed = session.owner.subscriptions
    names = set(subscribed)
    if arguments.patterns[0].endswith(b"%"):
        # RFC 3501 §6.3.9: what is subscribed deeper shows through the names above it, whether
        # they exist or not.
        names |= {parent for name in subscribed for parent in _parents(name)}
    for name in await _matching(patterns, sorted(names)):
        attributes = [] if name in subscribed else [b"\\Noselect"]
        session.write(list_line(session, name, attributes, kind=b"LSUB"))
    return Done()


COMMANDS: tuple[AnyCommand, ...] = (
    Command(name=b"LIST", states=State.LOGGED_IN, parse=_parse, run=_list),
    Command(name=b"LSUB", states=State.LOGGED_IN, parse=_parse_lsub, run=_lsub),
)
