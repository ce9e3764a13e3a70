"""Which service listens where: from the configuration, and bound."""

import socket
from collections.abc import Mapping

from msgspec import Struct

from mox.config.static import Listener
from mox.runtime.sockets import Endpoint, bind_all


class Place(Struct, frozen=True, kw_only=True):
    """A service of a listener at one endpoint."""

    listener: str
    service: str  # smtp, submission, submissions, imap, imaps, metrics
    endpoint: Endpoint


Bound = list[tuple[Place, socket.socket]]


def places(listeners: Mapping[str, Listener]) -> list[Place]:
    """All endpoints of the enabled services."""
    found = []
    for name, listener in listeners.items():
        services = {
            "smtp": listener.smtp,
            "submission": listener.submission,
            "submissions": listener.submissions,
            "imap": listener.imap,
            "imaps": listener.imaps,
            "metrics": listener.metrics_http,
        }
        found += [
            Place(listener=name, service=service, endpoint=Endpoint(ip=ip, port=settings.port))
            for service, settings in services.items()
            if settings.enabled
            for ip in listener.ips
        ]
    return found


def bind_places(wanted: list[Place]) -> Bound:
    """Bind all or none.    Errors: BindFailed, a sentence for each that failed."""
    sockets = bind_all([place.endpoint for place in wanted])
    return list(zip(wanted, sockets, strict=True))
