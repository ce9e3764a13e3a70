"""What happened to a message, in plain words: pure.    For ``mox queue explain``.

Every attempt with its hosts: address, which TLS was asked for and why, what came about, the verdict on
the certificate, what was said, how long it took, and what was done then.
"""

from collections.abc import Iterator, Sequence

from mox.message.date import format_date
from mox.queue.entry import Attempt, Ending, Entry, HostTry, Retired
from mox.queue.schedule import Schedule

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def explain(
    found: Entry | Retired, attempts: Sequence[Attempt], now_ms: int, schedule: Schedule
) -> list[str]:
    """Lines of text.    Input  attempts: of this entry, in order."""
    entry = found.entry if isinstance(found, Retired) else found
    lines = list(_head(entry))
    lines += ["", *_state(found, attempts, now_ms, schedule)]
    for attempt in attempts:
        lines += ["", *_attempt(entry, attempt)]
    return lines


def _head(entry: Entry) -> Iterator[str]:
    yield f"Message {entry.id} from {entry.sender.path()} to {entry.recipient.path()}"
    yield f"  of account {entry.account}, {entry.size} bytes, queued {format_date(entry.queued_ms)}"
    if entry.subject:
        yield f"  Subject: {entry.subject}"
    if entry.message_id:
        yield f"  Message-Id: <{entry.message_id}>"
    if entry.base_id:
        yield f"  Sent together with others; the first has number {entry.base_id}."
    if entry.release_ms:
        yield f"  Not to be sent before {format_date(entry.release_ms)}."
    if entry.transport:
        yield f"  Transport {entry.transport} is set for this message; routes do not count."
    if entry.require_tls is True:
        yield "  Only over verified TLS, all the way (REQUIRETLS)."
    elif entry.require_tls is False:
        yield "  Policies and certificates do not count (TLS-Required: No)."
    if entry.notify:
        yield f"  The sender wants notifications: {entry.notify}."


def _state(
    found: Entry | Retired, attempts: Sequence[Attempt], now_ms: int, schedule: Schedule
) -> Iterator[str]:
    if isinstance(found, Retired):
        became = "It was delivered." if found.success else f"It was not delivered: {found.event}."
        yield f"{became} Done {format_date(found.last_activity_ms)}."
        yield f"It is remembered until {format_date(found.keep_until_ms)}."
        return
    running = attempts[-1] if attempts and not attempts[-1].finished else None
    if found.ending is Ending.DROP:
        yield "It is removed as soon as its attempt ends."
    elif found.ending is Ending.FAIL:
        yield "It is given up as soon as its attempt ends."
    if found.hold:
        yield "It is on hold: nothing is done until it is released."
    elif running is not None and running.number == found.attempts and now_ms < found.next_ms:
        yield "It is being delivered, or the server stopped during the attempt."
        yield f"If that comes to nothing, the next attempt is {_when(found.next_ms, now_ms)}."
    else:
        yield f"The next attempt, number {found.attempts + 1}, is {_when(found.next_ms, now_ms)}."
    if not found.hold:
        last = schedule.last_ms(
            found.attempts, found.first_ms or found.next_ms, found.next_ms, found.max_attempts
        )
        yield f"If nothing works, the last attempt is {_when(last, now_ms)}; then it is given up."


def _attempt(entry: Entry, attempt: Attempt) -> Iterator[str]:
    yield f"Attempt {attempt.number}, {format_date(attempt.start_ms)}:"
    if not attempt.finished:
        is_last = attempt.number == entry.attempts
        yield "  going on, or ended with the server" if is_last else "  ended with the server"
        return
    for each in attempt.tries:
        yield from _try(each)
    if attempt.success:
        said = f"{attempt.code} {attempt.enhanced}".strip()
        yield f"  Accepted by {_host(attempt.remote_host, attempt.remote_ip)}: {said}"
    else:
        code = f"{attempt.code} {attempt.enhanced}".strip() if attempt.code else ""
        yield f"  Failed{f' with {code}' if code else ''}: {attempt.error}"
    for line in attempt.lines:
        yield f"    > {line}"
    yield f"  It took {_seconds(attempt.duration_ms)}. Then: {attempt.next_step or 'nothing'}."


def _try(each: HostTry) -> Iterator[str]:
    took = f", {_seconds(each.duration_ms)}" if each.duration_ms else ""
    yield f"  Host {_host(each.host, each.ip)}{took}"
    if each.policy:
        yield f"    TLS asked for: {each.policy}{f', because {each.policy_why}' if each.policy_why else ''}"
    yield f"    TLS used: {each.tls or 'none'}"
    if each.certificate:
        yield f"    Certificate: {each.certificate}"
    for reply in each.replies:
        yield f"    > {reply}"
    if each.outcome:
        yield f"    Outcome: {each.outcome}"
    if each.next_step:
        yield f"    Then: {each.next_step}"


def _host(host: str, ip: str) -> str:
    if not host:
        return ip or "nobody"
    return f"{host} ({ip})" if ip else host


def _when(time_ms: int, now_ms: int) -> str:
    if time_ms <= now_ms:
        return "now"
    return f"in {span(time_ms - now_ms)}, {format_date(time_ms)}"


def span(milliseconds: int) -> str:
    """A length of time in its two largest units."""
    seconds = milliseconds // 1000
    parts: list[str] = []
    for size, name in _UNITS:
        number, seconds = divmod(seconds, size)
        if number or parts:
            parts.append(f"{number} {name}")
        if len(parts) == 2:
            break
    return " ".join(parts) if parts else f"{milliseconds // 1000} s"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f} s"
