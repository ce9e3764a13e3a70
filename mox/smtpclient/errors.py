"""What goes wrong with a server, and whether trying again may help."""

from typing import ClassVar

from mox.base.errors import MoxError
from mox.smtp.reply import Reply


class DeliveryError(MoxError):
    """A message, or some of its recipients, did not get through.

    ``permanent``: trying again will not help.  ``reply``: what the server said, where it did.
    """

    default = "delivery failed"
    is_permanent: ClassVar[bool] = False

    def __init__(
        self,
        public: str = "",
        *,
        cause: BaseException | None = None,
        permanent: bool | None = None,
        reply: Reply | None = None,
        **fields: object,
    ) -> None:
        super().__init__(public, cause=cause, **fields)
        self.permanent = self.is_permanent if permanent is None else permanent
        self.reply = reply


class ServerRefused(DeliveryError):
    """A negative reply.    ``command``: to what, for people."""

    default = "refused by the server"

    def __init__(self, command: str, reply: Reply, *, permanent: bool | None = None) -> None:
        super().__init__(
            f"{command}: {reply.code} {reply.enhanced} {reply.text}".replace("  ", " "),
            permanent=reply.is_permanent if permanent is None else permanent,
            reply=reply,
        )
        self.command = command


class NotSupported(DeliveryError):
    """The server lacks an extension that the message needs."""

    default = "not supported by the server"


class NoRequireTls(NotSupported):
    """The server does not pass the demand for TLS on.    RFC 8689 §4.1."""

    default = "the server does not support REQUIRETLS"


class ProtocolBroken(DeliveryError):
    """The server did not keep to the protocol: nothing more is said to it."""

    default = "the server broke the protocol"


class LinkLost(DeliveryError):
    """The connection failed, ended early, or took too long."""

    default = "connection lost"


class NotReached(DeliveryError):
    """No connection to any address."""

    default = "cannot connect"


class TlsUnavailable(DeliveryError):
    """No TLS, or not the TLS that was demanded.    ``reason``: a failure reason of RFC 8460 §4.3."""

    default = "no usable tls"

    def __init__(
        self,
        public: str = "",
        *,
        result_type: str,
        reason: str = "",
        cause: BaseException | None = None,
        reply: Reply | None = None,
    ) -> None:
        super().__init__(public, cause=cause, reply=reply)
        self.result_type = result_type
        self.reason = reason


class BadContent(DeliveryError):
    """Our own message cannot be sent as it is."""

    default = "message has a bare CR or LF"
