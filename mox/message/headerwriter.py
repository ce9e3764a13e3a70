"""Writing a header field token by token, folded.    RFC 5322 §2.2.3."""

FOLD_AT = 76  # characters of a line that tokens are put on; RFC 5322 §2.1.1 asks for at most 78


class HeaderWriter:
    """One field: tokens are separated by a space, or by a fold where the line would be too long."""

    __slots__ = ("_lines",)

    def __init__(self, name_and_colon: str) -> None:
        self._lines = [name_and_colon]

    def add(self, token: str) -> None:
        """Append a token; it is never broken."""
        line = self._lines[-1]
        if len(line) + 1 + len(token) > FOLD_AT and line.strip("\t"):
            self._lines.append("\t" + token)
        else:
            self._lines[-1] = f"{line} {token}"

    def end_token(self, text: str) -> None:
        """Append to the last token, without space."""
        self._lines[-1] += text

    def finish(self) -> bytes:
        """The field with CRLF line ends."""
        return ("\r\n".join(self._lines) + "\r\n").encode()
