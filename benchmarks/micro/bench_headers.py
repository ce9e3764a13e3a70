"""Header and boundary scanning on a message as mailing lists make them."""

from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import headers as compiled
from mox._speedups.reference import headers as plain
from mox.message import mime

HEADER = (
    b"".join(
        b"Received: from mail%d.example.com (mail%d.example.com [192.0.2.%d])\r\n"
        b"\tby mx.example.org with ESMTPS id 4XYZ%d\r\n"
        b"\tfor <user@example.org>; Tue, 1 Jul 2025 10:00:0%d +0000 (UTC)\r\n" % (n, n, n, n, n)
        for n in range(5)
    )
    + b"From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.com>\r\n"
    b'To: "User, A" <user@example.org>, other@example.net,\r\n Third Person <t@example.com>\r\n'
    b"Subject: Re: something folded\r\n over two lines\r\nDate: Tue, 1 Jul 2025 10:00:00 +0000\r\n"
    b"Message-ID: <abc.def@example.com>\r\nReferences: <x@y> <z@y>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative;\r\n boundary="----=_Part_123_456"\r\n\r\n'
)
BODY = (
    b"preamble\r\n------=_Part_123_456\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n"
    + b"some text line of the usual length, wrapped at 72\r\n" * 30
    + b"------=_Part_123_456\r\nContent-Type: text/html; charset=UTF-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b"<p>some text line of the usual length=3D, wrapped at 72=\r\n" * 30
    + b"\r\n------=_Part_123_456--\r\n"
)
MESSAGE = HEADER + BODY
WANTED = frozenset({b"from", b"to", b"subject", b"date", b"message-id", b"content-type"})
both = pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])


@both
def test_scan_header(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    size = len(MESSAGE)
    found = benchmark(module.scan_header, MESSAGE, 0, size, size, 10_000, (), WANTED)
    assert found[1] == len(HEADER)


@both
def test_header_values(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    size = len(MESSAGE)
    found = benchmark(module.header_values, MESSAGE, 0, size, size, 10_000, (), WANTED)
    assert found[1] == len(HEADER)


@both
def test_scan_body(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    data = BODY * 100
    found = benchmark(module.scan_body, data, 0, len(data), (b"nowhere",))
    assert found[3] == -1


@both
def test_filter_fields(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    names = [b"date", b"from", b"subject", b"to", b"cc", b"message-id", b"references"]
    found = benchmark(module.filter_fields, MESSAGE, 0, len(HEADER), names, False)
    assert found.endswith(b"\r\n\r\n")


@both
def test_text_before_dot(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    data = BODY * 100
    assert benchmark(module.text_before_dot, data, 0, len(data))[0] == len(data)


def test_parse(benchmark: BenchmarkFixture) -> None:
    part = benchmark(mime.parse, MESSAGE)
    assert len(part.parts) == 2
