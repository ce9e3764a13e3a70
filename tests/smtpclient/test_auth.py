"""Logging in, against the server's side of our own mechanisms.    RFC 4954."""

import base64
import ssl

import pytest

from mox.sasl import MECHANISMS
from mox.sasl.mechanism import Challenge, Exchange, Failed, Lookup, ServerContext, Succeeded, Verify
from mox.sasl.secretset import derive
from mox.smtpclient.auth import DEFAULT_MECHANISMS, Login, choose, log_in
from mox.smtpclient.dialogue import Dialogue
from mox.smtpclient.errors import DeliveryError, NotSupported, ProtocolBroken, ServerRefused
from mox.smtpclient.link import TlsState

USER, PASSWORD = "mox@example.org", "test password"
SECRETS = derive(PASSWORD, lambda n: b"s" * n)
BINDING = b"binding of the channel"


class Server:
    """``Connection`` to a server with AUTH."""

    has_input = False
    tls: TlsState | None = None

    def __init__(self, mechanisms: str, *, binding: bytes | None = BINDING) -> None:
        self._out = ["220 hi", "250-mx", f"250 AUTH {mechanisms}"]
        self._binding = binding
        self._exchange: Exchange | None = None
        self.used = ""

    async def read_line(self, timeout_s: float) -> bytes:
        return self._out.pop(0).encode()

    async def write(self, data: bytes, timeout_s: float) -> None:
        line = data.decode().removesuffix("\r\n")
        if line.startswith("EHLO"):
            return
        if self._exchange is None:
            _, self.used, *rest = line.split(" ")
            context = ServerContext(
                hostname="mx",
                server_secret=b"secret",
                now_ms=0,
                bindings={"tls-server-end-point": self._binding} if self._binding else {},
            )
            mechanism = MECHANISMS.get(self.used.encode())
            assert mechanism is not None
            self._exchange = Exchange(mechanism, context)
            step = self._exchange.start(base64.b64decode(rest[0]) if rest else None)
        else:
            step = self._exchange.respond(base64.b64decode(line))
        while not isinstance(step, Challenge | Succeeded | Failed):
            if isinstance(step, Lookup):
                step = self._exchange.found(SECRETS if step.username == USER else None)
            elif isinstance(step, Verify):
                step = self._exchange.verified(step.run())
        match step:
            case Challenge():
                self._out.append(f"334 {base64.b64encode(step.data).decode()}")
            case Succeeded():
                self._out.append("235 2.7.0 welcome")
            case Failed():
                self._out.append("535 5.7.8 no")

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsState:
        raise AssertionError("no TLS here")


async def logged_in(
    mechanisms: str,
    *,
    password: str = PASSWORD,
    wanted: tuple[str, ...] = (*DEFAULT_MECHANISMS, "PLAIN", "LOGIN"),
    binding: bytes | None = BINDING,
) -> str:
    """The mechanism that was used."""
    server = Server(mechanisms)
    dialogue = Dialogue(server, "us.example")
    await dialogue.greet()
    await log_in(dialogue, Login(username=USER, password=password, mechanisms=wanted), binding)
    return server.used


@pytest.mark.parametrize("name", [*DEFAULT_MECHANISMS, "PLAIN", "LOGIN"])
async def test_every_mechanism(name: str) -> None:
    binding = BINDING if name.endswith("-PLUS") else None
    assert await logged_in(name, binding=binding) == name
    with pytest.raises(DeliveryError) as caught:
        await logged_in(name, password="another one", binding=binding)
    assert not caught.value.permanent


async def test_the_best_one_is_used() -> None:
    everything = "PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS"
    assert await logged_in(everything) == "SCRAM-SHA-256-PLUS"
    assert await logged_in(everything, binding=None) == "SCRAM-SHA-256"


async def test_a_password_is_not_shown_unless_configured() -> None:
    with pytest.raises(NotSupported, match="PLAIN LOGIN"):
        await logged_in("PLAIN LOGIN", wanted=DEFAULT_MECHANISMS)
    assert choose(DEFAULT_MECHANISMS, ("PLAIN",), can_bind=True) is None
    assert "test password" not in repr(Login(username=USER, password=PASSWORD))


@pytest.mark.rfc("5802 §6")
async def test_a_man_in_the_middle_is_found_out() -> None:
    # The list lacks -PLUS, though the server has it: it hears that we could have bound.
    with pytest.raises(DeliveryError):
        await logged_in("SCRAM-SHA-256")
    # Another channel than the server's.
    with pytest.raises(DeliveryError):
        await logged_in("SCRAM-SHA-256-PLUS", binding=b"another channel")


async def test_a_server_that_does_not_prove_itself() -> None:
    class Eager(Server):
        async def write(self, data: bytes, timeout_s: float) -> None:
            await super().write(data, timeout_s)
            if self._out[-1].startswith("334 dj"):  # "v=..."
                self._out[-1] = "235 fine"

    server = Eager("SCRAM-SHA-256", binding=None)
    dialogue = Dialogue(server, "us.example")
    await dialogue.greet()
    with pytest.raises(ProtocolBroken, match="prove"):
        await log_in(dialogue, Login(username=USER, password=PASSWORD), None)


async def test_a_refusal_says_what_the_server_said() -> None:
    with pytest.raises(ServerRefused, match=r"AUTH: 535 5\.7\.8 no"):
        await logged_in("PLAIN", password="another one")
