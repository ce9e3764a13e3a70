"""The IMAP language, pure: bytes → events → typed arguments, and values → response bytes.

``reader`` frames what a client sends, ``cursor`` reads the arguments of one command by the rules
of the grammar, ``fetchitem``, ``searchkey`` and ``append`` hold the larger grammars, ``writer`` and
``structure`` make responses.  Nothing here knows a session, a mailbox or a socket.
"""
