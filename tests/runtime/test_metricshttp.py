"""The metrics endpoint over a real socket."""

import asyncio
import io

import pytest

from mox.base import log, metrics
from mox.runtime.metricshttp import MetricsServer
from mox.runtime.sockets import Endpoint, bind, endpoint_of


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request + b"Host: x\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_metrics_are_served_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    bound = bind(Endpoint(ip="127.0.0.1", port=0))
    port = endpoint_of(bound).port
    server = MetricsServer()
    await server.start([bound])
    try:
        metrics.SMTP_CONNECTIONS.labels("deliver").inc()
        answer = await ask(port, b"GET /metrics HTTP/1.1\r\n")
        head, body = answer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"Content-Type: text/plain; version=" in head
        assert b'mox_smtpserver_connection_total{kind="deliver"}' in body
        assert (await ask(port, b"GET / HTTP/1.1\r\n")).startswith(b"HTTP/1.1 404 ")
        assert (await ask(port, b"POST /metrics HTTP/1.1\r\n")).startswith(b"HTTP/1.1 405 ")
        assert (await ask(port, b"GET " + b"x" * 20_000)).startswith(b"HTTP/1.0 400 ")
    finally:
        await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await ask(port, b"GET /metrics HTTP/1.1\r\n")
    assert not caplog.records  # a peer's nonsense is not logged


async def test_a_failure_is_logged_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bytes:
        raise OSError("no /proc")

    monkeypatch.setattr(metrics, "exposition", fail)
    lines = io.StringIO()
    log.configure(output=lines)
    before = metrics.unhandled_total()
    bound = bind(Endpoint(ip="127.0.0.1", port=0))
    server = MetricsServer()
    await server.start([bound])
    try:
        answer = await ask(endpoint_of(bound).port, b"GET /metrics HTTP/1.1\r\n")
    finally:
        await server.stop()
        log.configure()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"/proc" not in answer
    assert "event=metrics.unhandled" in lines.getvalue()
    assert metrics.unhandled_total() == before + 1
    metrics.PANICS.labels("metrics").reset()
