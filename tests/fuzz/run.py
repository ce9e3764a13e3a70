"""Fuzz the targets of this folder.    python tests/fuzz/run.py [--seconds N] [target ...]

Each ``fuzz_*.py`` has ``TARGET_NAME`` and ``run(data)``, which accepts any bytes and asserts its
properties; ``SEEDS`` may give it a start.  Coverage guides the mutation of inputs to the plain twins
(atheris does not see into compiled modules); what was found interesting is then replayed, with
more mutations, on the compiled ones.
"""

import argparse
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent
MAX_LENGTH = 4096  # bytes of an input
REPLAY_SHARE = 0.25  # of the time


def load(path: Path) -> ModuleType:
    """A target as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def explore(path: Path, corpus: Path, seconds: int) -> None:
    """In a process of its own, over the plain twins: libFuzzer does not return."""
    import atheris

    with atheris.instrument_imports(include=["mox"]):
        target = load(path)
    run: Callable[[bytes], None] = target.run
    atheris.Setup(
        [
            path.stem,
            f"-max_total_time={seconds}",
            f"-max_len={MAX_LENGTH}",
            "-seed=1",  # what gates a landing should say the same twice, as far as time allows
            "-print_final_stats=0",
            "-verbosity=0",
            f"-artifact_prefix={corpus.parent}/crash-",
            str(corpus),
        ],
        run,
    )
    atheris.Fuzz()


def replay(path: Path, corpus: Path, seconds: float) -> None:
    """In a process of its own, over the compiled modules: the corpus, then mutations of it."""
    from mox import _speedups

    assert _speedups.IMPLEMENTATION == "cython"
    run: Callable[[bytes], None] = load(path).run
    inputs = [file.read_bytes() for file in sorted(corpus.iterdir())] or [b""]
    chance = random.Random(1)
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end or count < len(inputs):
        data = inputs[count] if count < len(inputs) else mutate(chance, inputs)
        count += 1
        try:
            run(data)
        except BaseException:
            crash = corpus.parent / "crash-replay"
            crash.write_bytes(data)
            sys.stdout.write(f"{path.stem}: failed on {crash}: {data[:200]!r}\n")
            raise
    sys.stdout.write(
        f"{path.stem}: {len(inputs)} kept inputs, {count} runs on the compiled modules\n"
    )


def mutate(chance: random.Random, inputs: list[bytes]) -> bytes:
    """An input changed in a few places, or joined with another."""
    data = bytearray(chance.choice(inputs))
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(data))
        match chance.randint(0, 3):
            case 0:
                data[at:at] = bytes([chance.randint(0, 255)])
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                other = chance.choice(inputs)
                data[at:at] = other[: chance.randint(0, 64)]
            case _:
                if at < len(data):
                    data[at] = chance.randint(0, 255)
    return bytes(data[:MAX_LENGTH])


def fuzz(path: Path, seconds: int) -> tuple[bool, str]:
    """Both passes: whether they went well, and what they said."""
    said = ""
    with tempfile.TemporaryDirectory(prefix="mox-fuzz-") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(getattr(load(path), "SEEDS", ())):
            (corpus / f"seed-{number}").write_bytes(seed)
        replaying = max(1, round(seconds * REPLAY_SHARE))
        plain = {**os.environ, "MOX_PURE_PYTHON": "1"}
        compiled = {name: value for name, value in os.environ.items() if name != "MOX_PURE_PYTHON"}
        command = [sys.executable, __file__, "--folder", str(corpus), path.stem]
        for step, environment in (
            (["--explore", "--seconds", str(max(1, seconds - replaying))], plain),
            (["--replay", "--seconds", str(replaying)], compiled),
        ):
            done = subprocess.run(
                [*command, *step], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                said += f"{path.stem}: FAILED\n{done.stdout}\n{done.stderr[-4000:]}\n"
                for crash in Path(folder).glob("crash-*"):
                    kept = Path(tempfile.gettempdir()) / f"mox-{path.stem}-{crash.name}"
                    shutil.copy(crash, kept)
                    said += f"input kept as {kept}: {crash.read_bytes()[:300]!r}\n"
                return False, said
            said += done.stdout
    return True, said


def main() -> int:
    """All targets, or those named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--explore", action="store_true")
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    paths = sorted(FOLDER.glob("fuzz_*.py"))
    if arguments.targets:
        names = {name.removeprefix("fuzz_") for name in arguments.targets}
        paths = [path for path in paths if path.stem.removeprefix("fuzz_") in names]
    if not paths:
        sys.stdout.write("no such target\n")
        return 2
    if arguments.explore:
        explore(paths[0], arguments.folder, arguments.seconds)
    elif arguments.replay:
        replay(paths[0], arguments.folder, arguments.seconds)
    else:
        failed = False
        # Each target runs in processes of its own: as many at once as there are processors.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for clean, said in pool.map(lambda path: fuzz(path, arguments.seconds), paths):
                sys.stdout.write(said)
                sys.stdout.flush()
                failed |= not clean
        return 1 if failed else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
