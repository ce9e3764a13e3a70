"""Dialogues: one behaviour as a readable exchange; parsed and matched here, driven elsewhere.

    # RFC 7162 §3.1.3.  What is promised.
    given mailbox Inbox with 3 messages
    A: a1 SELECT Inbox
    A< * 3 EXISTS
    A< * OK [UIDVALIDITY {v}] …          {v} remembers; later it must be the same, or is filled in
    A< * FLAGS …                          [any order]
    A< * 0 RECENT                         [any order, may]
    A< a1 OK …
    A closed                              the server ended the connection

``…`` is anything, ``↵`` a CRLF (in literals and lines that hold one), ``␠`` a space that would not be
seen at the end of a line.  Neighbouring lines marked
``[any order]`` come in any order; ``[may]`` lines need not come.  What is not expected must not come.
Connections are opened and logged in at the start, A first, unless ``given A is a stranger``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_STEP = re.compile(r"([A-Z])(:|<| closed$)(?: (.*))?")
_MARKS = re.compile(r"\s+\[(any order|may|any order, may)\]$")
_HOLE = re.compile(r"…|\{([a-z]\w*)\}")


class Failure(AssertionError):
    """The other side said something else."""


class Peer(Protocol):
    """One connection to the server."""

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def response(self) -> bytes | None:
        """The next response without its CRLF, literals included; None when none comes."""
        ...

    def back(self, response: bytes) -> None:
        """Take back a response: the next call of ``response`` gives it again."""
        ...

    async def closed(self) -> bool:
        """Did the server end the connection?"""
        ...


@dataclass
class Step:
    """A line of a dialogue."""

    number: int
    who: str
    what: str  # send, expect, closed
    text: str = ""
    any_order: bool = False
    may: bool = False


@dataclass
class Dialogue:
    """A parsed file."""

    name: str
    givens: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def parse(path: Path) -> Dialogue:
    """Read a dialogue.   Errors: ValueError with the line."""
    dialogue = Dialogue(f"{path.parent.name}/{path.stem}")
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("given "):
            dialogue.givens.append(line.removeprefix("given ").strip())
            continue
        match = _STEP.fullmatch(line)
        if match is None:
            raise ValueError(f"{path}:{number}: {line!r}")
        who, mark, text = match[1], match[2], match[3] or ""
        if mark == ":":
            dialogue.steps.append(Step(number, who, "send", text))
        elif mark == "<":
            marks = _MARKS.search(text)
            if marks is not None:
                text = text[: marks.start()]
            words = marks[1] if marks is not None else ""
            dialogue.steps.append(
                Step(number, who, "expect", text.rstrip(), "any order" in words, "may" in words)
            )
        else:
            dialogue.steps.append(Step(number, who, "closed"))
    return dialogue


class Runner:
    """Runs one dialogue; ``open_peer`` gives the connection of a letter."""

    def __init__(self, dialogue: Dialogue, open_peer: Callable[[str], Awaitable[Peer]]) -> None:
        self._dialogue = dialogue
        self._open = open_peer
        self._peers: dict[str, Peer] = {}
        self._names: dict[str, bytes] = {}

    async def run(self) -> None:
        """Errors: Failure."""
        steps = self._dialogue.steps
        for who in sorted({step.who for step in steps}):
            self._peers[who] = await self._open(who)
        at = 0
        while at < len(steps):
            step = steps[at]
            if step.what == "send":
                await self._nothing_left(step)
                await self._peers[step.who].send(self._fill(step.text))
                at += 1
            elif step.what == "closed":
                if not await self._peers[step.who].closed():
                    raise self._failure(step, "the connection is still open")
                at += 1
            else:
                end = at + 1
                while end < len(steps) and _together(step, steps[end]):
                    end += 1
                await self._expect(steps[at:end])
                at = end
        for who, peer in self._peers.items():
            rest = await peer.response()
            if rest is not None:
                raise Failure(f"{self._dialogue.name}: at the end {who} got {rest!r}")

    async def _nothing_left(self, step: Step) -> None:
        rest = await self._peers[step.who].response()
        if rest is not None:
            raise self._failure(step, f"before it came {rest!r}")

    async def _expect(self, group: list[Step]) -> None:
        """A line, or neighbouring lines in any order."""
        peer = self._peers[group[0].who]
        waiting = list(group)
        while waiting:
            must = [step for step in waiting if not step.may]
            got = await peer.response()
            if got is None:
                if must:
                    raise self._failure(must[0], "nothing came")
                return
            found = next((step for step in waiting if self._matches(step.text, got)), None)
            if found is None:
                if must:
                    raise self._failure(must[0], f"got {got.decode('utf-8', 'replace')!r}")
                peer.back(got)
                return
            waiting.remove(found)

    def _matches(self, pattern: str, got: bytes) -> bool:
        expression, names = self._compile(pattern)
        match = re.fullmatch(expression, got, re.DOTALL)
        if match is None:
            return False
        for name, value in zip(names, match.groups(), strict=True):
            self._names[name] = value
        return True

    def _compile(self, pattern: str) -> tuple[bytes, list[str]]:
        pieces: list[bytes] = []
        names: list[str] = []
        at = 0
        for hole in _HOLE.finditer(pattern):
            pieces.append(re.escape(_bytes(pattern[at : hole.start()])))
            name = hole[1]
            if name is None:
                pieces.append(b".*?")
            elif name in self._names:
                pieces.append(re.escape(self._names[name]))
            elif name in names:
                pieces.append(b"(?:\\%d)" % (names.index(name) + 1))
            else:
                names.append(name)
                pieces.append(rb"([^\s()\[\]]+)")
            at = hole.end()
        pieces.append(re.escape(_bytes(pattern[at:])))
        return b"".join(pieces), names

    def _fill(self, text: str) -> bytes:
        def value(hole: re.Match[str]) -> str:
            name = hole[1]
            if name is None or name not in self._names:
                return hole[0]
            return self._names[name].decode("utf-8")

        return _bytes(_HOLE.sub(value, text)) + b"\r\n"

    def _failure(self, step: Step, text: str) -> Failure:
        return Failure(f"{self._dialogue.name}:{step.number}: {step.text!r}: {text}")


def _together(first: Step, step: Step) -> bool:
    return first.any_order and step.what == "expect" and step.any_order and step.who == first.who


def _bytes(text: str) -> bytes:
    return text.replace("↵", "\r\n").replace("␠", " ").encode("utf-8")
