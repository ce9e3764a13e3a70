from base64 import b64decode
from collections.abc import Callable

import pytest
import scramp
from hypothesis import given
from hypothesis import strategies as st

from mox.base.errors import Malformed, Refused
from mox.sasl import MECHANISMS, scram
from mox.sasl.client import ScramClient
from mox.sasl.mechanism import (
    Challenge,
    CramSecret,
    Exchange,
    Failed,
    Failure,
    Lookup,
    Outcome,
    ScramSecret,
    ServerContext,
    Succeeded,
    Verify,
)

Drive = Callable[..., Outcome]
END_POINT = {"tls-server-end-point": b"hash of the certificate"}


class Stored:
    """Credentials with a SCRAM secret only."""

    def __init__(self, secret: ScramSecret | None) -> None:
        self._secret = secret

    def verify_password(self, password: str) -> bool:
        return False

    def scram(self, hash_name: str) -> ScramSecret | None:
        return self._secret

    def cram_md5(self) -> CramSecret | None:
        return None


class Conversation:
    """Records the challenges; answers with fixed bytes."""

    def __init__(self) -> None:
        self.challenges: list[bytes] = []

    def says(self, data: bytes) -> Callable[[bytes], bytes]:
        def respond(challenge: bytes) -> bytes:
            self.challenges.append(challenge)
            return data

        return respond


@pytest.mark.rfc("5802 §5")
@pytest.mark.rfc("7677 §3")
@pytest.mark.parametrize(
    ("mechanism", "salt", "server_nonce", "first", "server_first", "final", "server_final"),
    [
        (
            "SCRAM-SHA-1",
            "QSXCR+Q6sek8bf92",
            "3rfcNHYJY1ZVvWVs7j",
            b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            "SCRAM-SHA-256",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ],
)
def test_the_examples_of_the_rfcs(
    drive: Drive,
    mechanism: str,
    salt: str,
    server_nonce: str,
    first: bytes,
    server_first: bytes,
    final: bytes,
    server_final: bytes,
) -> None:
    hash_name = "sha1" if mechanism == "SCRAM-SHA-1" else "sha256"
    secret = scram.make_secret(hash_name, b"pencil", b64decode(salt), iterations=4096)
    talk = Conversation()
    outcome = drive(
        mechanism,
        first,
        talk.says(final),
        talk.says(b""),
        users={"user": Stored(secret)},
        nonce=server_nonce,
    )
    assert talk.challenges == [server_first, server_final]
    assert outcome == Succeeded("user")

    # The client side says the same.
    nonce = first.partition(b",r=")[2].decode()
    client = ScramClient(hash_name, "user", "pencil", nonce=nonce)
    assert client.first() == first
    assert client.final(server_first) == final
    client.check(server_final)


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize("plus", [False, True])
def test_our_client_and_server(drive: Drive, hash_name: str, plus: bool) -> None:
    mechanism = f"SCRAM-SHA-{hash_name[3:]}"
    client = ScramClient(hash_name, "mox@localhost", "moxmoxmox")
    if plus:
        mechanism += "-PLUS"
        client = ScramClient(
            hash_name,
            "mox@localhost",
            "moxmoxmox",
            gs2="p=tls-server-end-point,,",
            channel=END_POINT["tls-server-end-point"],
        )

    def last(server_final: bytes) -> bytes:
        client.check(server_final)
        return b""

    outcome = drive(
        mechanism, client.first(), client.final, last, bindings=END_POINT if plus else {}
    )
    assert outcome == Succeeded("mox@localhost")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("plus", [False, True])
def test_a_foreign_client_is_let_in(drive: Drive, mechanism: str, plus: bool) -> None:
    name = f"{mechanism}-PLUS" if plus else mechanism
    binding = ("tls-unique", b"finished message") if plus else None
    foreign = scramp.ScramClient([name], "mox@localhost", "moxmoxmox", channel_binding=binding)

    def final(server_first: bytes) -> bytes:
        foreign.set_server_first(server_first.decode())
        return str(foreign.get_client_final()).encode()

    def last(server_final: bytes) -> bytes:
        foreign.set_server_final(server_final.decode())
        return b""

    first = foreign.get_client_first().encode()
    bindings = {"tls-unique": b"finished message"} if plus else {}
    assert drive(name, first, final, last, bindings=bindings) == Succeeded("mox@localhost")


def failing(
    drive: Drive,
    client: ScramClient,
    *,
    mechanism: str = "SCRAM-SHA-256",
    change: Callable[[bytes], bytes] = lambda final: final,
    bindings: dict[str, bytes] | None = None,
    users: dict[str, Stored] | None = None,
) -> tuple[bytes, Failure]:
    """The error told in the server's last message, and the outcome."""
    told: list[bytes] = []

    def last(server_final: bytes) -> bytes:
        told.append(server_final)
        return b"anything"

    outcome = drive(
        mechanism,
        client.first(),
        lambda server_first: change(client.final(server_first)),
        last,
        bindings=bindings or {},
        users=users,
    )
    assert isinstance(outcome, Failed)
    return told[0], outcome.failure


def test_a_wrong_password_and_an_unknown_user_look_the_same(drive: Drive) -> None:
    wrong = ScramClient("sha256", "mox@localhost", "wrongwrong")
    unknown = ScramClient("sha256", "nobody@localhost", "moxmoxmox")
    assert failing(drive, wrong) == (b"e=invalid-proof", Failure.BAD_CREDENTIALS)
    assert failing(drive, unknown) == (b"e=invalid-proof", Failure.BAD_CREDENTIALS)
    known = ScramClient("sha256", "mox@localhost", "moxmoxmox")
    without = {"mox@localhost": Stored(None)}
    assert failing(drive, known, users=without) == (b"e=invalid-proof", Failure.NO_SECRETS)


def test_an_unknown_user_has_one_salt_for_ever() -> None:
    first = scram.fake_secret("sha256", b"secret", "nobody@localhost")
    assert first == scram.fake_secret("sha256", b"secret", "nobody@localhost")
    assert first.salt != scram.fake_secret("sha256", b"secret", "other@localhost").salt
    assert first.salt != scram.fake_secret("sha256", b"another", "nobody@localhost").salt
    real = scram.make_secret("sha256", b"password", bytes(scram.SALT_LENGTH))
    assert (len(first.salt), first.iterations) == (len(real.salt), real.iterations)


def test_a_client_that_gives_up_after_the_error_gets_the_verdict() -> None:
    mechanism = MECHANISMS.get(b"SCRAM-SHA-256")
    assert mechanism is not None
    context = ServerContext(hostname="x", server_secret=b"s", now_ms=0)
    exchange = Exchange(mechanism, context)
    client = ScramClient("sha256", "nobody", "password")
    assert exchange.start(client.first()) == Lookup("nobody")
    step = exchange.found(None)
    assert isinstance(step, Challenge)
    step = exchange.respond(client.final(step.data))
    assert isinstance(step, Challenge)
    assert step.data == b"e=invalid-proof"
    assert exchange.cancel() == Failed(Failure.BAD_CREDENTIALS, "nobody")


@pytest.mark.rfc("5802 §6")
def test_channel_binding_flags(drive: Drive) -> None:
    def outcome(mechanism: str, gs2: str, bindings: dict[str, bytes]) -> Outcome:
        first = ScramClient("sha256", "mox@localhost", "moxmoxmox", gs2=gs2).first()
        return drive(mechanism, first, bindings=bindings)

    def refused(detail: str) -> Failed:
        return Failed(Failure.PROTOCOL, "mox@localhost", detail)

    plus, bare = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
    assert outcome(plus, "p=tls-server-end-point,,", {}) == Failed(Failure.TLS_REQUIRED)
    assert outcome(plus, "n,,", END_POINT) == refused("channel binding required")
    assert outcome(plus, "p=tls-exporter,,", END_POINT) == refused(
        "unsupported-channel-binding-type"
    )
    assert outcome(bare, "y,,", END_POINT) == refused("server-does-support-channel-binding")
    assert outcome(bare, "p=tls-unique,,", {}) == refused("channel-binding-not-supported")


def test_y_is_true_where_we_have_no_channel_binding(drive: Drive) -> None:
    client = ScramClient("sha256", "mox@localhost", "moxmoxmox", gs2="y,,")
    outcome = drive("SCRAM-SHA-256", client.first(), client.final, lambda _final: b"")
    assert outcome == Succeeded("mox@localhost")


@pytest.mark.rfc("5929 §4")
def test_another_channel_is_told_apart(drive: Drive) -> None:
    for gs2, channel in (("p=tls-server-end-point,,", b"another"), ("n,,", b"unasked")):
        client = ScramClient("sha256", "mox@localhost", "moxmoxmox", gs2=gs2, channel=channel)
        assert failing(drive, client, bindings=END_POINT) == (
            b"e=channel-bindings-dont-match",
            Failure.CHANNEL_BINDING,
        )


def test_authorisation_as_another(drive: Drive) -> None:
    client = ScramClient("sha256", "mox@localhost", "moxmoxmox", gs2="n,a=other@localhost,")
    assert drive("SCRAM-SHA-256", client.first()) == Failed(Failure.OTHER_IDENTITY, "mox@localhost")
    client = ScramClient("sha256", "mox@localhost", "moxmoxmox", gs2="n,a=mox@localhost,")
    outcome = drive("SCRAM-SHA-256", client.first(), client.final, lambda _final: b"")
    assert outcome == Succeeded("mox@localhost")


@pytest.mark.rfc("5802 §5.1")
@pytest.mark.parametrize(
    ("first", "detail"),
    [
        (b"", "bad gs2 header"),
        (b"x,,n=a,r=abcdefgh", "bad gs2 header"),
        (b"n,n=a,r=abcdefgh", "bad gs2 header"),
        (b"n,,", "bad client-first message"),
        (b"n,,n=,r=abcdefgh", "bad client-first message"),
        (b"n,,n=a,r=", "bad client-first message"),
        (b"n,,n=a,r=abc def gh", "bad client-first message"),
        (b"n,,n=a,r=abcdefg", "nonce too short"),
        (b"n,,m=x,n=a,r=abcdefgh", "extensions-not-supported"),
        (b"n,,n=a=b,r=abcdefgh", "bad escape in a name"),
        (b"n,,n=a=,r=abcdefgh", "bad escape in a name"),
        (b"n,,n=\xff,r=abcdefgh", "user name is not valid utf-8"),
        (b"n,a=\xff,n=a,r=abcdefgh", "user name is not valid utf-8"),
    ],
)
def test_bad_first_messages(drive: Drive, first: bytes, detail: str) -> None:
    assert drive("SCRAM-SHA-256", first) == Failed(Failure.PROTOCOL, detail=detail)


def test_commas_and_equal_signs_in_names(drive: Drive) -> None:
    secret = scram.make_secret("sha1", b"pencil", b"salt" * 4)
    client = ScramClient("sha1", "a,b=c", "pencil")
    assert b"n=a=2Cb=3Dc," in client.first()
    outcome = drive(
        "SCRAM-SHA-1",
        client.first(),
        client.final,
        lambda _final: b"",
        users={"a,b=c": Stored(secret)},
    )
    assert outcome == Succeeded("a,b=c")


@pytest.mark.parametrize(
    ("change", "error", "failure"),
    [
        (lambda _final: b"", b"e=other-error", Failure.PROTOCOL),
        (lambda final: final.replace(b"r=", b"r=x"), b"e=other-error", Failure.PROTOCOL),
        (lambda final: final[:-1] + b"!", b"e=invalid-encoding", Failure.ENCODING),
        (lambda final: final[:-4], b"e=invalid-proof", Failure.BAD_CREDENTIALS),
        (
            lambda final: final.replace(b",p=", b",x=y,p="),
            b"e=invalid-proof",
            Failure.BAD_CREDENTIALS,
        ),
        (
            lambda final: final.replace(b"biws", b"eSws"),
            b"e=channel-bindings-dont-match",
            Failure.CHANNEL_BINDING,
        ),
    ],
)
def test_bad_final_messages(
    drive: Drive, change: Callable[[bytes], bytes], error: bytes, failure: Failure
) -> None:
    client = ScramClient("sha256", "mox@localhost", "moxmoxmox")
    assert failing(drive, client, change=change) == (error, failure)


def test_a_message_after_success_is_an_error(drive: Drive) -> None:
    client = ScramClient("sha256", "mox@localhost", "moxmoxmox")
    outcome = drive("SCRAM-SHA-256", client.first(), client.final, lambda _final: b"more")
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.PROTOCOL


def test_our_client_does_not_trust_the_server() -> None:
    client = ScramClient("sha256", "user", "pencil", nonce="clientnonce")
    for bad in (
        b"",
        b"r=othernonce,s=AAAA,i=4096",
        b"r=clientnonce,s=AAAA,i=4096",
        b"r=clientnonceX,s=A,i=4096",
        b"r=clientnonceX,s=AAAA,i=0",
        b"r=clientnonceX,s=AAAA,i=999999999",
    ):
        with pytest.raises(Malformed):
            client.final(bad)
    client.final(b"r=clientnonceX,s=AAAA,i=4096")
    for bad in (b"v=AAAA", b"e=invalid-proof", b""):
        with pytest.raises(Refused):
            client.check(bad)


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_nothing_is_raised_on_any_messages(first: bytes, final: bytes) -> None:
    for name, mechanism in MECHANISMS.items():
        context = ServerContext(hostname="x", server_secret=b"s", now_ms=0, bindings=END_POINT)
        for prefix in (b"", b"n,,n=user,r=0123456789"):
            exchange = Exchange(mechanism, context)
            step = exchange.start(None if name == b"CRAM-MD5" else prefix + first)
            while not isinstance(step, Succeeded | Failed):
                if isinstance(step, Challenge):
                    step = exchange.respond(final)
                elif isinstance(step, Lookup):
                    step = exchange.found(None)
                else:
                    assert isinstance(step, Verify)
                    step = exchange.verified(False)
            assert isinstance(step, Failed)
