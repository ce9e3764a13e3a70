"""ARC: what earlier hands found out about a message, sealed by them.    RFC 8617."""
