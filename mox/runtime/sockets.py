"""Listening sockets: bound with errors that say what to do.

Binding and listening are two steps: nobody is answered before everything is bound.
"""

import errno
import os
import secrets
import socket
import stat
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from msgspec import Struct

from mox.base.errors import Unavailable
from mox.base.limits import LISTEN_BACKLOG
from mox.ctl.place import new_socket, socket_address


class Endpoint(Struct, frozen=True, kw_only=True):
    """An address and port to listen on, or the path of a Unix socket.    Port 0: any free one."""

    ip: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


class BindFailed(Unavailable):
    """A port that cannot be had; ``public`` is for the operator."""

    default = "cannot listen"


def bind(endpoint: Endpoint) -> socket.socket:
    """A bound socket that does not listen yet.    Errors: BindFailed."""
    if endpoint.path:
        return _bind_path(Path(endpoint.path))
    address = ip_address(endpoint.ip)
    is_v6 = isinstance(address, IPv6Address)
    try:
        bound = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:  # no IPv6 in this kernel or container
        raise BindFailed(_say(endpoint, error), cause=error) from error
    try:
        # A restart must not wait for the old connections' TIME-WAIT.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_v6:
            # IPv4 has sockets of its own: spec/smtp-server.md section 1.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setblocking(False)
        bound.bind((endpoint.ip, endpoint.port))
    except OSError as error:
        bound.close()
        raise BindFailed(_say(endpoint, error), cause=error) from error
    return bound


def bind_all(endpoints: Sequence[Endpoint]) -> list[socket.socket]:
    """Bind all or none.    Errors: BindFailed with a sentence for each that failed."""
    bound: list[socket.socket] = []
    failed: list[str] = []
    for endpoint in endpoints:
        try:
            bound.append(bind(endpoint))
        except BindFailed as error:
            failed.append(error.public)
    if failed:
        for one in bound:
            one.close()
        raise BindFailed("\n".join(failed))
    return bound


def _bind_path(path: Path) -> socket.socket:
    """A Unix socket; one that a server left behind is replaced, a living one is not.

    Everybody may connect to the file.  The folder, and whoever accepts, decide who may speak.
    """
    _check_free(path)
    # Under another name first: it is never there without its mode.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    made = new_socket()
    try:
        made.setblocking(False)
        with socket_address(temporary) as address:
            made.bind(address)
        temporary.chmod(0o666)
        temporary.replace(path)
    except OSError as error:
        made.close()
        temporary.unlink(missing_ok=True)
        raise BindFailed(_say(Endpoint(path=str(path)), error), cause=error) from error
    return made


def _check_free(path: Path) -> None:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  # what is wrong with the folder, bind says
    if not stat.S_ISSOCK(mode):
        raise BindFailed(f"{path} is there and is no socket; choose another path for lmtp")
    with new_socket() as probe, socket_address(path) as address:
        probe.setblocking(False)
        try:
            probe.connect(address)
        except OSError as error:
            if error.errno != errno.EAGAIN:  # its queue is full: somebody is there
                return
    raise BindFailed(f"{path} is in use; stop the program that listens there or choose another")


def listen(bound: Sequence[socket.socket]) -> None:
    """Let connections come.    Errors: BindFailed."""
    for one in bound:
        try:
            one.listen(LISTEN_BACKLOG)
        except OSError as error:  # two processes bound the port at once; the other was first
            raise BindFailed(_say(endpoint_of(one), error), cause=error) from error


def endpoint_of(bound: socket.socket) -> Endpoint:
    """Where a socket is bound; tells the port that the kernel chose."""
    name = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        return Endpoint(path=os.fsdecode(name))
    return Endpoint(ip=name[0], port=name[1])


def _say(endpoint: Endpoint, error: OSError) -> str:
    if endpoint.path:
        return f"cannot listen on {endpoint.path}: {error.strerror or error}"
    port, ip = endpoint.port, endpoint.ip
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {ip} is in use; stop the program that has it or choose another"
        case errno.EACCES | errno.EPERM:
            return (
                f"port {port} on {ip} needs more rights; start as root, allow low ports with"
                " the capability CAP_NET_BIND_SERVICE, or choose a port above 1023"
            )
        case errno.EADDRNOTAVAIL:
            return f"the address {ip} is not one of this machine; correct the listener's ips"
        case errno.EAFNOSUPPORT:
            return f"this machine has no {'IPv6' if ':' in ip else 'IPv4'}; leave {ip} out"
    return f"cannot listen on port {port} of {ip}: {error.strerror or error}"
