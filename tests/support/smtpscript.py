"""A server that is a list: what it waits for, and what it says then."""

import ssl

from mox.smtpclient.errors import LinkLost
from mox.smtpclient.link import TlsState

TLS = TlsState(version="TLSv1.3", cipher="TLS_AES_128_GCM_SHA256", chain=(b"leaf",))


class Script:
    """``Connection`` over steps: ``> bytes`` from the client, ``< text`` from the server,
    ``* text`` from the server unasked, ``!`` the end.

    A client that says something else fails the test; so does one that has not said all at the end.
    """

    def __init__(self, *steps: str | bytes) -> None:
        self._steps = list(steps)
        self._written = b""
        self.tls: TlsState | None = None
        self.heard = b""

    @property
    def has_input(self) -> bool:
        """``* text`` is said without being asked."""
        return bool(self._steps) and str(self._steps[0]).startswith("* ")

    async def read_line(self, timeout_s: float) -> bytes:
        assert timeout_s > 0
        self._take_written()
        step = self._steps.pop(0) if self._steps else "!"
        if step == "!":
            raise LinkLost
        assert isinstance(step, str), f"the server waits for {step!r}"
        assert step.startswith("< "), f"the server waits for {step!r}, has {self._written!r}"
        return step[2:].encode()

    async def write(self, data: bytes, timeout_s: float) -> None:
        assert timeout_s > 0
        self.heard += data
        self._written += data

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsState:
        self._take_written()
        assert self._steps.pop(0) == f"tls {server_name}"
        self.tls = TLS
        return TLS

    def _take_written(self) -> None:
        while self._steps and self._written:
            step = self._steps[0]
            if isinstance(step, str) and not step.startswith("> "):
                return
            wanted = step if isinstance(step, bytes) else step[2:].encode() + b"\r\n"
            assert self._written.startswith(wanted), f"{self._written!r} is not {wanted!r}"
            self._written = self._written[len(wanted) :]
            self._steps.pop(0)

    def finish(self) -> None:
        """Everything was said, nothing more than that."""
        self._take_written()
        assert (self._steps, self._written) == ([], b"")


class Agreeable:
    """``Connection`` to a server that takes whatever comes."""

    has_input = False
    tls: TlsState | None = None

    def __init__(self, *keywords: str) -> None:
        lines = ["mx.example.net", *keywords]
        marks = ["-"] * len(keywords) + [" "]
        self._said = [f"250{mark}{line}" for mark, line in zip(marks, lines, strict=True)]
        self._said.insert(0, "220 hello")
        self._answered = 1  # EHLO
        self.heard = b""

    async def read_line(self, timeout_s: float) -> bytes:
        assert timeout_s > 0
        if self._said:
            return self._said.pop(0).encode()
        return self._answer()

    def _answer(self) -> bytes:
        """One reply a command, in order."""
        commands = self.heard.split(b"\r\n")
        command = commands[min(self._answered, len(commands) - 1)]
        self._answered += 1
        return b"354 go" if command == b"DATA" else b"250 ok"

    async def write(self, data: bytes, timeout_s: float) -> None:
        assert timeout_s > 0
        self.heard += data

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsState:
        raise AssertionError("no TLS here")
