"""What is wrong with a configuration, told with file, line and key."""

from collections.abc import Iterable

from msgspec import Struct

from mox.base.errors import Refused


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong.    ``line`` is 0 where there is none."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.text}" if self.key else f"{where}: {self.text}"


class ConfigInvalid(Refused):
    """A configuration that cannot be used, with every problem in it.

    ``public`` is for the operator who asked: it names the files.  It is never shown to a mail client.
    """

    default = "config error"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
