"""Contents of some messages read in a reader thread, and the FETCH items made from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from mox.base.limits import HEADER_PARSE, IMAP_FETCH_HELD
from mox.imapserver.sections import Extent, SectionError, TooMuch, Unreadable, binary
from mox.imapserver.textual import textual, without_nul
from mox.message.buffer import Buffer
from mox.message.mime import parse
from mox.message.part import Part, decode_part
from mox.store.account import Account
from mox.store.content import Kind
from mox.store.reading import Place, locate, read_content, read_derived, read_start

if TYPE_CHECKING:
    from mox.imapserver.fetchplan import ContentItem

Value: TypeAlias = bytes | Extent
"""The bytes of an answer as they are, or a range to be sent as a literal."""


class Opened:
    """One message's content with its part tree.    Used in one thread at a time."""

    __slots__ = (
        "_decoded",
        "_has_nul",
        "_shown",
        "_shown_tree",
        "_tree",
        "content",
        "folder",
        "header_only",
    )

    def __init__(
        self,
        content: Buffer,
        tree: Part | bytes | None,
        *,
        has_nul: bool,
        header_only: bool,
        folder: Path,
    ) -> None:
        self.content = content
        self.folder = folder  # for what is too large for memory
        self.header_only = header_only  # the content ends with its header
        self._tree = tree  # stored bytes until it is asked for
        self._has_nul = has_nul
        self._decoded: dict[tuple[int, ...], Extent] = {}
        self._shown: Buffer | None = None
        self._shown_tree: Part | None = None

    @property
    def tree(self) -> Part:
        """The part tree of the content."""
        tree = self._tree
        if not isinstance(tree, Part):
            tree = self._tree = parse(self.content) if tree is None else decode_part(tree)
        return tree

    @property
    def shown(self) -> Buffer:
        """The content without NUL: what BODY[...] shows."""
        if not self._has_nul:
            return self.content
        if self._shown is None:
            self._shown = (
                without_nul(bytes(self.content))
                if self.header_only
                else textual(self.content, self.tree, self.folder)
            )
        return self._shown

    @property
    def shown_tree(self) -> Part:
        """The part tree of what is shown."""
        if not self._has_nul or self.header_only:
            return self.tree
        if self._shown_tree is None:
            self._shown_tree = parse(self.shown)
        return self._shown_tree

    def decoded(self, path: tuple[int, ...]) -> Extent:
        """BINARY[path], decoded once for all its partials.    Errors: as ``sections.binary``."""
        found = self._decoded.get(path)
        if found is None:
            found = self._decoded[path] = binary(self.content, self.tree, path, self.folder)
        return found


class Produced(msgspec.Struct):
    """The items of one message; None in place of one that could not be made."""

    values: list[Value | None]
    problem: SectionError | None = None  # the first
    held: int = 0  # bytes in memory for them


def produce(
    account: Account, files: Sequence[int], items: Sequence["ContentItem"]
) -> list[Produced]:
    """Read contents and make their items: of the first of them at least, and of as many as fit.

    Blocks.
    """
    header_only = all(item.header_only for item in items)
    places = locate(account, files)
    stored = read_derived(account, files, (Kind.PART, Kind.HAS_NUL))
    results = []
    held = 0
    for index, file in enumerate(files):
        tree, nul = stored[2 * index : 2 * index + 2]
        opened = _open(
            account, file, places[index], tree, header_only=header_only, has_nul=nul is not None
        )
        results.append(_produce(opened, items))
        held += results[-1].held
        if held > IMAP_FETCH_HELD:
            break
    return results


def _open(
    account: Account,
    file: int,
    place: Place | None,
    tree: bytes | None,
    *,
    header_only: bool,
    has_nul: bool,
) -> Opened | None:
    content: Buffer | None
    known: Part | bytes | None = tree
    if header_only and tree is not None:
        known = decode_part(tree)
        # A header that is too large to be held is in a file, which can be mapped.
        header_only = known.body_offset <= HEADER_PARSE
    else:
        header_only = False
    if header_only:
        assert isinstance(known, Part)
        content = read_start(account, file, place, known.body_offset)
    else:
        content = read_content(account, file, place)
    if content is None:
        return None
    return Opened(
        content,
        known,
        has_nul=has_nul,
        header_only=header_only,
        folder=account.shard.spool_folder,
    )


def _produce(opened: Opened | None, items: Sequence["ContentItem"]) -> Produced:
    if opened is None:
        return Produced(values=[None] * len(items), problem=Unreadable())
    result = Produced(values=[])
    counted: set[int] = set()  # buffers, which several items may be cut from
    _count(result, counted, opened.content)
    for item in items:
        try:
            if result.held > IMAP_FETCH_HELD:
                raise TooMuch
            value = item.produce(opened)
        except SectionError as error:
            # The rest of this message and the others are answered all the same.
            result.values.append(None)
            result.problem = result.problem or error
        else:
            result.values.append(value)
            _count(result, counted, value if isinstance(value, bytes) else value.content)
    return result


def _count(result: Produced, counted: set[int], buffer: Buffer) -> None:
    if isinstance(buffer, bytes) and id(buffer) not in counted:
        counted.add(id(buffer))
        result.held += len(buffer)
