"""Which service listens where: from the configuration, and bound."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from mox.config.static import Listener
from mox.runtime.sockets import Endpoint, bind_all


class Place(Struct, frozen=True, kw_only=True):
    """A service of a listener at one endpoint."""

    listener: str
    service: str  # smtp, lmtp, submission, submissions, imap, imaps, metrics
    endpoint: Endpoint


Bound = list[tuple[Place, socket.socket]]


def places(listeners: Mapping[str, Listener], file_at: Callable[[str], Path] = Path) -> list[Place]:
    """All endpoints of the enabled services.

    Input   file_at: where a path of ``mox.toml`` leads.
    """
    found = []
    for name, listener in listeners.items():
        services = {
            "smtp": listener.smtp,
            "lmtp": listener.lmtp,
            "submission": listener.submission,
            "submissions": listener.submissions,
            "imap": listener.imap,
            "imaps": listener.imaps,
            "metrics": listener.metrics_http,
        }
        for service, settings in services.items():
            if not settings.enabled:
                continue
            endpoints = [Endpoint(ip=ip, port=settings.port) for ip in listener.ips]
            if service == "lmtp" and listener.lmtp.socket:
                endpoints = [Endpoint(path=str(file_at(listener.lmtp.socket)))]
            found += [Place(listener=name, service=service, endpoint=one) for one in endpoints]
    return found


def bind_places(wanted: list[Place]) -> Bound:
    """Bind all or none.    Errors: BindFailed, a sentence for each that failed."""
    sockets = bind_all([place.endpoint for place in wanted])
    return list(zip(wanted, sockets, strict=True))
