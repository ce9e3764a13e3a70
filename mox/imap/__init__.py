"""The IMAP language, pure."""
