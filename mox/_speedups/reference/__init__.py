"""The plain twins: what the compiled modules mean."""
