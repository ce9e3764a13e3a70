"""Bytes of keys and values; nobody else knows them."""
