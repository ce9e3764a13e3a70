"""What parsing a command can raise: the reply that goes back, and what could not be read."""

from mox.base.errors import Malformed
from mox.smtp.reply import Reply


class CommandError(Malformed):
    """A command that cannot be carried out as written.

    ``reply`` is the whole answer.  ``remainder`` is the part of the line that was not understood:
    it is repeated to clients that have logged in only.
    """

    def __init__(self, reply: Reply, remainder: bytes = b"") -> None:
        super().__init__(reply.text, remainder=remainder)
        self.reply = reply
        self.remainder = remainder
