"""BODY[...], BINARY[...] and BINARY.SIZE[...] of messages with parts in parts."""

import base64
import re

import pytest
from support.imaphouse import Client, House

from mox.store.content import NewMessage
from mox.store.messages import append

INNER_HEADER = b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
INNER_TEXT = (
    b"--in\r\n\r\ninner one\r\n--in\r\nX-Two: 2\r\n\r\ninner two\r\n--in--\r\nafterwards\r\n"
)
INNER = INNER_HEADER + INNER_TEXT
BLOB = bytes(range(256)) * 3
HEADER = (
    b"From: a@example.org\r\nSubject: outer\r\n folded\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=out\r\n\r\n"
)
TEXT = (
    b"preamble\r\n--out\r\nContent-Type: text/plain\r\n\r\nfirst\r\nlines\r\n--out\r\n"
    b"X-Other: x\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(BLOB).replace(b"\n", b"\r\n")
    + b"--out\r\nContent-Type: message/rfc822\r\n\r\n"
    + INNER
    + b"\r\n--out\r\nContent-Transfer-Encoding: x-odd\r\n\r\nodd\r\n--out--\r\nepilogue\r\n"
)
MESSAGE = HEADER + TEXT


async def put(house: House, content: bytes, mailbox: str = "Inbox") -> None:
    account = await house.shard.account("mox")
    message = NewMessage(content=content, received_ms=house.clock.now_ms())
    await append(account, account.mailbox(mailbox), [message])


def value_of(response: bytes, label: bytes) -> bytes:
    """The literal after a label."""
    found = re.search(re.escape(label) + rb" ~?\{([0-9]+)\}\r\n", response)
    assert found, response
    return response[found.end() : found.end() + int(found[1])]


async def section(client: Client, label: bytes, ask: bytes = b"") -> bytes:
    """What a FETCH of one item of message 1 gives."""
    found = await client.command(b"f FETCH 1 " + (ask or label))
    assert found[-1].startswith(b"f OK "), found
    return value_of(found[0], label)


@pytest.fixture
async def opened(house: House, client: Client) -> Client:
    await put(house, MESSAGE)
    await client.command(b"s SELECT Inbox")
    return client


@pytest.mark.rfc("9051 §6.4.5.1")
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (b"", MESSAGE),
        (b"HEADER", HEADER),
        (b"TEXT", TEXT),  # with preamble and epilogue
        (b"HEADER.FIELDS (Subject)", b"Subject: outer\r\n folded\r\n\r\n"),
        (
            b"HEADER.FIELDS (From Subject)",
            b"From: a@example.org\r\nSubject: outer\r\n folded\r\n\r\n",
        ),
        (b"HEADER.FIELDS (X-None)", b"\r\n"),
        (
            b"HEADER.FIELDS.NOT (Subject Content-Type)",
            b"From: a@example.org\r\nMIME-Version: 1.0\r\n\r\n",
        ),
        (b"1", b"first\r\nlines"),
        (b"1.MIME", b"Content-Type: text/plain\r\n\r\n"),
        (
            b"2.MIME",
            b"X-Other: x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        ),
        (b"2", base64.encodebytes(BLOB).replace(b"\n", b"\r\n")[:-2]),
        (b"3", INNER),
        (b"3.MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        (b"3.HEADER", INNER_HEADER),
        (b"3.TEXT", INNER_TEXT),  # with its epilogue
        (b"3.HEADER.FIELDS (Subject)", b"Subject: inner\r\n\r\n"),
        (b"3.1", b"inner one"),
        (b"3.2", b"inner two"),
        (b"3.1.MIME", b"\r\n"),
        (b"3.2.MIME", b"X-Two: 2\r\n\r\n"),
        (b"4", b"odd"),
    ],
)
async def test_sections(opened: Client, spec: bytes, expected: bytes) -> None:
    assert await section(opened, b"BODY[%b]" % spec) == expected
    assert await section(opened, b"BODY[%b]" % spec, b"BODY.PEEK[%b]" % spec.lower()) == expected


@pytest.mark.parametrize(
    "spec", [b"5", b"1.1", b"1.HEADER", b"1.TEXT", b"2.1", b"3.3", b"3.1.TEXT", b"3.1.1", b"9.9.9"]
)
async def test_sections_that_are_not_there(opened: Client, spec: bytes) -> None:
    found = await opened.command(b"f FETCH 1 (RFC822.SIZE BODY[%b])" % spec)
    assert found[0] == b"* 1 FETCH (UID 1 RFC822.SIZE %d)" % len(MESSAGE)
    assert found[1].startswith(b"f NO ")


@pytest.mark.rfc("9051 §6.4.5")
@pytest.mark.parametrize(
    ("partial", "expected"),
    [
        (b"<0.5>", MESSAGE[:5]),
        (b"<5.10>", MESSAGE[5:15]),
        (b"<0.99999999>", MESSAGE),
        (b"<9223372036854775807.9223372036854775807>", b""),
    ],
)
async def test_partials(opened: Client, partial: bytes, expected: bytes) -> None:
    origin = partial.split(b".")[0] + b">"
    assert await section(opened, b"BODY[]" + origin, b"BODY.PEEK[]" + partial) == expected
    await put_second(opened)


async def put_second(client: Client) -> None:
    found = await client.command(
        b"f FETCH 1 (BODY.PEEK[1]<1.3> BODY.PEEK[1]<3.1> BODY.PEEK[HEADER])"
    )
    assert found[0].startswith(
        b"* 1 FETCH (UID 1 BODY[1]<1> {3}\r\nirs BODY[1]<3> {1}\r\ns BODY[HEADER] {"
    )


@pytest.mark.rfc("3516 §4.2")
async def test_binary(opened: Client) -> None:
    assert await section(opened, b"BINARY[2]") == BLOB
    found = await opened.command(b"f FETCH 1 BINARY.PEEK[2]<1.4>")
    # NUL may only be in a literal8.
    assert found[0] == b"* 1 FETCH (UID 1 BINARY[2]<1> {4}\r\n\1\2\3\4)"
    found = await opened.command(b"f FETCH 1 BINARY.PEEK[2]<0.4>")
    assert found[0] == b"* 1 FETCH (UID 1 BINARY[2]<0> ~{4}\r\n\0\1\2\3)"
    assert await section(opened, b"BINARY[1]") == b"first\r\nlines"
    assert await section(opened, b"BINARY[3]") == INNER  # a message is its octets
    assert await section(opened, b"BINARY[3.1]") == b"inner one"
    assert await section(opened, b"BINARY[]") == MESSAGE  # with the epilogue
    sizes = b"(BINARY.SIZE[1] BINARY.SIZE[2] BINARY.SIZE[3] BINARY.SIZE[])"
    found = await opened.command(b"f FETCH 1 " + sizes)
    assert found[0] == (
        b"* 1 FETCH (UID 1 BINARY.SIZE[1] 12 BINARY.SIZE[2] 768 BINARY.SIZE[3] %d BINARY.SIZE[] %d)"
        % (len(INNER), len(MESSAGE))
    )


@pytest.mark.rfc("3516 §4.3")
async def test_binary_that_cannot_be_given(opened: Client) -> None:
    for item in (b"BINARY[4]", b"BINARY.SIZE[4]"):
        found = await opened.command(b"f FETCH 1 " + item)
        assert found[-1].startswith(b"f NO [UNKNOWN-CTE] "), found
    for item in (b"BINARY[5]", b"BINARY.SIZE[1.1]", b"BINARY.PEEK[3.3]"):
        found = await opened.command(b"f FETCH 1 " + item)
        assert found[-1].startswith(b"f NO "), found
    # A part of type multipart has no decoded form.
    nested = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--a--\r\n"
    )
    found = await opened.command(b"a APPEND Inbox {%d+}\r\n%b" % (len(nested), nested))
    found = await opened.command(b"f FETCH 2 BINARY[1]")
    assert found[-1].startswith(b"f NO "), found


async def test_one_bad_item_does_not_hide_the_rest(house: House, opened: Client) -> None:
    await put(house, b"Subject: plain\r\n\r\ntext\r\n")
    await opened.command(b"n NOOP")
    found = await opened.command(b"f FETCH 1:2 (FLAGS BODY[3.1])")
    assert found[0].startswith(
        b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Seen) BODY[3.1] {9}\r\ninner one)"
    )
    # Nothing of the second message was read.
    assert found[1] == b"* 2 FETCH (UID 2 FLAGS (\\Recent))"
    assert found[2].startswith(b"f NO ")


@pytest.mark.rfc("9051 §6.4.5.1")
async def test_a_message_that_is_a_message(house: House, client: Client) -> None:
    outer = b"Subject: carrier\r\nContent-Type: message/rfc822\r\n\r\n"
    await put(house, outer + INNER)
    await client.command(b"s SELECT Inbox")
    assert await section(client, b"BODY[1]") == INNER
    assert await section(client, b"BODY[1.HEADER]") == INNER_HEADER
    assert await section(client, b"BODY[1.TEXT]") == INNER_TEXT
    assert await section(client, b"BODY[1.MIME]") == b"Content-Type: message/rfc822\r\n\r\n"
    assert await section(client, b"BODY[1.2]") == b"inner two"
    assert await section(client, b"BODY[HEADER]") == outer
    assert await section(client, b"BINARY[1]") == INNER


@pytest.mark.rfc("6532 §3.7")
async def test_an_encoded_message_is_looked_into(house: House, client: Client) -> None:
    encoded = base64.encodebytes(INNER).replace(b"\n", b"\r\n")
    await put(
        house,
        b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded,
    )
    await client.command(b"s SELECT Inbox")
    assert await section(client, b"BODY[1]") == encoded
    assert await section(client, b"BODY[1.HEADER]") == INNER_HEADER
    assert await section(client, b"BODY[1.2]") == b"inner two"
    assert await section(client, b"BINARY[1]") == INNER


async def test_a_single_part(house: House, client: Client) -> None:
    header = (
        b"Subject: x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable"
    )
    await put(house, header + b"\r\n\r\na=20b=\r\nc\r\n")
    await client.command(b"s SELECT Inbox")
    assert await section(client, b"BODY[1]") == b"a=20b=\r\nc\r\n"
    assert await section(client, b"BODY[1.MIME]") == header.partition(b"\r\n")[2] + b"\r\n\r\n"
    assert await section(client, b"BINARY[1]") == b"a bc\r\n"
    whole = b"Subject: x\r\nContent-Type: text/plain\r\n\r\na bc\r\n"
    assert await section(client, b"BINARY[]") == whole
    found = await client.command(b"f FETCH 1 (BINARY.SIZE[] BINARY.SIZE[1])")
    assert found[0] == b"* 1 FETCH (UID 1 BINARY.SIZE[] %d BINARY.SIZE[1] 6)" % len(whole)


@pytest.mark.rfc("3516 §4.1")
async def test_nul_is_binary_only(client: Client) -> None:
    content = b"Subject: n\0l\r\nContent-Type: image/x\r\n\r\na\0b\nc\n"
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"a APPEND Inbox ~{%d+}\r\n%b" % (len(content), content))
    assert b"APPENDUID" in found[-1]
    assert await section(client, b"BINARY[1]") == b"a\0b\nc\n"  # octet for octet
    shown = (
        b"Subject: n\x80l\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"YQBiCmMK\r\n"
    )
    assert await section(client, b"BODY[]") == shown
    assert await section(client, b"BODY[1]") == b"YQBiCmMK\r\n"
    assert await section(client, b"BODY[HEADER.FIELDS (Subject)]") == b"Subject: n\x80l\r\n\r\n"
    found = await client.command(b"f FETCH 1 BODY")
    assert found[0] == b'* 1 FETCH (UID 1 BODY ("IMAGE" "X" NIL NIL NIL "BASE64" 10))'


async def test_the_same_section_twice_is_one_answer(opened: Client) -> None:
    found = await opened.command(b"f FETCH 1 (BODY.PEEK[1] BODY[1] body.peek[1])")
    assert found[0] == (b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Seen) BODY[1] {12}\r\nfirst\r\nlines)")


@pytest.mark.rfc("9051 §7.5.2")
async def test_partials_of_different_lengths_are_two_answers(opened: Client) -> None:
    found = await opened.command(
        b"f FETCH 1 (BODY.PEEK[1]<0.5> BODY.PEEK[1]<0.2> BINARY.PEEK[1]<1.1> BODY.PEEK[1]<0.5>)"
    )
    assert found[0] == (
        b"* 1 FETCH (UID 1 BODY[1]<0> {5}\r\nfirst BODY[1]<0> {2}\r\nfi BINARY[1]<1> {1}\r\ni)"
    )
