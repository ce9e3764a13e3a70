"""A name server on loopback that answers as a test says."""

import asyncio
from collections.abc import Callable
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Handler = Callable[[dns.message.Message], list[bytes]]


class NameServer(asyncio.DatagramProtocol):
    """Counts the questions; ``handler`` gives the datagrams to send back, ``tcp`` the stream's."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.ttl = 300
        self.soa = True
        self.flags = dns.flags.Flag.AD
        self.questions: list[tuple[str, str]] = []
        self.received: list[dns.message.Message] = []
        self.handler: Handler = self.answer
        self.tcp: Handler = self.answer
        self.tcp_questions = 0
        self.hold: asyncio.Event | None = None
        self.held: set[asyncio.Task[None]] = set()
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = self._note(data)
        if self.hold is None:
            self._send(question, addr)
        else:
            task = asyncio.create_task(self._later(question, addr))
            self.held.add(task)
            task.add_done_callback(self.held.discard)

    async def _later(self, question: dns.message.Message, addr: tuple[str, int]) -> None:
        assert self.hold is not None
        await self.hold.wait()
        self._send(question, addr)

    def _send(self, question: dns.message.Message, addr: tuple[str, int]) -> None:
        for datagram in self.handler(question):
            self.transport.sendto(datagram, addr)

    def _note(self, data: bytes) -> dns.message.Message:
        question = dns.message.from_wire(data)
        one = question.question[0]
        self.received.append(question)
        self.questions.append((one.name.to_text().rstrip("."), one.rdtype.name))
        return question

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        question = self._note(await reader.readexactly(size))
        self.tcp_questions += 1
        for answer in self.tcp(question):
            writer.write(len(answer).to_bytes(2) + answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def answer(self, question: dns.message.Message) -> list[bytes]:
        return [self.response(question).to_wire(max_size=65535)]

    def response(self, question: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(question)
        response.flags |= self.flags | dns.flags.Flag.RA
        one = question.question[0]
        name = one.name.to_text().rstrip(".").lower()
        for _ in range(4):
            records = self.zone.get((name, one.rdtype.name))
            if records is not None:
                response.answer.append(
                    dns.rrset.from_text(name + ".", self.ttl, "IN", one.rdtype.name, *records)
                )
                return response
            alias = self.zone.get((name, "CNAME"))
            if alias is None:
                break
            response.answer.append(dns.rrset.from_text(name + ".", self.ttl, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".")
        if not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.Rcode.NXDOMAIN)
        if self.soa:
            response.authority.append(
                dns.rrset.from_text(
                    "example.", 900, "IN", "SOA", "ns.example. admin.example. 1 2 3 4 60"
                )
            )
        return response
