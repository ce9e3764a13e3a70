"""DKIM canonicalisation, plainly: the meaning of canonical.pyx.    RFC 6376 §3.4.

Body, simple (§3.4.3)   empty lines at the end are left out; then it ends with one CRLF, even where
                        nothing else is left.
Body, relaxed (§3.4.4)  in each line a run of white space is one space, and none at its end; empty
                        lines at the end are left out; an empty body stays empty.
Header, relaxed (§3.4.2)  name in lower case, unfolded, a run of white space is one space, none
                        around the value or the name.

A line of a body ends with CRLF; a CR or LF alone is data.  This twin keeps the whole body.
"""

import re
from collections.abc import Callable
from mmap import mmap
from typing import final

_SPACES = re.compile(rb"[ \t]+")
_LINE_END = re.compile(rb"\r?\n")


@final
class BodyCanonicalizer:
    """The canonical form of one body; see canonical.pyx."""

    def __init__(self, relaxed: bool, update: Callable[[bytes], object]) -> None:
        self._relaxed = relaxed
        self._update = update
        self._body = bytearray()
        self._finished = False

    def feed(self, data: bytes | bytearray | mmap | memoryview) -> None:
        """Take the next piece."""
        if self._finished:
            raise ValueError("the body has ended")
        self._body += data

    def finish(self) -> None:
        """The body has ended; nothing may follow."""
        if self._finished:
            raise ValueError("the body has ended")
        self._finished = True
        lines = bytes(self._body).split(b"\r\n")
        if self._relaxed:
            lines = [_SPACES.sub(b" ", line).removesuffix(b" ") for line in lines]
        while lines and not lines[-1]:
            lines.pop()
        if lines:
            self._update(b"\r\n".join(lines) + b"\r\n")
        elif not self._relaxed:
            self._update(b"\r\n")


def relax_header(field: bytes | bytearray | mmap | memoryview) -> bytes:
    """A header field in relaxed form; see canonical.pyx."""
    name, colon, value = bytes(field).partition(b":")
    return _squeeze(name).lower() + colon + _squeeze(value) + b"\r\n"


def _squeeze(text: bytes) -> bytes:
    return _SPACES.sub(b" ", _LINE_END.sub(b"", text)).strip(b" ")
