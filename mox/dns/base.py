"""What look-ups answer."""
