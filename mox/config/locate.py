"""On which line of a TOML text does a key stand?

``tomllib`` gives values without places.  This walks a text that ``tomllib`` has accepted and notes
the line of every key, in one pass.  Keys inside inline tables have the line of that table's key.
"""

import re
import tomllib

from mox.config.toml import Path

_STRING = r'"""(?:[^\\]|\\.)*?""""{0,2}|' r"'''.*?''''{0,2}|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'"
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)+")
_KEY = re.compile(rf"[ \t]*([A-Za-z0-9_-]+|{_STRING})[ \t]*(\.?)", re.DOTALL)
_VALUE = re.compile(rf"{_STRING}|#[^\n]*|[\[{{]|[\]}}]|\n|[^\"'#\[\]{{}}\n]+", re.DOTALL)


class Places:
    """Lines of the keys of one text."""

    __slots__ = ("_arrays", "_line", "_lines", "_offset", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}  # array of tables -> position of its last table
        self._line, self._offset = 1, 0
        self._scan()

    def line(self, path: Path) -> int:
        """Line of a key, or of the nearest key around it; 0 when there is none."""
        for end in range(len(path), 0, -1):
            found = self._lines.get(path[:end])
            if found is not None:
                return found
        return 0

    def _scan(self) -> None:
        offset = 0
        table: Path = ()
        while offset < len(self._text):
            blank = _BLANK.match(self._text, offset)
            if blank:
                offset = blank.end()
            elif self._text[offset] == "[":
                offset, table = self._header(offset)
            else:
                offset = self._pair(offset, table)

    def _header(self, offset: int) -> tuple[int, Path]:
        """``[a.b]`` or ``[[a.b]]``: the table that the following keys belong to."""
        array = self._text.startswith("[[", offset)
        keys, end = self._keys(offset + (2 if array else 1))
        table = self._note((), keys[:-1], offset)
        table = (*table, keys[-1])
        if array:
            self._arrays[table] = self._arrays.get(table, -1) + 1
        table = self._note((), keys, offset)
        if array:
            self._lines[table] = self._line_at(offset)
        return end + (2 if array else 1), table

    def _pair(self, offset: int, table: Path) -> int:
        """``a.b = value``: note the key, pass over the value."""
        keys, end = self._keys(offset)
        self._note(table, keys, offset)
        return self._skip(end + 1)

    def _note(self, table: Path, keys: list[str], offset: int) -> Path:
        for key in keys:
            table = (*table, key)
            self._lines.setdefault(table, self._line_at(offset))
            if table in self._arrays:
                table = (*table, self._arrays[table])
        return table

    def _keys(self, offset: int) -> tuple[list[str], int]:
        keys: list[str] = []
        while True:
            found = _KEY.match(self._text, offset)
            if found is None:
                raise ValueError("not a TOML text")
            raw = found[1]
            keys.append(str(tomllib.loads(f"k = {raw}")["k"]) if raw[0] in "\"'" else raw)
            offset = found.end()
            if not found[2]:
                return keys, offset

    def _skip(self, offset: int) -> int:
        depth = 0
        while offset < len(self._text):
            token = _VALUE.match(self._text, offset)
            if token is None:
                raise ValueError("not a TOML text")
            offset = token.end()
            char = token[0][0]
            if char == "\n" and not depth:
                break
            depth += (char in "[{") - (char in "]}")
        return offset

    def _line_at(self, offset: int) -> int:
        # Offsets only grow, so counting goes on from where it was.
        self._line += self._text.count("\n", self._offset, offset)
        self._offset = offset
        return self._line
