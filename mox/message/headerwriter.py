"""Writing a header field token by token, folded.    RFC 5322 §2.2.3."""

FOLD_AT = 76  # characters of a line that tokens are put on; RFC 5322 §2.1.1 asks for at most 78


class HeaderWriter:
    """One field: tokens are separated by a space, or by a fold where the line would be too long."""

    __slots__ = ("_length", "_out")

    def __init__(self, name_and_colon: str) -> None:
        self._out = [name_and_colon]
        self._length = len(name_and_colon)  # of the line that is written; 1 where it is only a fold

    def add(self, *tokens: str) -> None:
        """Append tokens; none is ever broken."""
        out, length = self._out, self._length
        for token in tokens:
            size = 1 + len(token)
            if length + size > FOLD_AT and length > 1:
                out.append("\r\n\t")
                length = size
            else:
                out.append(" ")
                length += size
            out.append(token)
        self._length = length

    def end_token(self, text: str) -> None:
        """Append to the last token, without space."""
        self._out.append(text)
        self._length += len(text)

    def finish(self) -> bytes:
        """The field with CRLF line ends."""
        return ("".join(self._out) + "\r\n").encode()
