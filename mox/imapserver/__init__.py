"""IMAP4rev1 and IMAP4rev2 for clients."""
