"""What is wrong with a record."""

from mox.base.errors import Malformed


class RecordError(Malformed):
    """A record, or a macro in it, is ungrammatical: "permerror".    RFC 7208 §4.6."""

    default = "syntax error in spf record"
