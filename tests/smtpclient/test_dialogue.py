"""The client's half of SMTP conversations, without sockets.

Each script is a server: what it waits for (>), what it says (<).   spec/smtp-client-queue.md section 20.
"""

import ssl

import pytest
from support.smtpscript import Agreeable, Script

from mox.smtp.address import NULL_PATH, Address
from mox.smtp.reply import Reply
from mox.smtpclient.content import BytesContent
from mox.smtpclient.dialogue import Dialogue, Envelope, Extensions, Outcome, Recipient
from mox.smtpclient.errors import (
    BadContent,
    DeliveryError,
    LinkLost,
    NotSupported,
    ProtocolBroken,
    ServerRefused,
    TlsUnavailable,
)

SENDER = Address("from", "example.org")
MESSAGE = b"Subject: hello\r\n\r\n.dots\r\n..\r\nend\r\n"
STUFFED = b"Subject: hello\r\n\r\n..dots\r\n...\r\nend\r\n.\r\n"
CONTEXT = ssl.create_default_context()


def to(*names: str) -> tuple[Recipient, ...]:
    return tuple(Recipient(address=Address(name, "example.net")) for name in names)


def envelope(*names: str, **more: object) -> Envelope:
    return Envelope(sender=SENDER, recipients=to(*names), **more)  # type: ignore[arg-type]


async def greeted(*steps: str | bytes, keywords: tuple[str, ...] = ()) -> tuple[Dialogue, Script]:
    """A dialogue after EHLO with a server that offers these."""
    lines = ["mx.example.net", *keywords]
    ehlo = [f"< 250{'-' if line is not lines[-1] else ' '}{line}" for line in lines]
    script = Script("< 220 mx.example.net", "> EHLO us.example", *ehlo, *steps)
    dialogue = Dialogue(script, "us.example")
    await dialogue.greet()
    return dialogue, script


def told(outcomes: list[Outcome]) -> list[int | None]:
    """The codes of errors, None for accepted, 0 for untried."""
    return [
        0 if one.is_untried else None if one.error is None else one.error.reply.code  # type: ignore[union-attr]
        for one in outcomes
    ]


async def test_a_message_in_turn() -> None:
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org>",
        "< 250 ok",
        "> RCPT TO:<a@example.net>",
        "< 250 ok",
        "> DATA",
        "< 354 go",
        STUFFED,
        "< 250 2.0.0 taken",
        "> QUIT",
        "< 221 bye",
    )
    outcomes = await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    assert told(outcomes) == [None]
    assert outcomes[0].reply == Reply(code=250, enhanced="2.0.0", lines=("taken",))
    await dialogue.quit()
    script.finish()


@pytest.mark.rfc("2920 §3.1")
async def test_a_message_in_one_write() -> None:
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org> SIZE=34 BODY=7BIT",
        "> RCPT TO:<a@example.net>",
        "> RCPT TO:<b@example.net>",
        "> DATA",
        "< 250 ok",
        "< 250 ok",
        "< 251 will forward",
        "< 354 go",
        STUFFED,
        "< 250 taken",
        keywords=("PIPELINING", "SIZE 1000", "8bitmime"),
    )
    outcomes = await dialogue.send(envelope("a", "b"), BytesContent(MESSAGE))
    assert told(outcomes) == [None, None]  # 251 is acceptance, RFC 5321 §4.3.2
    script.finish()


@pytest.mark.rfc("3030 §4.2")
async def test_a_small_message_goes_along_by_bdat() -> None:
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<a@example.net>",
        f"> BDAT {len(MESSAGE)} LAST",
        MESSAGE,
        "< 250 ok",
        "< 250 ok",
        "< 250 taken",
        keywords=("PIPELINING", "CHUNKING"),
    )
    assert told(await dialogue.send(envelope("a"), BytesContent(MESSAGE))) == [None]
    script.finish()


@pytest.mark.rfc("3030 §2")
async def test_a_large_message_goes_in_chunks() -> None:
    line = b"x" * 98 + b"\r\n"
    large = line * 1500
    first, rest = 64 * 1024, len(large) - 2 * 64 * 1024
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<a@example.net>",
        "< 250 ok",
        "< 250 ok",
        f"> BDAT {first}",
        large[:first],
        "< 250 more",
        f"> BDAT {first}",
        large[first : 2 * first],
        "< 250 more",
        f"> BDAT {rest} LAST",
        large[2 * first :],
        "< 250 taken",
        keywords=("PIPELINING", "CHUNKING"),
    )
    assert told(await dialogue.send(envelope("a"), BytesContent(large))) == [None]
    script.finish()


async def test_a_chunk_that_is_refused_ends_the_message() -> None:
    large = b"y" * 70_000 + b"\r\n"
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<a@example.net>",
        "< 250 ok",
        "< 250 ok",
        "> BDAT 65536",
        large[:65536],
        "< 452 full",
        "> RSET",
        "< 250 ok",
        keywords=("PIPELINING", "CHUNKING"),
    )
    assert told(await dialogue.send(envelope("a"), BytesContent(large))) == [452]
    assert await dialogue.check_idle()
    script.finish()


@pytest.mark.rfc("9422 §4")
async def test_no_more_recipients_than_the_limit() -> None:
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<a@example.net>",
        "> DATA",
        "< 250 ok",
        "< 250 ok",
        "< 354 go",
        STUFFED,
        "< 250 taken",
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<b@example.net>",
        "> DATA",
        "< 250 ok",
        "< 250 ok",
        "< 354 go",
        STUFFED,
        "< 250 taken",
        keywords=("PIPELINING", "LIMITS RCPTMAX=1"),
    )
    outcomes = await dialogue.send(envelope("a", "b"), BytesContent(MESSAGE))
    assert told(outcomes) == [None, 0]
    assert told(await dialogue.send(envelope("b"), BytesContent(MESSAGE))) == [None]
    script.finish()


@pytest.mark.rfc("9422 §4")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("RCPTMAX=10",), {"RCPTMAX": 10}),
        (("rcptmax=10", "MAILMAX=3"), {"RCPTMAX": 10, "MAILMAX": 3}),
        (("RCPTMAX=0",), {}),
        (("RCPTMAX=1000000",), {}),
        (("RCPTMAX=0", "MAILMAX=3"), {"MAILMAX": 3}),
        (("RCPTMAX=1", "RCPTMAX=2"), {}),
        (("RCPTMAX",), {}),
        ((), {}),
    ],
)
def test_limits(words: tuple[str, ...], expected: dict[str, int]) -> None:
    assert Extensions(keywords={"LIMITS": words}).limits == expected


async def test_more_recipients_than_the_server_takes() -> None:
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org>",
        "< 250 ok",
        "> RCPT TO:<a@example.net>",
        "< 250 ok",
        "> RCPT TO:<b@example.net>",
        "< 452 too many",
        "> DATA",
        "< 354 go",
        STUFFED,
        "< 250 taken",
    )
    outcomes = await dialogue.send(envelope("a", "b", "c"), BytesContent(MESSAGE))
    assert told(outcomes) == [None, 452, 0]
    script.finish()


@pytest.mark.parametrize("keywords", [(), ("PIPELINING",)], ids=["in turn", "pipelined"])
async def test_552_to_a_recipient_is_temporary(keywords: tuple[str, ...]) -> None:
    pipelined = bool(keywords)
    steps: list[str | bytes] = ["> MAIL FROM:<from@example.org>"]
    steps += [] if pipelined else ["< 250 ok"]
    steps += ["> RCPT TO:<a@example.net>"]
    steps += ["> DATA", "< 250 ok"] if pipelined else []
    steps += ["< 552 full"]
    steps += ["< 503 no recipients"] if pipelined else []
    dialogue, script = await greeted(*steps, keywords=keywords)
    (outcome,) = await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    assert outcome.error is not None
    assert not outcome.error.permanent
    script.finish()


async def test_each_refused_recipient_keeps_its_own_reply() -> None:
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<a@example.net>",
        "> RCPT TO:<b@example.net>",
        "> DATA",
        "< 250 ok",
        "< 550 5.1.1 no a",
        "< 450 4.2.1 later",
        "< 354 go",
        "> .",
        "< 554 nobody",
        "> RSET",
        "< 250 ok",
        keywords=("PIPELINING", "ENHANCEDSTATUSCODES"),
    )
    first, second = await dialogue.send(envelope("a", "b"), BytesContent(MESSAGE))
    assert first.error is not None
    assert second.error is not None
    assert (first.error.permanent, second.error.permanent) == (True, False)
    assert first.reply == Reply(code=550, enhanced="5.1.1", lines=("no a",))
    assert await dialogue.check_idle()
    script.finish()


async def test_a_refused_sender_whose_server_hangs_up() -> None:
    dialogue, script = await greeted(
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<a@example.net>",
        "> DATA",
        "< 550 5.7.1 not you",
        "!",
        keywords=("PIPELINING",),
    )
    with pytest.raises(ServerRefused) as caught:
        await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    assert caught.value.permanent
    assert caught.value.reply == Reply(code=550, enhanced="5.7.1", lines=("not you",))
    script.finish()


async def test_a_refused_recipient_whose_server_hangs_up() -> None:
    dialogue, _ = await greeted(
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<a@example.net>",
        "> DATA",
        "< 250 ok",
        "< 554 never",
        "!",
        keywords=("PIPELINING",),
    )
    (outcome,) = await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    assert told([outcome]) == [554]
    assert dialogue.is_broken


async def test_lost_before_the_end() -> None:
    dialogue, _ = await greeted(
        "> MAIL FROM:<from@example.org>",
        "> RCPT TO:<a@example.net>",
        "> DATA",
        "< 250 ok",
        "< 250 ok",
        "< 354 go",
        STUFFED,
        "!",
        keywords=("PIPELINING",),
    )
    with pytest.raises(LinkLost) as caught:
        await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("greeting", "permanent"),
    [
        ("bogus", False),
        ("2200 x", False),
        ("", False),
        ("521 5.3.2 no", True),
        ("421 later", False),
    ],
)
async def test_other_greetings(greeting: str, permanent: bool) -> None:
    script = Script(f"< {greeting}") if greeting else Script("!")
    with pytest.raises(DeliveryError) as caught:
        await Dialogue(script, "us.example").greet()
    assert caught.value.permanent is permanent


async def test_an_old_server_is_greeted_with_helo() -> None:
    script = Script(
        "< 220 hi",
        "> EHLO us.example",
        "< 502 what",
        "> HELO us.example",
        "< 250 old.example hello",
    )
    dialogue = Dialogue(script, "us.example")
    await dialogue.greet()
    assert dialogue.extensions == Extensions(name="old.example")
    script.finish()


async def test_no_helo_after_starttls() -> None:
    dialogue, script = await greeted(
        "> STARTTLS",
        "< 220 go",
        "tls mx.example.net",
        "> EHLO us.example",
        "< 500 what",
        keywords=("STARTTLS",),
    )
    with pytest.raises(ServerRefused) as caught:
        await dialogue.start_tls(CONTEXT, "mx.example.net")
    assert caught.value.permanent
    script.finish()


@pytest.mark.rfc("3207 §4.2")
async def test_extensions_are_those_of_the_second_ehlo() -> None:
    dialogue, script = await greeted(
        "> STARTTLS",
        "< 220 go",
        "tls mx.example.net",
        "> EHLO us.example",
        "< 250-mx.example.net",
        "< 250 SIZE 5",
        keywords=("STARTTLS", "PIPELINING", "SMTPUTF8"),
    )
    await dialogue.start_tls(CONTEXT, "mx.example.net")
    assert set(dialogue.extensions.keywords) == {"SIZE"}
    script.finish()


async def test_starttls_refused_for_good_is_no_verdict_on_the_message() -> None:
    dialogue, _ = await greeted("> STARTTLS", "< 554 5.7.0 no", keywords=("STARTTLS",))
    with pytest.raises(TlsUnavailable) as caught:
        await dialogue.start_tls(CONTEXT, "mx.example.net")
    assert not caught.value.permanent
    assert caught.value.result_type == "starttls-not-supported"
    assert caught.value.reason == "smtp-starttls-reply-code-554"


@pytest.mark.parametrize(
    "steps",
    [
        ("< 250-one", "< 251 two"),
        ("< what is this",),
        ("< 999 what",),
        tuple(f"< 250-{n}" for n in range(1001)),
        tuple("< 250-" + "x" * 1000 for _ in range(70)),
    ],
    ids=["codes differ", "no code", "bad code", "too many lines", "too many bytes"],
)
async def test_what_is_no_reply_breaks_the_connection(steps: tuple[str, ...]) -> None:
    dialogue, _ = await greeted("> MAIL FROM:<from@example.org>", *steps)
    with pytest.raises(ProtocolBroken) as caught:
        await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    assert not caught.value.permanent
    with pytest.raises(LinkLost):
        await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    await dialogue.quit()  # says nothing, and does not mind


async def test_a_reply_to_nothing_breaks_the_connection() -> None:
    dialogue, script = await greeted("* 250 more")
    with pytest.raises(ProtocolBroken, match="reply to nothing"):
        await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    assert b"MAIL" not in script.heard
    assert not await dialogue.check_idle()


@pytest.mark.parametrize(
    ("needs", "permanent"),
    [
        ({"require_tls": True}, False),
        ({"smtputf8": True}, False),
        ({"has_8bit": True, "needs_8bitmime": True}, True),
    ],
)
async def test_what_a_message_needs(needs: dict[str, bool], permanent: bool) -> None:
    dialogue, _ = await greeted()
    with pytest.raises(NotSupported) as caught:
        await dialogue.send(envelope("a", **needs), BytesContent(MESSAGE))
    assert caught.value.permanent is permanent
    assert not dialogue.is_broken


@pytest.mark.rfc("1870 §6.1")
async def test_larger_than_the_server_takes() -> None:
    dialogue, _ = await greeted(keywords=("SIZE 10",))
    with pytest.raises(NotSupported, match="larger than the server's limit of 10") as caught:
        await dialogue.send(envelope("a"), BytesContent(MESSAGE))
    assert caught.value.permanent


async def test_every_parameter() -> None:
    content = BytesContent("Subject: ü\r\n\r\n".encode())
    dialogue, script = await greeted(
        "> MAIL FROM:<é@bücher.example> SIZE=15 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=x+2By",
        "< 250 ok",
        "> RCPT TO:<a@bücher.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@b",
        "< 250 ok",
        "> DATA",
        "< 354 go",
        "Subject: ü\r\n\r\n.\r\n".encode(),
        "< 250 taken",
        keywords=("SIZE", "8BITMIME", "SMTPUTF8", "REQUIRETLS", "DSN"),
    )
    one = Envelope(
        sender=Address("é", "xn--bcher-kva.example"),
        recipients=(
            Recipient(
                address=Address("a", "xn--bcher-kva.example"),
                notify="SUCCESS,FAILURE",
                original="rfc822;a@b",
            ),
        ),
        has_8bit=True,
        smtputf8=True,
        require_tls=True,
        ret="HDRS",
        envelope_id="x+2By",
    )
    assert content.size == 15
    assert told(await dialogue.send(one, content)) == [None]
    script.finish()


async def test_the_null_path_and_address_literals() -> None:
    dialogue, script = await greeted(
        "> MAIL FROM:<>", "< 250 ok", "> RCPT TO:<a@[192.0.2.1]>", "< 550 no"
    )
    one = Envelope(sender=NULL_PATH, recipients=(Recipient(address=Address("a", "[192.0.2.1]")),))
    assert told(await dialogue.send(one, BytesContent(MESSAGE))) == [550]
    script.finish()


@pytest.mark.parametrize(
    "content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"a", b"", b"a\r\n\n", b"\r"]
)
@pytest.mark.parametrize(
    "keywords", [(), ("PIPELINING",), ("CHUNKING",), ("PIPELINING", "CHUNKING")]
)
async def test_a_message_with_other_line_ends_is_never_taken(
    content: bytes, keywords: tuple[str, ...]
) -> None:
    script = Agreeable(*keywords)
    dialogue = Dialogue(script, "us.example")
    await dialogue.greet()
    with pytest.raises(BadContent):
        await dialogue.send(envelope("a"), BytesContent(content))
    assert b"\r\n.\r\n" not in script.heard
    assert b"LAST" not in script.heard


async def test_an_idle_connection_that_ended_meanwhile() -> None:
    dialogue, _ = await greeted("> RSET", "!")
    assert not await dialogue.check_idle()
    dialogue, _ = await greeted("> RSET", "< 421 too long")
    assert not await dialogue.check_idle()
    assert dialogue.is_broken
