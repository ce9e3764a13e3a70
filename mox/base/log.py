"""The only door to structlog: set-up, loggers per area, levels that change while running.

Lines of one turn of an event loop are written together, at its end or with the next warning: each write
hands over the GIL.

Events are short dotted names with fields.  Secrets and message contents are never passed to a
logger; a value is one line whatever the peer sent, because the renderers quote control characters.
"""

import asyncio
import atexit
import logging
import sys
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Any

import structlog

from mox.base.clock import SystemClock

_CLOCK = SystemClock()
LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40}
_default_level = LEVELS["info"]
_area_levels: dict[str, int] = {}
_output: IO[str] = sys.stderr
_json = False
_count: Callable[[str], None] | None = None
_unwritten = 0  # lines that met a full disk or a closed pipe since the last good one
_waiting: deque[str] = deque()  # lines of this turn
_writes_at_end: asyncio.AbstractEventLoop | None = None  # the loop whose turn it is


class Logger:
    """A logger of one area with bound fields."""

    __slots__ = ("_area", "_fields", "_written")

    def __init__(self, area: str, fields: dict[str, object]) -> None:
        self._area = area
        self._fields = fields
        self._written: str | None = None  # area and fields as they stand in each line

    def bind(self, **fields: object) -> "Logger":
        """The same area with more fields on every line."""
        return Logger(self._area, {**self._fields, **fields})

    def enabled(self, level: str) -> bool:
        """Would a line of this level be written?"""
        return LEVELS[level] >= _area_levels.get(self._area, _default_level)

    def debug(self, event: str, **fields: object) -> None:
        """For developers."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Normal operation."""
        self._write("info", event, fields)

    def warn(self, event: str, **fields: object) -> None:
        """Something an operator may want to look at."""
        self._write("warn", event, fields)

    def error(self, event: str, exc: BaseException | None = None, **fields: object) -> None:
        """Something is broken; with the trace of an exception."""
        self._write("error", event, fields, exc)

    def _write(
        self, level: str, event: str, fields: dict[str, object], exc: BaseException | None = None
    ) -> None:
        if LEVELS[level] < _area_levels.get(self._area, _default_level):
            return
        if _count is not None:
            _count(level)
        # Mostly the bound fields are written once for all lines.
        if exc is None and not _json and fields.keys().isdisjoint(self._fields):
            if self._written is None:
                self._written = _pairs({"area": self._area, **self._fields})
            line = f"timestamp={_stamp()} level={level} {_pair('event', event)} {self._written}"
            _put(level, f"{line} {_pairs(fields)}\n" if fields else f"{line}\n")
            return
        record: dict[str, Any] = {"level": level, "event": event, "area": self._area}
        record.update(self._fields)
        record.update(fields)
        if exc is not None:
            record["exc_info"] = exc
        for processor in _PROCESSORS:
            record = processor(None, level, record)
        renderer = _RENDER_JSON if _json else _RENDER_LOGFMT
        _put(level, f"{renderer(None, level, record)}\n")


def _pairs(fields: dict[str, object]) -> str:
    """Fields as ``_RENDER_LOGFMT`` writes them, in a quarter of its time."""
    return " ".join([_pair(key, value) for key, value in fields.items()])


def _pair(key: str, value: object) -> str:
    if value is None:
        return f"{key}="
    if isinstance(value, bool):
        return key if value else f"{key}=false"
    text = str(_plain(value))
    if " " in text or "=" in text or '"' in text:
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{key}={text}"


def _put(level: str, line: str) -> None:
    """Write a line: at once, or at the end of the turn of the running event loop."""
    global _writes_at_end
    _waiting.append(line)
    if LEVELS[level] < LEVELS["warn"]:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            pass  # in a thread
        else:
            if loop is not _writes_at_end:
                _writes_at_end = loop
                loop.call_soon(_write_waiting)
            return
    _write_waiting()


def _write_waiting() -> None:
    """A log that cannot be written must not keep mail from being answered."""
    global _unwritten, _writes_at_end
    _writes_at_end = None
    lines: list[str] = []
    while _waiting:
        lines.append(_waiting.popleft())
    if not lines:
        return
    try:
        _output.write("".join(lines))
        _output.flush()
    except OSError:
        _unwritten += len(lines)
        return
    if _unwritten:
        # Not before a line went through; none of this can fail silently for ever.
        count, _unwritten = _unwritten, 0
        get_logger("log").error("log.unwritten", lines=count)


def _one_line(_logger: object, _method: str, record: Any) -> Any:
    return {key: _plain(value) for key, value in record.items()}


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _stamp() -> str:
    """Now, in UTC, to the millisecond."""
    seconds, ms = divmod(_CLOCK.now_ms(), 1000)
    return f"{_second(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=2)  # all lines of a second share it
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _stamped(_logger: object, _method: str, record: Any) -> Any:
    record["timestamp"] = _stamp()
    return record


_PROCESSORS: list[Any] = [
    _stamped,
    structlog.processors.format_exc_info,
    _one_line,
]
_RENDER_LOGFMT: Any = structlog.processors.LogfmtRenderer(
    key_order=["timestamp", "level", "event", "area"]
)
_RENDER_JSON: Any = structlog.processors.JSONRenderer()


def get_logger(area: str) -> Logger:
    """The logger of an area: ``imapserver``, ``smtpserver``, ``store``, ``runtime``, ..."""
    return Logger(area, {})


def configure(
    level: str = "info",
    areas: dict[str, str] | None = None,
    *,
    json: bool = False,
    output: IO[str] | None = None,
) -> None:
    """Set levels and form for this process.    Errors: KeyError for an unknown level."""
    global _default_level, _output, _json
    _write_waiting()
    _default_level = LEVELS[level]
    _area_levels.clear()
    _area_levels.update({area: LEVELS[name] for area, name in (areas or {}).items()})
    _json = json
    _output = output or sys.stderr
    logging.basicConfig(level=logging.WARNING, stream=_output, force=True)


atexit.register(_write_waiting)


def count_lines(count: Callable[[str], None] | None) -> None:
    """Call ``count`` with the level of every line that is written; None ends it."""
    global _count
    _count = count


def set_level(level: str, area: str | None = None) -> None:
    """Change the default level or one area's; an empty level clears the area's own."""
    global _default_level
    if area is None:
        _default_level = LEVELS[level]
    elif level:
        _area_levels[area] = LEVELS[level]
    else:
        _area_levels.pop(area, None)


def levels() -> dict[str, str]:
    """Level by area; the default under the name ``(default)``."""
    names = {number: name for name, number in LEVELS.items()}
    return {"(default)": names[_default_level]} | {
        area: names[number] for area, number in sorted(_area_levels.items())
    }
