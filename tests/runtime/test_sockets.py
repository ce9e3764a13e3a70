"""Ports: had, or a sentence that says what to do."""

import socket
from pathlib import Path

import pytest

from mox.ctl.place import socket_address
from mox.runtime.sockets import BindFailed, Endpoint, bind, bind_all, endpoint_of, listen

LOOPBACK = Endpoint(ip="127.0.0.1", port=0)


def test_nobody_is_answered_before_listen() -> None:
    (bound,) = bind_all([LOOPBACK])
    with bound:
        endpoint = endpoint_of(bound)
        assert endpoint.ip == "127.0.0.1"
        assert endpoint.port > 0
        assert not bound.getblocking()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((endpoint.ip, endpoint.port), timeout=5)
        listen([bound])
        with socket.create_connection((endpoint.ip, endpoint.port), timeout=5) as client:
            assert client.getpeername()[1] == endpoint.port


def test_ports_in_use_are_all_named_and_none_is_kept() -> None:
    with bind(LOOPBACK) as one, bind(LOOPBACK) as other, bind(LOOPBACK) as third:
        listen([one, other])
        free = endpoint_of(third)
        third.close()
        taken = [endpoint_of(one), endpoint_of(other)]
        with pytest.raises(BindFailed) as caught:
            bind_all([free, *taken])
        lines = caught.value.public.splitlines()
        assert [line.split(";")[0] for line in lines] == [
            f"port {endpoint.port} on 127.0.0.1 is in use" for endpoint in taken
        ]
        bind(free).close()  # given back


def test_an_address_of_another_machine() -> None:
    with pytest.raises(BindFailed, match=r"192\.0\.2\.1 is not one of this machine"):
        bind(Endpoint(ip="192.0.2.1", port=0))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (13, "port 25 on 127.0.0.1 needs more rights; start as root"),
        (97, "this machine has no IPv4; leave 127.0.0.1 out"),
        (105, "cannot listen on port 25 of 127.0.0.1: No buffer space"),
    ],
)
def test_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(number, "No buffer space")

    monkeypatch.setattr("mox.runtime.sockets.socket.socket.bind", refuse)
    with pytest.raises(BindFailed) as caught:
        bind(Endpoint(ip="127.0.0.1", port=25))
    assert caught.value.public.startswith(said)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6_is_apart_from_ipv4() -> None:
    try:
        v6 = bind(Endpoint(ip="::", port=0))
    except BindFailed:
        pytest.skip("this machine has no IPv6")
    with v6:
        port = endpoint_of(v6).port
        with bind(Endpoint(ip="0.0.0.0", port=port)) as v4:
            listen([v6, v4])
            assert str(endpoint_of(v6)) == f"[::]:{port}"
            assert str(endpoint_of(v4)) == f"0.0.0.0:{port}"


@pytest.mark.parametrize("folder", ["short", "l" * 120])
def test_a_unix_socket(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "lmtp"
    path.parent.mkdir()
    endpoint = Endpoint(path=str(path))
    with bind(endpoint) as bound:
        assert str(endpoint) == str(path)
        assert path.stat().st_mode & 0o777 == 0o666
        assert list(path.parent.iterdir()) == [path]
        listen([bound])
        with pytest.raises(BindFailed, match="is in use; stop the program"):
            bind(endpoint)
    # What a server left behind is replaced.
    with bind(endpoint) as again:
        listen([again])
        with socket.socket(socket.AF_UNIX) as client, socket_address(path) as address:
            client.connect(address)


def test_a_file_is_no_socket_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(BindFailed, match="is there and is no socket"):
        bind(Endpoint(path=str(tmp_path / "file")))
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "lmtp"
    with pytest.raises(BindFailed, match=f"cannot listen on {path}: No such file"):
        bind(Endpoint(path=str(path)))
