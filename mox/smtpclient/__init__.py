"""Speaking to other mail servers.    RFC 5321 from the other side."""
