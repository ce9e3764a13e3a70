"""The SMTP language, pure."""
