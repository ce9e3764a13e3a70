"""SMTP for other servers and for submission."""
