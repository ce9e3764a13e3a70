"""What a supervisor hands over arrives, in the same process: descriptors are only numbers."""

import os
import socket
from pathlib import Path

import pytest

from mox.base.errors import Refused
from mox.base.limits import CERTIFICATE_FILE
from mox.config.static import IMAPService, Listener, MetricsService, SMTPService
from mox.runtime.inheritance import VARIABLE, Copy, Inheritance, offer, path_of, taken_from
from mox.runtime.listeners import Place, bind_places, places
from mox.runtime.sockets import BindFailed, Endpoint, endpoint_of


def test_places_are_the_enabled_services_on_every_address() -> None:
    listeners = {
        "a b": Listener(
            ips=("127.0.0.1", "::1"),
            smtp=SMTPService(enabled=True),
            imap=IMAPService(enabled=True, port=1143),
        ),
        "other": Listener(ips=("127.0.0.2",), metrics_http=MetricsService(enabled=True)),
    }
    assert [(one.listener, one.service, str(one.endpoint)) for one in places(listeners)] == [
        ("a b", "smtp", "127.0.0.1:25"),
        ("a b", "smtp", "[::1]:25"),
        ("a b", "imap", "127.0.0.1:1143"),
        ("a b", "imap", "[::1]:1143"),
        ("other", "metrics", "127.0.0.2:8010"),
    ]


def test_places_are_bound_all_or_none() -> None:
    free = Place(listener="x", service="imap", endpoint=Endpoint(ip="127.0.0.1", port=0))
    ((place, bound),) = bind_places([free])
    with bound:
        assert place is free
        bound.listen()
        taken = Place(listener="x", service="imap", endpoint=endpoint_of(bound))
        with pytest.raises(BindFailed, match="in use"):
            bind_places([free, taken])


def test_everything_arrives(tmp_path: Path) -> None:
    place = Place(listener="a b\n", service="smtp", endpoint=Endpoint(ip="127.0.0.1", port=0))
    bound = bind_places([place])
    port = endpoint_of(bound[0][1]).port
    reading, writing = os.pipe()
    file = tmp_path / "key.pem"
    file.write_bytes(b"secret")
    copy, static = Copy(file), Copy(tmp_path / "mox.toml", "näme".encode())
    given = Inheritance(
        sockets=offer(bound),
        static=static.descriptor,
        ready=writing,
        files={"tls/key.pem": copy.descriptor},
    )
    assert given.descriptors == [
        bound[0][1].fileno(),
        static.descriptor,
        writing,
        copy.descriptor,
    ]
    environment = os.environ.copy()
    os.environ[VARIABLE] = given.encode()
    try:
        handed = taken_from(os.environ)
        assert VARIABLE not in os.environ
    finally:
        os.environ.update(environment)
    ((same, inherited),) = handed.bound()
    assert same == place
    assert endpoint_of(inherited).port == port
    assert inherited.type == socket.SOCK_STREAM
    assert not inherited.getblocking()
    bound[0][1].detach()
    inherited.close()
    assert handed.static_text() == "näme"
    path = handed.path("tls/key.pem")
    assert path is not None
    assert path.read_bytes() == b"secret"
    assert handed.path("tls/other.pem") is None
    handed.tell_ready()
    assert os.read(reading, 10) == b"1"
    assert os.read(reading, 10) == b""  # closed
    os.close(reading)
    for descriptor in (copy.descriptor, static.descriptor):
        os.close(descriptor)


def test_a_copy_follows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    with pytest.raises(Refused, match=r"cannot read .*cert\.pem: No such file"):
        Copy(file)
    file.write_bytes(b"a long certificate")
    copy = Copy(file)
    path = path_of(copy.descriptor)
    before = path.stat().st_mtime_ns
    assert not copy.renew()
    file.write_bytes(b"short")
    assert copy.renew()
    assert path.read_bytes() == b"short"
    assert path.stat().st_mtime_ns > before  # so the worker sees it
    file.unlink()
    with pytest.raises(Refused, match="No such file"):
        copy.renew()
    assert not copy.renew()  # told once
    assert path.read_bytes() == b"short"
    file.write_bytes(b"x" * (CERTIFICATE_FILE + 1))
    with pytest.raises(Refused, match="larger than"):
        copy.renew()
    assert path.read_bytes() == b"short"
    os.close(copy.descriptor)
