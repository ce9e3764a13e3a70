"""Free ports on loopback, and waiting for one to answer."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterable

HOST = "127.0.0.1"
OFFSETS = range(10_000, 31_000)  # below the ports that the kernel gives to clients
_random = random.SystemRandom()


def is_free(port: int) -> bool:
    """Can somebody listen there now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError:
            return False
    return True


def free_offset(ports: Iterable[int]) -> int:
    """An offset at which all these ports are free."""
    wanted = list(ports)
    for _ in range(1000):
        offset = _random.choice(OFFSETS)
        if all(is_free(port + offset) for port in wanted):
            return offset
    raise RuntimeError("no free ports on loopback")


def wait_for_answer(ports: Iterable[int], alive: Callable[[], bool], seconds: float) -> None:
    """Return when each port sends its greeting.

    Errors  RuntimeError when the process ended, TimeoutError when it takes too long.
    """
    until = time.monotonic() + seconds
    for port in ports:
        while True:
            if not alive():
                raise RuntimeError("the server ended while starting")
            try:
                with socket.create_connection((HOST, port), timeout=seconds) as sock:
                    if sock.recv(1):
                        break
            except OSError:
                pass
            if time.monotonic() > until:
                raise TimeoutError(f"port {port} does not answer after {seconds} s")
            time.sleep(0.02)
