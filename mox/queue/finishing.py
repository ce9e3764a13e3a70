"""What an outcome means for an entry: done, given up, or tried again; and who is told.

Source  spec/smtp-client-queue.md sections 7, 8, 10 to 12; RFC 3461 §5.2.  The entry's end, what is
        remembered of it, the event and the notification are one batch: a crash repeats or loses none.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

from mox.base import metrics
from mox.base.limits import QUEUE_HOSTS
from mox.message.date import format_date
from mox.queue import keys
from mox.queue.carry import Carried, Outcome, Result
from mox.queue.database import Database
from mox.queue.edit import Edit
from mox.queue.entry import (
    Attempt,
    Ending,
    Entry,
    Event,
    Happened,
    Notice,
    NoticeKind,
    NoticeRecipient,
    Retired,
    Suppression,
    clip,
    clip_lines,
    clip_tries,
    encode,
)
from mox.queue.schedule import Schedule
from mox.queue.suppress import FAILURES_BEFORE, base_address, suppresses
from mox.store.engine.base import Family

BY_ADMINISTRATOR = "delivery was canceled by the administrator"


class _Finish:
    """Outcomes put into one edit."""

    def __init__(self, database: Database, edit: Edit) -> None:
        self._database = database
        self._edit = edit
        self._now_ms = database.clock.now_ms()
        self._notices: dict[tuple[NoticeKind, int], list[NoticeRecipient]] = {}

    def outcome(
        self,
        entry: Entry,
        outcome: Outcome,
        carried: Carried,
        schedule: Schedule,
        earlier: Sequence[bool],
    ) -> None:
        """Of one attempt.    Input  earlier: results of the last messages to the same address."""
        entry = msgspec.structs.replace(entry, dialed=_dialed(entry, carried))
        attempt = self._attempt(entry, outcome, carried)
        if outcome.result is Result.DELIVERED:
            self._delivered(entry, attempt, passed_dsn=outcome.passed_dsn)
        elif entry.ending:
            self.end(entry, attempt)
        elif outcome.result is Result.PERMANENT:
            self.failed(entry, attempt, Happened.FAILED, earlier)
        else:
            self._temporary(entry, attempt, schedule, earlier)

    def finish(self) -> None:
        """The notifications, one for all recipients of a submission."""
        for (kind, _), recipients in self._notices.items():
            self._edit.notice(
                Notice(
                    id=self._database.new_id(),
                    kind=kind,
                    created_ms=self._now_ms,
                    due_ms=self._now_ms,
                    recipients=tuple(recipients),
                )
            )

    def end(self, entry: Entry, attempt: Attempt) -> None:
        """What an operator asked for.    ``attempt``: the last one, or made for the occasion."""
        if entry.ending is Ending.DROP:
            self._edit.attempt(entry, _with_step(attempt, "removed by the administrator"))
            self._done(entry, attempt, success=False, happened=Happened.CANCELED)
        else:
            error = f"{BY_ADMINISTRATOR}; last error: {attempt.error}"
            if not attempt.error:
                error = BY_ADMINISTRATOR
            self.failed(entry, msgspec.structs.replace(attempt, error=error), Happened.FAILED, ())

    def failed(
        self, entry: Entry, attempt: Attempt, happened: Happened, earlier: Sequence[bool]
    ) -> None:
        """Given up; the sender is told, unless he asked not to be."""
        suppressing = suppresses(attempt.code, attempt.enhanced, earlier)
        if entry.is_dmarc_report:
            metrics.QUEUE_DMARC_REPORT_FAILURES.inc()
        if suppressing:
            self._suppress(entry, attempt)
        step = "given up" + ("; nothing more is sent to the address" if suppressing else "")
        self._edit.attempt(entry, _with_step(attempt, step))
        # RFC 3461 §5.2.6: without NOTIFY, or with FAILURE.
        if entry.wants("FAILURE") is not False:
            self._notify(NoticeKind.FAILED, entry, attempt)
        self._done(entry, attempt, success=False, happened=happened, suppressing=suppressing)

    def _delivered(self, entry: Entry, attempt: Attempt, *, passed_dsn: bool) -> None:
        self._edit.attempt(entry, _with_step(attempt, "done"))
        # RFC 3461 §5.2.2 (b): nobody behind this hop will tell of success.
        if entry.wants("SUCCESS") and not passed_dsn and not entry.sender.is_null:
            self._notify(NoticeKind.RELAYED, entry, attempt)
        self._done(entry, attempt, success=True, happened=Happened.DELIVERED)

    def _temporary(
        self, entry: Entry, attempt: Attempt, schedule: Schedule, earlier: Sequence[bool]
    ) -> None:
        start = attempt.start_ms
        again = schedule.next_ms(entry.attempts, entry.first_ms, start, entry.max_attempts)
        if again is None:
            self.failed(entry, attempt, Happened.FAILED, earlier)
            return
        after = msgspec.structs.replace(entry, last_error=attempt.error)
        self._edit.replace(entry, after)
        step = "held" if entry.hold else f"tried again at {format_date(entry.next_ms)}"
        self._edit.attempt(entry, _with_step(attempt, step))
        self._edit.event(self._event(entry, attempt, Happened.DELAYED))
        if entry.attempts == schedule.delayed_after and _tells_delay(entry):
            until = schedule.last_ms(
                entry.attempts, entry.first_ms, entry.next_ms, entry.max_attempts
            )
            self._notify(NoticeKind.DELAYED, after, attempt, until)

    def _notify(
        self, kind: NoticeKind, entry: Entry, attempt: Attempt, retry_until_ms: int = 0
    ) -> None:
        recipient = NoticeRecipient(entry=entry, attempt=attempt, retry_until_ms=retry_until_ms)
        self._notices.setdefault((kind, entry.content), []).append(recipient)

    def _done(
        self,
        entry: Entry,
        attempt: Attempt,
        *,
        success: bool,
        happened: Happened,
        suppressing: bool = False,
    ) -> None:
        entry = msgspec.structs.replace(entry, last_error=attempt.error)
        keep_ms = self._database.keep(entry.account)
        retired = None
        if keep_ms > 0:
            retired = Retired(
                entry=entry,
                success=success,
                last_activity_ms=self._now_ms,
                keep_until_ms=self._now_ms + keep_ms,
                event=happened,
            )
        self._edit.remove(entry, retired)
        self._edit.event(self._event(entry, attempt, happened, suppressing=suppressing))

    def _suppress(self, entry: Entry, attempt: Attempt) -> None:
        base = base_address(entry.recipient)
        said = f"{attempt.code} {attempt.enhanced}".strip()
        record = Suppression(
            account=entry.account,
            base_address=base,
            original_address=str(entry.recipient),
            manual=False,
            reason=clip(f"delivery failed with {said}: {attempt.error}"),
            created_ms=self._now_ms,
        )
        self._edit.batch.put(Family.KV, keys.suppression(entry.account, base), encode(record))

    def _event(
        self, entry: Entry, attempt: Attempt, happened: Happened, *, suppressing: bool = False
    ) -> Event:
        return Event(
            happened=happened,
            time_ms=self._now_ms,
            account=entry.account,
            entry_id=entry.id,
            recipient=str(entry.recipient),
            from_id=entry.from_id,
            message_id=entry.message_id,
            subject=entry.subject,
            suppressing=suppressing,
            code=attempt.code,
            enhanced=attempt.enhanced,
            error=attempt.error,
            extra=entry.extra,
        )

    def _attempt(self, entry: Entry, outcome: Outcome, carried: Carried) -> Attempt:
        error = clip(outcome.error)
        if outcome.result is not Result.DELIVERED and not error:
            error = clip(" ".join(outcome.lines)) or "no reason was given"
        return Attempt(
            number=entry.attempts,
            start_ms=entry.last_ms,
            duration_ms=max(0, self._now_ms - entry.last_ms),
            finished=True,
            success=outcome.result is Result.DELIVERED,
            code=outcome.code,
            enhanced=outcome.enhanced,
            error=error,
            remote_host=clip(outcome.remote_host),
            remote_ip=outcome.remote_ip,
            lines=clip_lines(outcome.lines),
            tries=clip_tries(carried.tries),
        )


async def settle(database: Database, carried: Carried, schedule: Schedule) -> set[int]:
    """Make outcomes of deliveries durable.    Output: the entries; those done before are passed over.

    Errors  StoreStopped.
    """
    outcomes = {each.entry_id: each for each in carried.outcomes}
    entries = [database.busy[number] for number in outcomes if number in database.busy]
    if not entries:
        return set()
    earlier = await _earlier(
        database, [entry for entry in entries if outcomes[entry.id].code >= 500]
    )
    edit = database.edit()
    finish = _Finish(database, edit)
    settled: set[int] = set()
    for number, outcome in outcomes.items():
        # As it is now, and once only: it may have changed while we looked.
        entry = database.busy.get(number)
        if entry is not None:
            settled.add(number)
            finish.outcome(entry, outcome, carried, schedule, earlier.get(number, ()))
    finish.finish()
    # Nobody waits for it but the delivery: under load it shares the sync of the next submission.
    ticket = edit.stage(is_patient=True)
    for number in settled:
        del database.busy[number]
    await database.committer.synced(ticket, is_patient=True)
    database.kick()
    return settled


async def suppressed(database: Database, entries: Iterable[Entry]) -> None:
    """Entries that were begun and are not to be sent: their addresses are suppressed."""
    edit = database.edit()
    finish = _Finish(database, edit)
    numbers = [entry.id for entry in entries if entry.id in database.busy]
    for number in numbers:
        entry = database.busy[number]
        attempt = Attempt(
            number=entry.attempts,
            start_ms=entry.last_ms,
            finished=True,
            error="the address is on the suppression list of the account",
        )
        finish.failed(entry, attempt, Happened.SUPPRESSED, ())
    finish.finish()
    ticket = edit.stage()
    for number in numbers:
        del database.busy[number]
    await database.committer.synced(ticket)


def end_now(database: Database, edit: Edit, entries: Iterable[Entry]) -> None:
    """End entries that are not being delivered, as their ``ending`` says.    Without waiting."""
    finish = _Finish(database, edit)
    now = database.clock.now_ms()
    for entry in entries:
        # Numbered after the attempts there were: it is shown with them.
        attempt = Attempt(
            number=entry.attempts + 1, start_ms=now, finished=True, error=entry.last_error
        )
        finish.end(entry, attempt)
    finish.finish()


async def _earlier(database: Database, entries: list[Entry]) -> dict[int, list[bool]]:
    """By entry: did the last messages of the account to the same address arrive?    Newest first."""
    if not entries:
        return {}
    await database.settled()

    def read() -> dict[int, list[bool]]:
        found: dict[int, list[bool]] = {}
        for entry in entries:
            start, end = keys.all_retired_to(entry.account, base_address(entry.recipient))
            newest = database.engine.scan(Family.IDX, start, end, reverse=True)
            found[entry.id] = [value == b"1" for _, value in islice(newest, FAILURES_BEFORE)]
        return found

    return await database.in_thread(read)


def _tells_delay(entry: Entry) -> bool:
    # RFC 3461 §5.2.5; a report or a notification that is late interests nobody.
    return entry.wants("DELAY") is not False and not entry.is_report and not entry.sender.is_null


def _dialed(entry: Entry, carried: Carried) -> dict[str, tuple[str, ...]]:
    if not carried.dialed:
        return entry.dialed
    merged = dict(entry.dialed)
    for host, addresses in carried.dialed.items():
        merged[host] = (*merged.pop(host, ()), *addresses)[-QUEUE_HOSTS:]
    return dict(list(merged.items())[-QUEUE_HOSTS:])


def _with_step(attempt: Attempt, step: str) -> Attempt:
    return msgspec.structs.replace(attempt, next_step=step)
