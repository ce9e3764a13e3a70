"""What a user's mail tells about new mail: words and senders."""
