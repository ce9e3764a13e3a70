"""Errors of the compiled modules, shared by both implementations.

They are translated at the door of the package that uses them; nothing here knows a protocol reply.
"""


class TokenError(Exception):
    """A command line that cannot be cut into tokens.

    ``offset`` counts bytes from the start of the given line; ``reason`` is fit to be shown.
    """

    def __init__(self, offset: int, reason: str) -> None:
        self.offset = offset
        self.reason = reason
        super().__init__(offset, reason)

    def __str__(self) -> str:
        return f"{self.reason} at byte {self.offset}"
