"""Message bodies: append-only packs and large files."""
