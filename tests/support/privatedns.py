"""Programs that ask nobody but port 53: run in a network of their own, in which we answer there.

Run as a program, inside that network, it reads JSON from standard input: texts to answer with, a
command, and files that it reads in turn; and writes JSON: for each file what the command said.
"""

from __future__ import annotations

import fcntl
import json
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from support.isolated import isolated, require_isolation
from support.ports import HOST

SIOCSIFFLAGS = 0x8914  # netdevice(7)
IFF_UP = 1
UDP_SIZE = 512  # bytes; RFC 1035 §4.2.1


def run_all(
    texts: Mapping[str, Sequence[str]],
    command: Sequence[str],
    inputs: Sequence[bytes],
    folder: Path,
) -> list[str]:
    """What a command says of each input, while DNS knows these TXT records and nothing else."""
    require_isolation()
    resolv = folder / "resolv.conf"
    resolv.write_text(f"nameserver {HOST}\noptions timeout:2 attempts:3\n")
    files = [folder / f"input{number}" for number in range(len(inputs))]
    for file, data in zip(files, inputs, strict=True):
        file.write_bytes(data)
    work = {"texts": texts, "command": command, "inputs": [str(file) for file in files]}
    done = subprocess.run(
        isolated(
            [f"mount --bind {resolv} /etc/resolv.conf"],
            [sys.executable, "-m", "support.privatedns"],
            network=True,
        ),
        input=json.dumps(work).encode(),
        capture_output=True,
        cwd=Path(__file__).parents[1],
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    answers: list[str] = json.loads(done.stdout)
    return answers


def bring_loopback_up() -> None:
    """A new network has loopback, down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP, b""))


class Texts:
    """Answers for names that have TXT records."""

    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        self._texts = {name.lower() + ".": records for name, records in texts.items()}

    def answer(self, data: bytes) -> dns.message.Message:
        """The response to a question."""
        question = dns.message.from_wire(data)
        response = dns.message.make_response(question)
        response.flags |= dns.flags.Flag.AA | dns.flags.Flag.RA
        one = question.question[0]
        name = one.name.to_text().lower()
        if name not in self._texts:
            response.set_rcode(dns.rcode.Rcode.NXDOMAIN)
        elif one.rdtype == dns.rdatatype.TXT:
            for text in self._texts[name]:
                pieces = [f'"{text[at : at + 255]}"' for at in range(0, len(text), 255)] or ['""']
                # Each for itself: the records of one set are shuffled when they are written.
                record = dns.rrset.from_text(name, 300, "IN", "TXT", " ".join(pieces))
                response.answer.append(record)
        return response


def serve(texts: Texts) -> None:
    """Answer in threads, by UDP and TCP, for as long as the process lives."""

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            response = texts.answer(data)
            wire = response.to_wire(max_size=65535)
            if len(wire) > UDP_SIZE:
                response.answer.clear()
                response.flags |= dns.flags.Flag.TC
                wire = response.to_wire()
            sock.sendto(wire, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            size = int.from_bytes(self.rfile.read(2))
            wire = texts.answer(self.rfile.read(size)).to_wire(max_size=65535)
            self.wfile.write(len(wire).to_bytes(2) + wire)

    for server in (
        socketserver.ThreadingUDPServer(("127.0.0.1", 53), Datagram),
        socketserver.ThreadingTCPServer(("127.0.0.1", 53), Stream),
    ):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    """All of it."""
    work = json.load(sys.stdin)
    bring_loopback_up()
    serve(Texts(work["texts"]))
    answers = []
    for name in work["inputs"]:
        with open(name, "rb") as file:
            done = subprocess.run(
                work["command"],
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
        said = done.stdout.decode(errors="replace").strip()
        answers.append(said or (f"exit code {done.returncode}" if done.returncode else ""))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
