"""Outgoing mail on disk: what waits, when it is tried next, what became of it."""
