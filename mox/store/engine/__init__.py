"""Ordered key-value engines behind one protocol."""
