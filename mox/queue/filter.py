"""Which entries are meant, and in which order: pure.    spec/smtp-client-queue.md section 13."""

from enum import StrEnum

import msgspec

from mox.queue.entry import Entry, Retired


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time, ms; the ends do not belong to it."""

    after_ms: int | None = None
    before_ms: int | None = None

    def holds(self, time_ms: int) -> bool:
        """Is the time in it?"""
        return (self.after_ms is None or time_ms > self.after_ms) and (
            self.before_ms is None or time_ms < self.before_ms
        )


ALWAYS = Span()


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """All conditions that are given must be met; without any, every entry is meant."""

    ids: tuple[int, ...] = ()
    account: str = ""
    sender: str = ""  # a part of the address, or @domain
    recipient: str = ""
    queued: Span = ALWAYS
    next: Span = ALWAYS
    last_activity: Span = ALWAYS  # of retired entries
    transport: str | None = None  # empty: those without
    hold: bool | None = None
    success: bool | None = None  # of retired entries

    def matches(self, entry: Entry) -> bool:
        """Is this entry meant?"""
        return (
            (not self.ids or entry.id in self.ids)
            and self.account in ("", entry.account)
            and _has(entry.sender.unicode(), str(entry.sender), self.sender)
            and _has(entry.recipient.unicode(), str(entry.recipient), self.recipient)
            and self.queued.holds(entry.queued_ms)
            and self.next.holds(entry.next_ms)
            and self.transport in (None, entry.transport)
            and self.hold in (None, entry.hold)
        )

    def matches_retired(self, retired: Retired) -> bool:
        """Is this retired entry meant?"""
        return (
            self.matches(retired.entry)
            and self.last_activity.holds(retired.last_activity_ms)
            and self.success in (None, retired.success)
        )


EVERY = Filter()


class Sort(StrEnum):
    """Orders of entries; those of retired ones are LAST_ACTIVITY and QUEUED."""

    NEXT_ATTEMPT = "nextattempt"
    QUEUED = "queued"
    LAST_ACTIVITY = "lastactivity"


def _has(unicode: str, plain: str, part: str) -> bool:
    return not part or part.lower() in unicode.lower() or part.lower() in plain.lower()
