"""Medians, a table for people, a JSON file for later."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import msgspec

RESULTS = Path(__file__).parents[1] / "results"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    cpu: str
    cores: int
    memory_mib: int
    kernel: str
    python: str
    filesystem: str
    load_before: float  # of one minute


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One measure at one size: server → its rounds."""

    measure: str
    unit: str
    rate: bool
    messages: int
    rounds: dict[str, list[float]]

    def median(self, server: str) -> float:
        """The middle round."""
        return statistics.median(self.rounds[server])

    def ratio(self) -> float | None:
        """How many times as fast ours is; None if it was measured alone."""
        if len(self.rounds) < 2:
            return None
        ours, theirs = self.median("mox"), self.median("dovecot")
        return ours / theirs if self.rate else theirs / ours


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    date: str
    commit: str
    machine: Machine
    malloc: dict[str, str]
    versions: dict[str, str]
    lines: list[Line]
    longest_wait_ms: dict[str, dict[str, float]]  # measure and size → server → ms


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def describe_machine(folder: Path) -> Machine:
    """The machine, and the file system of the folder that is measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cpu=cpu,
        cores=os.cpu_count() or 0,
        memory_mib=memory // (1024 * 1024),
        kernel=platform.release(),
        python=sys.version.split()[0],
        filesystem=_said("stat", "-f", "-c", "%T", str(folder)),
        load_before=os.getloadavg()[0],
    )


def commit() -> str:
    """The commit that was measured; a plus sign where the tree was changed."""
    root = str(Path(__file__).parents[2])
    name = _said("git", "-C", root, "rev-parse", "--short", "HEAD")
    return name + ("+" if _said("git", "-C", root, "status", "--porcelain", "-uno") else "")


def number(value: float, unit: str) -> str:
    """With three digits that mean something."""
    return f"{value:.1f}" if unit == "ms" else f"{value:,.0f}"


def table(report: Report) -> str:
    """Markdown."""
    servers = list(report.lines[0].rounds)
    head = ["measure", "messages", "unit", *servers]
    if len(servers) > 1:
        head.append("ratio")
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in report.lines:
        cells = [line.measure, f"{line.messages:,}", line.unit]
        for server in servers:
            rounds = line.rounds[server]
            low, high = number(min(rounds), line.unit), number(max(rounds), line.unit)
            cells.append(f"{number(line.median(server), line.unit)} ({low} to {high})")
        ratio = line.ratio()
        if ratio is not None:
            cells.append(f"{ratio:.2f}")
        rows.append("| " + " | ".join(cells) + " |")
    rows += ["", "Longest wait of another connection's NOOP meanwhile, ms:", ""]
    rows += ["| during | " + " | ".join(servers) + " |", "|" + "---|" * (len(servers) + 1)]
    for name, waits in report.longest_wait_ms.items():
        cells = [f"{waits[server]:.1f}" for server in servers]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    machine = report.machine
    rows += [
        "",
        f"{report.date}, commit {report.commit}; {machine.cores} x {machine.cpu}, "
        f"{machine.memory_mib} MiB, Linux {machine.kernel}, {machine.filesystem}; "
        f"load before {machine.load_before:.1f}; "
        + ", ".join(f"{name} {version}" for name, version in report.versions.items()),
    ]
    return "\n".join(rows)


def save(report: Report, name: str) -> Path:
    """The report as JSON in benchmarks/results."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{report.date[:10]}-{name}-{report.commit}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return path
