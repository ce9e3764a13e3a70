"""Runs a session: greeting, one command after the other, the end.

The only place where a command's errors are caught (house.md section 12).
"""

from mox.base import metrics
from mox.base.errors import Broken, MoxError, Unavailable
from mox.imap.command import Command as Received
from mox.imap.cursor import Cursor
from mox.imap.events import Continue, LiteralStart, Problem, Refused
from mox.imapserver.capabilities import announced
from mox.imapserver.command import AnyCommand, Done
from mox.imapserver.commands import COMMANDS
from mox.imapserver.errors import (
    Answer,
    Bad,
    Bye,
    ConnectionClosed,
    No,
    TimedOut,
    answer,
    wire_text,
)
from mox.imapserver.input import CONTINUE
from mox.imapserver.news import write_news
from mox.imapserver.session import Session


async def serve(session: Session) -> None:
    """From the greeting to the end of the connection.    The caller closes the wire."""
    try:
        session.write(b"* OK [CAPABILITY %b] mox imap\r\n" % announced(session))
        await session.drain()
        await _serve_commands(session)
    except Bye as bye:
        await _say_bye(session, bye)
    except TimedOut:
        await _say_bye(session, Bye("inactive"))  # RFC 9051 §5.4
    except ConnectionClosed:
        session.log.debug("imap.gone")
    except Unavailable as error:
        # Between two commands there is nobody to say NO to.
        session.log.warn("imap.unavailable", text=error.public)
        await _say_bye(session, Bye(error.public, b"UNAVAILABLE"))
    except Exception as error:
        metrics.unhandled("imapserver")
        session.log.error("imap.broken", error)
        await _say_bye(session, Bye(Broken.default, b"SERVERBUG"))
    finally:
        session.leave()


async def _say_bye(session: Session, bye: Bye) -> None:
    code = b"[%b] " % bye.code if bye.code else b""
    session.write(b"* BYE %b%b\r\n" % (code, wire_text(bye.text)))
    session.log.debug("imap.bye", text=bye.text)
    try:
        await session.drain()
    except ConnectionClosed:
        session.log.debug("imap.gone")


async def _serve_commands(session: Session) -> None:
    refusal: MoxError | None = None
    while not session.ended:
        if session.farewell:
            raise Bye(session.farewell)
        event = await session.input.next(session.timeout_s)
        match event:
            case Received():
                await _run(session, event)
            case LiteralStart(command=received):
                await _run(session, received)
            case Continue(command=received):
                refusal = _refusal(session, received)
                if refusal is None:
                    session.write(CONTINUE)
                else:
                    # RFC 9051 §4.3: refuse before the data is sent.
                    session.input.reader.refuse()
            case Refused(command=received, fatal=fatal):
                assert refusal is not None
                await _reply(session, received.tag, answer(refusal))
                session.ended = fatal
            case Problem():
                await _problem(session, event)
            case None:
                pass  # poked: the server stops, or changes came that wait for the next command
            case _:
                session.ended = True


def _look_up(session: Session, received: Received) -> AnyCommand:
    """The command by name.    Errors: Bad, No; Bye to who speaks something else."""
    command = COMMANDS.get(received.name)
    if command is None:
        if not session.spoken:
            # Whoever speaks HTTP or SMTP goes on for many lines.
            raise Bye("please try again speaking imap")
        raise Bad("unknown command")
    session.spoken = True
    if not command.states & session.state:
        raise No("command not allowed in this state of the connection")
    return command


def _refusal(session: Session, received: Received) -> MoxError | None:
    try:
        _look_up(session, received)
    except MoxError as error:
        return error
    return None


async def _problem(session: Session, problem: Problem) -> None:
    if not session.spoken and problem.code is None:
        raise Bye("please try again speaking imap")
    if problem.fatal:
        # RFC 7888 §4: literal data that cannot be skipped follows.
        session.write(b"* BYE [ALERT] %b\r\n" % wire_text(problem.text))
    failed = Answer(b"BAD", problem.code, problem.text, "badsyntax")
    await _reply(session, problem.tag or b"*", failed)
    session.ended = problem.fatal


async def _run(session: Session, received: Received) -> None:
    """One command, from its first token to its tagged reply."""
    clock = session.service.clock
    began = clock.monotonic_s()
    session.tag = received.tag
    command: AnyCommand | None = None
    result = "ioerror"
    try:
        done: Done | Answer
        try:
            command = _look_up(session, received)
            done = await _execute(session, command, received)
            result = "ok"
        except (ConnectionClosed, TimedOut, Bye):
            raise
        except Exception as error:
            done = _failure(session, received, error)
            result = done.result
        if session.input.unfinished and await session.input.skip_rest():
            session.write(b"* BYE [ALERT] too much data\r\n")
            session.ended = True
        if command is not None and command.tells_news:
            freed = isinstance(done, Done) and done.frees_expunges
            await write_news(session, expunge=freed or not command.holds_expunges)
        if isinstance(done, Done):
            code = b"[%b] " % done.code if done.code else b""
            text = wire_text(done.text) if done.text else received.name.lower() + b" done"
            session.write(b"%b OK %b%b\r\n" % (received.tag, code, text))
            await session.drain()
        else:
            await _reply(session, received.tag, done)
        if session.starting_tls:
            await _start_tls(session)
        else:
            session.input.resume()
    finally:
        seconds = clock.monotonic_s() - began
        name = command.name.decode("ascii").lower() if command is not None else "(unknown)"
        metrics.IMAP_COMMAND_SECONDS.labels(name, result).observe(seconds)
        session.log.debug("imap.command", cmd=name, result=result, ms=round(seconds * 1000, 3))


async def _execute(session: Session, command: AnyCommand, received: Received) -> Done:
    view = session.view
    pinned = view.mailbox if view is not None and command.pins else None
    if pinned is not None:
        pinned.pins += 1
    try:
        if session.input.unfinished:
            if command.stream is None:
                raise Bad("literal not allowed here")
            return await command.stream(session, received)
        cursor = Cursor(received)
        arguments = command.parse(cursor, session)
        cursor.end()
        return await command.run(session, arguments)
    finally:
        if pinned is not None:
            pinned.pins -= 1


async def _start_tls(session: Session) -> None:
    session.starting_tls = False
    await session.wire.start_tls()
    # RFC 9051 §6.2.1: nothing learned before the handshake counts.
    session.input.reset()


def _failure(session: Session, received: Received, error: Exception) -> Answer:
    failed = answer(error)
    name = received.name.decode("ascii", "replace")
    if isinstance(error, (Broken, MoxError)):
        if failed.result == "servererror":
            metrics.unhandled("imapserver")
            session.log.error("imap.failed", error, cmd=name, **error.fields)
        else:
            session.log.info(
                "imap.refused", cmd=name, text=error.public, cause=repr(error.cause), **error.fields
            )
    else:
        metrics.unhandled("imapserver")
        session.log.error("imap.unhandled", error, cmd=name)
    return failed


async def _reply(session: Session, tag: bytes, failed: Answer) -> None:
    code = b"[%b] " % failed.code if failed.code else b""
    session.write(b"%b %b %b%b\r\n" % (tag, failed.status, code, wire_text(failed.text)))
    await session.drain()
