"""The commands.    One file each; a new one is one line here."""

from typing import Final

from mox.base.table import Table
from mox.imapserver.command import AnyCommand
from mox.imapserver.commands import (
    authenticate,
    capability,
    close,
    enable,
    identify,
    login,
    logout,
    namespace,
    noop,
    select,
    starttls,
)

_MODULES = (
    authenticate,
    capability,
    close,
    enable,
    identify,
    login,
    logout,
    namespace,
    noop,
    select,
    starttls,
)

COMMANDS: Final[Table[AnyCommand]] = Table("imap commands")

for _module in _MODULES:
    for _command in _module.COMMANDS:
        COMMANDS.add(_command.name, _command)
COMMANDS.freeze()
