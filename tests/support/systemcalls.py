"""The order of a server's system calls, from strace: written, synced, indexed, synced, answered.

What a server keeps as a row of its index is written, synced, answered.

strace prints a call when it ends, or as "unfinished … resumed" when another thread came between.
Every call gets the line where it begins and the line where it ends; A happened before B only if A
ended before B began.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from support.counterparts import program

WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
SENDS = ("write", "writev", "sendto", "sendmsg")
SYNCS = ("fdatasync", "fsync")
RENAMES = ("rename", "renameat2", "link", "linkat")
TRACED = sorted({*WRITES, *SENDS, *SYNCS, *RENAMES})

_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_CALL = re.compile(r"(\w+)\((.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_TARGET = re.compile(r"\d+<((?:->|[^<>])*)>")
_UNFINISHED = "<unfinished ...>"


@dataclass(frozen=True)
class Call:
    """One system call."""

    name: str
    target: str  # what the first argument's file descriptor stands for: a path, or a connection
    arguments: str
    begins: int
    ends: int
    failed: bool


def command(output: Path, text_bytes: int = 4096) -> list[str]:
    """What to put before a server's command; the server stays our direct child (-D)."""
    calls = ",".join(TRACED)
    return [
        *(program("strace"), "-D", "-f", "--seccomp-bpf", "-yy", "-qq", "-s", str(text_bytes)),
        *("-e", f"trace={calls}", "-e", "signal=none", "-o", str(output)),
    ]


def wait_for_end(group: int, seconds: float = 20.0) -> None:
    """Until strace has written everything: it lives in the process group of what it traced."""
    until = time.monotonic() + seconds
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        if time.monotonic() > until:
            raise TimeoutError("strace does not end")
        time.sleep(0.02)


def read_calls(lines: Iterable[str]) -> Iterator[Call]:
    """Calls in the order of their ends."""
    open_calls: dict[str, tuple[str, str, int]] = {}  # thread → name, arguments so far, line
    for position, line in enumerate(lines):
        match = _LINE.match(line)
        if match is None:
            continue
        thread, rest = match[1], match[2].rstrip("\n")
        resumed = _RESUMED.match(rest)
        if resumed:
            if thread not in open_calls:
                continue
            name, arguments, begins = open_calls.pop(thread)
            yield _call(name, arguments + resumed[2], begins, position)
            continue
        call = _CALL.match(rest)
        if call is None:
            continue  # +++ exited …, --- SIG… ---
        if rest.endswith(_UNFINISHED):
            open_calls[thread] = call[1], call[2].removesuffix(_UNFINISHED), position
        else:
            yield _call(call[1], call[2], position, position)


def _call(name: str, arguments: str, begins: int, ends: int) -> Call:
    target = _TARGET.match(arguments)
    result = arguments.rpartition(" = ")[2]
    return Call(
        name=name,
        target=target[1] if target else "",
        arguments=arguments,
        begins=begins,
        ends=ends,
        failed=result.startswith("-"),
    )


@dataclass(frozen=True)
class Layout:
    """Where a server keeps what, as patterns over paths."""

    body: re.Pattern[str]
    own: re.Pattern[str]  # those body files that hold one message alone, and get their name later
    index: re.Pattern[str]
    folder: re.Pattern[str] | None  # synced after the naming and before the index


MOX = Layout(
    body=re.compile(r"/shards/\d+/(packs/|tmp/spool-)"),
    own=re.compile(r"/tmp/spool-"),
    index=re.compile(r"/db/[^/]*\.log$"),
    folder=re.compile(r"/shards/\d+/large/"),
)
DOVECOT = Layout(
    body=re.compile(r"/dbox-Mails/\.temp\."),
    own=re.compile(r"/dbox-Mails/\.temp\."),
    index=re.compile(r"/dovecot\.index\.log$"),
    folder=None,  # it syncs the folder after the index
)


@dataclass(frozen=True)
class Acknowledged:
    """A message that a client was told is stored."""

    token: str  # stands in the message's octets
    client_port: int
    reply: str  # how the reply begins, as strace shows it: "a7 OK", or "250 "
    after: str = ""  # SMTP: the reply meant is the first after one that begins so


class Order:
    """The calls of one trace, sorted by what they are."""

    def __init__(self, calls: Iterable[Call], layout: Layout) -> None:
        self.layout = layout
        done = [call for call in calls if not call.failed]
        bodies = [call for call in done if layout.body.search(call.target)]
        indexes = [call for call in done if layout.index.search(call.target)]
        self.body_writes = [call for call in bodies if call.name in WRITES]
        self.body_syncs = [call for call in bodies if call.name in SYNCS]
        self.index_writes = [call for call in indexes if call.name in WRITES]
        self.index_syncs = [call for call in indexes if call.name in SYNCS]
        self.sends = [call for call in done if call.name in SENDS and "TCP" in call.target]
        self.renames = [call for call in done if call.name in RENAMES]
        self.folder_syncs = [
            call
            for call in done
            if layout.folder and call.name in SYNCS and layout.folder.search(call.target)
        ]

    def faults(self, messages: Iterable[Acknowledged]) -> list[str]:
        """For each message what was not done, or not in time; an empty list is a pass."""
        found = []
        for message in messages:
            fault = self._fault(message)
            if fault:
                found.append(f"{message.token}: {fault}")
        return found

    def _fault(self, message: Acknowledged) -> str:
        reply = self._reply(message)
        if reply is None:
            return "no reply on its connection"
        written = self._written(message.token, reply.begins)
        if written is None:
            return self._fault_of_row(message.token, reply)
        synced = _next(self.body_syncs, written.ends, written.target)
        if synced is None or synced.ends >= reply.begins:
            return "its body file was not synced before the reply"
        placed = self._placed(synced)
        if placed is None or placed.ends >= reply.begins:
            return "its body file did not get its name, synced, before the reply"
        # The index row need not hold the token; where it does, that write is the one.
        row = _containing(self.index_writes, message.token)
        if row is not None and row.begins <= placed.ends:
            return "its index row was written before its body was synced"
        row = row or _next(self.index_writes, placed.ends)
        if row is None or row.ends >= reply.begins:
            return "no index row was written between the body's sync and the reply"
        return self._fault_of_sync(row, reply)

    def _fault_of_row(self, token: str, reply: Call) -> str:
        # Its text, with the line ends that surround it: the index mentions it elsewhere as well.
        row = _containing(self.index_writes, rf"\r\n\r\n{token}\r\n")
        if row is None:
            return "its octets were never written, to a body file or as a row"
        if row.ends >= reply.begins:
            return "no index row was written before the reply"
        return self._fault_of_sync(row, reply)

    def _fault_of_sync(self, row: Call, reply: Call) -> str:
        synced = _next(self.index_syncs, row.ends, row.target)
        if synced is None or synced.ends >= reply.begins:
            return "the index was not synced between its write and the reply"
        return ""

    def _written(self, token: str, before: int) -> Call | None:
        """The write after which all octets are there."""
        first = _containing(self.body_writes, token)
        if first is None or not self.layout.own.search(first.target):
            return first
        own = [call for call in self.body_writes if call.target == first.target]
        return [call for call in own if call.begins < before][-1]

    def _placed(self, synced: Call) -> Call | None:
        """The call after which the octets can be found again: for a common file, the sync."""
        if not self.layout.own.search(synced.target):
            return synced
        named = [c for c in self.renames if f'"{synced.target}"' in c.arguments]
        after = [call for call in named if call.begins > synced.ends]
        if not after or not self.layout.folder:
            return after[0] if after else None
        return _next(self.folder_syncs, after[0].ends)

    def _reply(self, message: Acknowledged) -> Call | None:
        connection = f":{message.client_port}]"
        awaited = not message.after
        for call in self.sends:
            if not call.target.endswith(connection):
                continue
            said = [unescaped(text) for text in _TEXTS.findall(call.arguments)]
            whole = "".join(said)
            if awaited and _says(whole, message.reply):
                return call
            if message.after and _says(whole, message.after):
                awaited = True
        return None


_TEXTS = re.compile(r'"((?:[^"\\]|\\.)*)"')


def unescaped(text: str) -> str:
    r"""What strace shows as \r\n, as the octets it stands for."""
    return text.replace(r"\r\n", "\r\n").replace(r"\"", '"')


def _says(text: str, beginning: str) -> bool:
    return text.startswith(beginning) or f"\r\n{beginning}" in text


def _containing(calls: list[Call], token: str) -> Call | None:
    for call in calls:
        if token in call.arguments:
            return call
    return None


def _next(calls: list[Call], after: int, target: str = "") -> Call | None:
    """The first call that begins after a line, on this file if one is named."""
    for call in calls:
        if call.begins > after and (not target or call.target == target):
            return call
    return None
