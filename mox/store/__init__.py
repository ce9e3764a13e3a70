"""Accounts, mailboxes, messages on disk."""
