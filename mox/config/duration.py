"""Lengths of time as they stand in a configuration file: ``15s``, ``1h30m``, ``72h``.

Source  spec/config.md section 1.
"""

import re
from typing import Final

from mox.base.limits import CONFIG_DURATION

_UNITS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_FORM = re.compile(
    r"(?:(\d{1,12})h)?(?:(\d{1,12})m(?!s))?(?:(\d{1,12})s)?(?:(\d{1,12})ms)?", re.ASCII
)


class Duration:
    """A length of time, zero or more; to the millisecond."""

    __slots__ = ("ms",)

    def __init__(self, text: str) -> None:
        """Errors: ValueError, with a text for the operator."""
        found = _FORM.fullmatch(text)
        if text == "0":
            self.ms = 0
        elif found is None or not text:
            raise ValueError(f"not a duration: {text!r}; write it like 300ms, 15s, 10m, 72h, 1h30m")
        else:
            self.ms = sum(
                int(number) * factor
                for number, factor in zip(found.groups(), _UNITS.values(), strict=True)
                if number
            )
        if self.ms > CONFIG_DURATION * 1000:
            raise ValueError(f"{text!r} is longer than {CONFIG_DURATION // 86400} days")

    @property
    def seconds(self) -> float:
        """For timers and sleeps."""
        return self.ms / 1000

    def __str__(self) -> str:
        """The canonical text: whole hours, minutes, seconds and milliseconds that are not zero."""
        left, text = self.ms, ""
        for unit, factor in _UNITS.items():
            number, left = divmod(left, factor)
            if number:
                text += f"{number}{unit}"
        return text or "0s"

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.ms == other.ms

    def __hash__(self) -> int:
        return hash(self.ms)

    def __bool__(self) -> bool:
        return self.ms > 0
