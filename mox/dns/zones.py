"""Zones from a dict, for tests and examples."""
