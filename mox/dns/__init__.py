"""Names and look-ups."""
