"""mox: a complete mail server."""
