"""RSET, NOOP, HELP, VRFY, EXPN, QUIT.    RFC 5321 §4.1.1.5 - §4.1.1.10."""

from typing import TYPE_CHECKING

from mox.smtp import command as grammar
from mox.smtp import replies
from mox.smtp.reply import Reply
from mox.smtpserver.command import Command
from mox.smtpserver.errors import Hangup

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


async def _rset(session: "Session", rest: bytes) -> Reply:
    grammar.parse_nothing(rest, exact_end=session.service.submission)
    await session.forget()
    return replies.RESET


async def _noop(session: "Session", rest: bytes) -> Reply:
    grammar.parse_optional_string(rest, exact_end=session.service.submission)
    return replies.NOOP_DONE


async def _help(session: "Session", rest: bytes) -> Reply:
    grammar.parse_optional_string(rest, exact_end=session.service.submission)
    return replies.HELP_TEXT


async def _verify(session: "Session", rest: bytes) -> Reply:
    # RFC 5321 §7.3: who has an address is not told; 252 is the answer for that.
    grammar.parse_verify(rest, exact_end=session.service.submission)
    return replies.CANNOT_VERIFY


async def _quit(session: "Session", rest: bytes) -> Reply:
    grammar.parse_nothing(rest, exact_end=session.service.submission)
    raise Hangup(replies.BYE)


RSET = Command(verb=b"RSET", run=_rset)
NOOP = Command(verb=b"NOOP", run=_noop)
HELP = Command(verb=b"HELP", run=_help)
VRFY = Command(verb=b"VRFY", run=_verify)
EXPN = Command(verb=b"EXPN", run=_verify)
QUIT = Command(verb=b"QUIT", run=_quit)
