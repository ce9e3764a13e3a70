"""The four families of errors.

Domain errors are subclasses near their domain and know no protocol; one table per face
(``imapserver/errors.py``, ``smtpserver/errors.py``) translates them to replies.
"""

from typing import ClassVar


class MoxError(Exception):
    """Base of every error we raise on purpose.

    ``public`` is shown to the other side: what is wrong, never how we know.  ``cause`` and
    ``fields`` go to the log only.
    """

    default: ClassVar[str] = "error"

    def __init__(
        self, public: str = "", *, cause: BaseException | None = None, **fields: object
    ) -> None:
        self.public = public or self.default
        self.cause = cause
        self.fields = fields
        super().__init__(self.public)


class Malformed(MoxError):
    """They sent something ungrammatical."""

    default = "syntax error"


class Refused(MoxError):
    """Correct, but the answer is no."""

    default = "refused"


class Unavailable(MoxError):
    """Not now; trying again later may work."""

    default = "temporarily unavailable"


class Broken(MoxError):
    """One of our own invariants does not hold."""

    default = "internal error"
