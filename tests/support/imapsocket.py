"""A dialogue's peer over a TCP connection."""

import asyncio
import re
from typing import Self

from support.imaphouse import PASSWORD, USER

ANSWER_S = 5.0  # a server that says nothing for so long hangs
QUIET_S = 0.25  # in IDLE: nothing more comes after so long
REST_S = 0.001  # when everything is answered, nothing should be there

_COMMAND = re.compile(rb"(?:\A|\r\n)([a-z]+[0-9]+) [A-Za-z]")
_LITERAL = re.compile(rb"\{([0-9]+)\+?\}\r\n\Z")


class SocketPeer:
    """One connection.

    Over a network nobody can tell that nothing more comes; what is still owed to the client can be
    told: a tagged reply to each command, unless it waits for the client itself.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._owed: set[bytes] = set()  # tags without a reply
        self._fresh = True  # nothing came since we sent something, or since the beginning
        self._asked = False  # the server waits for us
        self._ahead = False  # what it asks for was sent already
        self._returned: list[bytes] = []
        self._reading: asyncio.Task[bytes | None] | None = None

    @classmethod
    async def connect(cls, port: int, *, login: bool) -> Self:
        """Connect to 127.0.0.1 and read the greeting."""
        peer = cls(*await asyncio.open_connection("127.0.0.1", port))
        greeting = await peer.response()
        assert greeting is not None
        assert greeting.startswith(b"* OK [CAPABILITY "), greeting
        if login:
            found = await peer.command(b"login1 LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
            assert found[-1].startswith(b"login1 OK "), found
        return peer

    async def command(self, line: bytes) -> list[bytes]:
        """Send a line; all responses to it."""
        await self.send(line + b"\r\n")
        found = []
        while (response := await self.response()) is not None:
            found.append(response)
        return found

    async def send(self, data: bytes) -> None:
        if not self._asked:
            self._owed.update(_COMMAND.findall(data))
        self._fresh, self._asked = True, False
        self._ahead = b"\r\ndone\r\n" in data.lower()
        self._writer.write(data)

    async def response(self) -> bytes | None:
        """The next response; None where none is owed and none comes."""
        if self._returned:
            return self._returned.pop()
        rest = ANSWER_S if self._fresh or self._owed else REST_S
        wait = QUIET_S if self._asked else rest
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        # A response that comes in pieces is not lost when the wait ends between them.
        done, _ = await asyncio.wait({self._reading}, timeout=wait)
        if not done:
            return None
        found = self._reading.result()
        self._reading = None
        if found is not None:
            self._note(found)
        return found

    def back(self, response: bytes) -> None:
        self._returned.append(response)

    async def closed(self) -> bool:
        return await self.response() is None and self._reader.at_eof()

    async def end(self) -> None:
        """Leave."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.close()

    def _note(self, response: bytes) -> None:
        self._fresh = False
        self._owed.discard(response.split(b" ", 1)[0])
        if response.startswith(b"+ "):
            self._asked = not self._ahead
        elif response.startswith(b"* BAD"):
            self._owed.clear()  # to a line without a tag

    async def _read(self) -> bytes | None:
        """A whole response without its CRLF; None at the end of the connection."""
        response = b""
        while True:
            line = await self._reader.readline()
            response += line
            if not line.endswith(b"\r\n"):
                assert not response, response
                return None
            literal = _LITERAL.search(response)
            if literal is None:
                return response[:-2]
            response += await self._reader.readexactly(int(literal[1]))
