"""The commands.    One file each; a new one is one line here."""

from typing import Final

from mox.base.table import Table
from mox.imapserver.command import AnyCommand
from mox.imapserver.commands import (
    append,
    authenticate,
    capability,
    close,
    copy,
    create,
    delete,
    enable,
    expunge,
    fetch,
    identify,
    idle,
    list,
    login,
    logout,
    namespace,
    noop,
    rename,
    search,
    select,
    starttls,
    status,
    store,
    subscribe,
)

_MODULES = (
    append,
    authenticate,
    capability,
    close,
    copy,
    create,
    delete,
    enable,
    expunge,
    fetch,
    identify,
    idle,
    list,
    login,
    logout,
    namespace,
    noop,
    rename,
    search,
    select,
    starttls,
    status,
    store,
    subscribe,
)

COMMANDS: Final[Table[AnyCommand]] = Table("imap commands")

for _module in _MODULES:
    for _command in _module.COMMANDS:
        COMMANDS.add(_command.name, _command)
COMMANDS.freeze()
