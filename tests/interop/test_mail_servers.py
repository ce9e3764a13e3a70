"""The foreign mail servers that other tests send to and receive from: they do what those rely on."""

from __future__ import annotations

import pytest
from support.exim import Exim
from support.mailservers import MailServer
from support.messages import small_message
from support.opensmtpd import OpenSmtpd
from support.postfix import Postfix
from support.servers import tls_context

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def made(kind: type[MailServer]) -> MailServer:
    return kind("there.example", ["bob", "alice"])


@pytest.mark.parametrize("kind", [Postfix, Exim, OpenSmtpd])
def test_it_takes_mail_for_its_users_alone(kind: type[MailServer]) -> None:
    with made(kind) as server:
        with server.smtp() as client:
            keywords = client.ehlo()
            client.command(b"MAIL FROM:<ann@here.example>", 250)
            assert client.command(b"RCPT TO:<nobody@there.example>").code == 550
            client.command(b"RSET", 250)
            both = [b"bob@there.example", b"alice@there.example"]
            client.deliver(b"ann@here.example", both, small_message("for-both"))
        if b"STARTTLS" in keywords:
            with server.smtp() as client:
                client.ehlo()
                client.starttls(tls_context())
                client.ehlo()
                client.deliver(b"ann@here.example", both[:1], small_message("over-tls"))
        assert (b"STARTTLS" in keywords) == (kind is not OpenSmtpd)
        count = 1 + (b"STARTTLS" in keywords)
        bobs = server.wait_for("bob", count)
        assert len(bobs) == count
        (alices,) = server.wait_for("alice")
        assert b"\nSubject: for-both\n" in alices
        assert sum(b"\nSubject: for-both\n" in one for one in bobs) == 1


def test_the_starttls_of_opensmtpd_fails() -> None:
    with OpenSmtpd("there.example", starttls=True) as server:
        with server.smtp() as client:
            assert b"STARTTLS" in client.ehlo()
            with pytest.raises(OSError, match="TLS|SSL|reset"):
                client.starttls(tls_context())
        with server.smtp() as client:
            client.ehlo()
            client.deliver(b"a@here.example", [b"bob@there.example"], small_message("plain"))
        assert len(server.wait_for("bob")) == 1


def test_postfix_sends_on_by_its_routes_and_to_nobody_else() -> None:
    with (
        OpenSmtpd("there.example") as far,
        Postfix("near.example", routes={"there.example": ("127.0.0.1", far.port)}) as near,
        near.smtp() as client,
    ):
        client.ehlo()
        message = small_message("passed-on")
        client.deliver(b"ann@near.example", [b"bob@there.example"], message)
        (received,) = far.wait_for("bob")
        assert b"by mx.near.example (Postfix)" in received
        client.command(b"MAIL FROM:<ann@near.example>", 250)
        assert client.command(b"RCPT TO:<bob@elsewhere.example>").code == 554
