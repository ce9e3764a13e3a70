"""The questions asked about a message; one file each."""
