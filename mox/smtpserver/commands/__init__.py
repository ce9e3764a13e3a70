"""COMMANDS: every SMTP command of the server.    One line each."""

from typing import Final

from mox.base.table import Table
from mox.smtpserver.command import Command
from mox.smtpserver.commands.auth import AUTH
from mox.smtpserver.commands.bdat import BDAT
from mox.smtpserver.commands.data import DATA
from mox.smtpserver.commands.helo import EHLO, HELO, LHLO
from mox.smtpserver.commands.mail import MAIL
from mox.smtpserver.commands.rcpt import RCPT
from mox.smtpserver.commands.simple import EXPN, HELP, NOOP, QUIT, RSET, VRFY
from mox.smtpserver.commands.starttls import STARTTLS
from mox.smtpserver.commands.xforward import XFORWARD

COMMANDS: Final[Table[Command]] = Table("smtp commands")

for _command in (
    AUTH, BDAT, DATA, EHLO, EXPN, HELO, HELP, LHLO, MAIL, NOOP, QUIT, RCPT, RSET, STARTTLS, VRFY,
    XFORWARD,
):  # fmt: skip
    COMMANDS.add(_command.verb, _command)
COMMANDS.freeze()
