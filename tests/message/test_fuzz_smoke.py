"""The fuzz targets of messages on a few generated inputs; long runs are ci/fuzz."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent.parent / "fuzz"
TARGETS = ("addresses", "headers", "mime", "dates")
PIECES = (
    b"\r\n", b"\n", b"\r", b"--b", b"--b--", b"--i", b" ", b"\t", b":", b";", b'"', b"(", b")",
    b"<", b">", b"@", b",", b"\\", b"=", b"?", b"[", b"]", b"a", b"\0", b"\xff", b"1", b"jan",
    b"From: ", b"Content-Type: ", b"multipart/mixed; boundary=b", b"message/rfc822", b"text/html",
    b"Content-Transfer-Encoding: base64\r\n", b"\r\n\r\n", b"=?utf-8?Q?", b"12:34", b"2025", b"+0000",
)  # fmt: skip


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", FOLDER / f"fuzz_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", TARGETS)
def test_generated_inputs(name: str) -> None:
    target = load(name)
    assert name == target.TARGET_NAME
    chance = random.Random(name)
    for seed in target.SEEDS:
        target.run(seed)
    for _ in range(60):
        data = bytearray(chance.choice(target.SEEDS))
        for _ in range(chance.randint(1, 6)):
            at = chance.randint(0, len(data))
            if chance.random() < 0.3:
                del data[at : at + chance.randint(1, 6)]
            else:
                data[at:at] = chance.choice(PIECES)
        target.run(bytes(data))
    target.run(b"")
