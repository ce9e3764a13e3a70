"""Keys and texts as TOML writes them."""

Path = tuple[str | int, ...]
"""Keys from the top of a file to a value; a number is a position in an array."""


def format_path(path: Path) -> str:
    """A path as it is written: ``accounts.me.destinations."me@example.org"``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + format_key(part)
    return text


def format_key(key: str) -> str:
    """A key, with quotes where they are needed."""
    if key and all(char.isascii() and (char.isalnum() or char in "-_") for char in key):
        return key
    return format_string(key)


def format_string(text: str) -> str:
    """A text as a basic string, in one line."""
    return '"' + "".join(map(_format_char, text)) + '"'


def _format_char(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"
