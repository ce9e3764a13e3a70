"""Messages: RFC 5322, MIME and friends, pure."""
