"""DMARC: does what was authenticated stand for the author?    RFC 7489."""
