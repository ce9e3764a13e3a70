"""The commands.    One file each; a new one is one line here."""

from typing import Final

from mox.base.table import Table
from mox.imapserver.command import AnyCommand
from mox.imapserver.commands import (
    authenticate,
    capability,
    close,
    create,
    delete,
    enable,
    identify,
    idle,
    list,
    login,
    logout,
    namespace,
    noop,
    rename,
    select,
    starttls,
    status,
    subscribe,
)

_MODULES = (
    authenticate,
    capability,
    close,
    create,
    delete,
    enable,
    identify,
    idle,
    list,
    login,
    logout,
    namespace,
    noop,
    rename,
    select,
    starttls,
    status,
    subscribe,
)

COMMANDS: Final[Table[AnyCommand]] = Table("imap commands")

for _module in _MODULES:
    for _command in _module.COMMANDS:
        COMMANDS.add(_command.name, _command)
COMMANDS.freeze()
