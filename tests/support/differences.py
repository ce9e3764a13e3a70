"""Tables of known differences to others: one row each, with a reason and the RFC section.

A tab-separated file; lines that begin with # are comments, the first other line names the columns,
of which the last two are the reason and the section.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeAlias

Key: TypeAlias = tuple[str, ...]


def read_table(text: str) -> list[Key]:
    """The keys of all rows.    Errors: AssertionError for a row that explains nothing."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    columns, *rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    assert columns[-2:] == ["reason", "rfc"], columns
    keys = []
    for row in rows:
        assert len(row) == len(columns), row
        assert all(row), row
        assert row[-1].startswith("RFC "), row
        assert "§" in row[-1], row
        keys.append(tuple(row[:-2]))
    assert len(set(keys)) == len(keys), "a difference listed twice"
    return keys


def judged(found: Mapping[Key, str], rows: Collection[Key]) -> list[str]:
    """Differences without a row, and rows without a difference.   found: key → what is shown."""
    listed = set(rows)
    faults = [
        f"{' '.join(key)} is not listed:\n    {shown}"
        for key, shown in sorted(found.items())
        if key not in listed
    ]
    faults += [
        f"{' '.join(key)}: the row is no longer needed" for key in sorted(listed - found.keys())
    ]
    return faults


def check(found: Mapping[Key, str], table: Path, first: str = "") -> None:
    """Fail unless the table lists what was found; ``first``: only rows that begin with it."""
    rows = [key for key in read_table(table.read_text()) if not first or key[0] == first]
    faults = judged(found, rows)
    assert not faults, "\n".join(faults)
