"""Which service listens where: from the configuration, bound, and handed to the worker."""

import socket
from collections.abc import Mapping

from msgspec import Struct

from mox.config.static import Listener
from mox.runtime.sockets import Endpoint, bind_all

VARIABLE = "MOX_SOCKETS"  # environment of the worker: "listener service ip port fd", one a line


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


def pass_on(bound: Bound) -> tuple[dict[str, str], list[int]]:
    """Environment and descriptors that hand the sockets to a child."""
    lines = [
        f"{place.listener} {place.service} {place.endpoint.ip} {place.endpoint.port} {one.fileno()}"
        for place, one in bound
    ]
    return {VARIABLE: "\n".join(lines)}, [one.fileno() for _, one in bound]


def inherit(text: str) -> Bound:
    """The sockets a parent handed over; the content of the environment variable."""
    bound: Bound = []
    for line in text.splitlines():
        listener, service, ip, port, descriptor = line.split(" ")
        one = socket.socket(fileno=int(descriptor))
        one.setblocking(False)
        one.set_inheritable(False)
        endpoint = Endpoint(ip=ip, port=int(port))
        bound.append((Place(listener=listener, service=service, endpoint=endpoint), one))
    return bound
