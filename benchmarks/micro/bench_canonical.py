"""DKIM canonicalisation of a 5 MB body in the pieces a socket gives, and of a header field.

The last one is a whole verification of a 50 KB message, without DNS.
"""

import hashlib
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import canonical as compiled
from mox._speedups.reference import canonical as plain
from mox.mailauth.dkim.canonical import Canon
from mox.mailauth.dkim.keyrecord import record_of
from mox.mailauth.dkim.sign import SigningKey, sign
from mox.mailauth.dkim.verify import KeyAnswer, Verification
from mox.mailauth.publicsuffix import listed

LINE = b"Some text of the usual  length, wrapped at 72, now and then a gap. \r\n"
PIECES = [LINE * 950] * 80  # 64 KiB each
FIELD = (
    b"Received: from mail.example.com (mail.example.com [192.0.2.1])\r\n"
    b"\tby mx.example.org with ESMTPS id 4XYZ\r\n"
    b"\tfor <user@example.org>; Tue, 1 Jul 2025 10:00:00 +0000 (UTC)\r\n"
)
both = pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])


@both
@pytest.mark.parametrize("relaxed", [False, True], ids=["simple", "relaxed"])
def test_body(benchmark: BenchmarkFixture, module: ModuleType, relaxed: bool) -> None:
    def run() -> int:
        size = 0

        def count(block: bytes) -> None:
            nonlocal size
            size += len(block)

        body = module.BodyCanonicalizer(relaxed, count)
        for piece in PIECES:
            body.feed(piece)
        body.finish()
        return size

    assert benchmark(run) > 5_000_000


def test_body_hashed(benchmark: BenchmarkFixture) -> None:
    def run() -> bytes:
        digest = hashlib.sha256()
        body = compiled.BodyCanonicalizer(True, digest.update)
        for piece in PIECES:
            body.feed(piece)
        body.finish()
        return digest.digest()

    assert len(benchmark(run)) == 32


@both
def test_header(benchmark: BenchmarkFixture, module: ModuleType) -> None:
    assert benchmark(module.relax_header, FIELD).startswith(b"received:from mail")


def test_verification(benchmark: BenchmarkFixture) -> None:
    private = generate_private_key(65_537, 2048)
    key = SigningKey(
        domain="example.com",
        selector="sel",
        private=private,
        header_canon=Canon.RELAXED,
        body_canon=Canon.RELAXED,
    )
    message = FIELD * 5 + b"From: a@example.com\r\nSubject: x\r\n\r\n" + LINE * 720
    message = sign(message, [key], now_s=1) + message
    answer = KeyAnswer(record=record_of(private.public_key()))

    def run() -> bool:
        verification = Verification(message, now_s=1, suffixes=listed())
        verification.feed_body(message[verification.body_offset :])
        (result,) = verification.judge({"sel._domainkey.example.com": answer})
        return result.is_pass

    assert benchmark(run)
