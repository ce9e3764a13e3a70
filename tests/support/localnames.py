"""Names for servers under test: whoever sends from this machine is who they say, in any domain.

Every host name leads to 127.0.0.1, and the address to a name that leads back; every domain has an SPF
record that allows everything.  There are no exchangers, no lists, no policies and no keys.
"""

from __future__ import annotations

import atexit
import functools
import os
import socketserver
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

CLIENT = "client.example"
_REVERSE = dns.name.from_text("1.0.0.127.in-addr.arpa.")
_TTL = 300


def answer(wire: bytes) -> bytes:
    """The answer to a question."""
    question = dns.message.from_wire(wire)
    response = dns.message.make_response(question, recursion_available=True)
    one = question.question[0]
    text = _record(one.name, one.rdtype)
    if text:
        response.answer.append(dns.rrset.from_text(one.name, _TTL, "IN", one.rdtype, text))
    elif one.name.labels[0].startswith(b"_"):
        response.set_rcode(dns.rcode.Rcode.NXDOMAIN)
    if not text:
        soa = "ns.example. admin.example. 1 2 3 4 60"
        response.authority.append(dns.rrset.from_text("example.", _TTL, "IN", "SOA", soa))
    return response.to_wire(max_size=1232)


def _record(name: dns.name.Name, kind: dns.rdatatype.RdataType) -> str:
    if kind == dns.rdatatype.PTR:
        return f"{CLIENT}." if name == _REVERSE else ""
    if name.labels[0].startswith(b"_"):
        return ""
    return {dns.rdatatype.A: "127.0.0.1", dns.rdatatype.TXT: '"v=spf1 +all"'}.get(kind, "")


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(answer(data), self.client_address)


def local_names() -> str:
    """Address and port of the name server, which runs until the end of the process.

    One for each network that somebody asks in: the loopback of one is not that of another.
    """
    return _serve(os.stat("/proc/thread-self/ns/net").st_ino)


@functools.cache
def _serve(_network: int) -> str:
    server = socketserver.UDPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, name="names", daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        thread.join(10)
        server.server_close()

    atexit.register(end)
    host, port = server.server_address[:2]
    return f"{host!s}:{port}"
