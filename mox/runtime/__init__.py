"""Processes, listeners, TLS contexts."""
