"""The line of a key."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from mox.config.locate import Places
from mox.config.toml import format_key, format_path, format_string

TEXT = '''\
# comment with [x] and = signs
a = 1
b.c = "x # y [z]"   # note
"d e" = """
f = 1
\\""" # still inside
g = 2
"""
h = [
  1, # [
  "]",
  { i = 2 },
]
[t.u]
"v\\u0041" = \'\'\'
[no]
\'\'\'
'w.x'.y = { z = 1, "q" = { r = [ 1,
2] } }
[[arr]]
k = 1
[arr.sub]
k = 2
[[arr]]
l = 3
[[arr.deep]]
m = 1
[[arr.deep]]
m = 2
'''


def test_lines() -> None:
    assert tomllib.loads(TEXT)
    places = Places(TEXT)
    for path, line in [
        (("a",), 2),
        (("b",), 3),
        (("b", "c"), 3),
        (("d e",), 4),
        (("h",), 9),
        (("h", 1), 9),
        (("t",), 14),
        (("t", "u"), 14),
        (("t", "u", "vA"), 15),
        (("t", "u", "w.x", "y"), 18),
        (("t", "u", "w.x", "y", "z"), 18),
        (("arr",), 20),
        (("arr", 0), 20),
        (("arr", 0, "k"), 21),
        (("arr", 0, "sub", "k"), 23),
        (("arr", 1), 24),
        (("arr", 1, "l"), 25),
        (("arr", 1, "deep", 0, "m"), 27),
        (("arr", 1, "deep", 1), 28),
        (("arr", 1, "deep", 1, "m"), 29),
        (("arr", 1, "deep", 1, "missing"), 28),
        (("f",), 0),
        (("no",), 0),
        ((), 0),
    ]:
        assert places.line(path) == line, path


KEYS = st.text(max_size=6)
TEXTS = st.text(max_size=12)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, TEXTS, max_size=4), max_size=4))
def test_every_key_is_found(tables: dict[str, dict[str, str]]) -> None:
    lines: list[str] = []
    wanted: dict[tuple[str, ...], int] = {}
    for name, table in tables.items():
        lines += ["# [note]", f"[{format_key(name)}]"]
        wanted[(name,)] = len(lines)
        for key, value in table.items():
            lines.append(f"{format_key(key)} = {format_string(value)}")
            wanted[name, key] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    places = Places(text)
    assert {path: places.line(path) for path in wanted} == wanted


def test_format_path() -> None:
    path = ("accounts", "me", "destinations", 'a"b\n@x', 2, "z")
    assert format_path(path) == 'accounts.me.destinations."a\\"b\\U0000000a@x"[2].z'
