"""What a session tells whoever judges, and when."""

import pytest
from support.smtpsession import TLS13, BoundTLS, FakeJudging, House


async def test_each_step_is_told_when_it_is_known(house: House) -> None:
    judging = FakeJudging(passes=True)
    client = await house.connect(judging=judging, tls=BoundTLS())
    evidence = judging.connections[0]
    told = evidence.told
    assert told == ["connected 192.0.2.7"]
    await client.say("EHLO Client.example", 250)
    assert told.pop() == "ehlo client.example"
    await client.say("MAIL FROM:<a@remote.example> SMTPUTF8", 250, "2.1.0")
    assert told.pop() == "from <a@remote.example> utf8"
    await client.say("RCPT TO:<mox@example.org>", 250, "2.1.0")
    await client.say("RCPT TO:<other@example.org>", 250, "2.1.0")
    await client.say("RCPT TO:<lists@example.org>", 250, "2.1.0")
    assert told[1:] == ["spf?"]  # once, for the second
    await client.say("STARTTLS", 220, "2.0.0")
    await client.settle()
    assert told[2:] == ["forget", "encrypted"]
    await client.say("HELO client.example", 250)
    assert told.pop() == "helo client.example"
    await client.say("QUIT", 221, "2.0.0")
    await client.expect_end()
    assert told[4:] == ["close"]


async def test_the_message_is_told_while_it_arrives(house: House) -> None:
    judging = FakeJudging()
    client = await house.connect(judging=judging, wire_tls=TLS13)
    evidence = judging.connections[0]
    await client.say("EHLO client.example", 250)
    await client.mail()
    assert evidence.told[0] == "connected 192.0.2.7 tls"
    await client.say("DATA", 354)
    evidence.told.clear()
    await client.send(b"Subject: x\n")
    await client.settle()
    assert evidence.told == []
    await client.send(b"\nfirst\n")
    await client.settle()
    assert evidence.told == ["header", "body"]
    assert evidence.header == b"Subject: x\r\n\r\n"  # line ends are repaired
    assert evidence.content == b"first\r\n"
    await client.send(b"..second\r\n")
    await client.settle()
    assert evidence.content == b"first\r\n..second\r\n"  # no line after CRLF
    await client.send(b"..third\r\n")
    await client.say(b".", 250, "2.2.0")
    assert evidence.content == b"first\r\n..second\r\n.third\r\n"
    assert evidence.told == ["header", "body", "deliver", "forget"]


async def test_a_message_that_is_a_header_only(house: House) -> None:
    judging = FakeJudging()
    client = await house.connect(judging=judging)
    await client.say("EHLO client.example", 250)
    await client.mail()
    await client.data(b"Subject: x\r\n")
    evidence = judging.connections[0]
    assert evidence.header == b"Subject: x\r\n"
    assert evidence.told[-3:] == ["header", "deliver", "forget"]


@pytest.mark.parametrize("line", ["RSET", "EHLO client.example", "HELO client.example"])
async def test_a_transaction_that_is_given_up(house: House, line: str) -> None:
    judging = FakeJudging()
    client = await house.connect(judging=judging)
    await client.say("EHLO client.example", 250)
    told = judging.connections[0].told
    await client.say("RSET", 250, "2.0.0")
    assert "forget" not in told  # there was none
    await client.mail()
    told.clear()
    await client.say(line, 250, "2.0.0" if line == "RSET" else "")
    assert told[0] == "forget"


async def test_a_refused_message_is_forgotten(house: House) -> None:
    judging = FakeJudging()
    client = await house.connect(judging=judging, max_size=100)
    await client.say("EHLO client.example", 250)
    told = judging.connections[0].told
    await client.mail()
    await client.data(b"x" * 100 + b"\r\n", 552, "5.2.3")
    assert told[-1] == "forget"
    assert "deliver" not in told
    await client.mail()
    await client.send(b"BDAT 101\r\n" + b"x" * 101)
    assert (await client.reply()).code == 552
    assert told[-1] == "forget"
    await client.mail("nobody@example.org")
    await client.data(b"Subject: x\r\n\r\n", 550, "5.1.1")
    assert "deliver" not in told


async def test_who_is_not_let_in_is_not_asked_about(house: House) -> None:
    judging = FakeJudging()
    for _ in range(30):
        await house.connect(judging=judging)
    refused = await house.connect(judging=judging, greeted=False)
    assert (await refused.reply()).code == 421
    assert len(judging.connections) == 30


async def test_a_client_that_vanishes_is_forgotten(house: House) -> None:
    judging = FakeJudging()
    client = await house.connect(judging=judging)
    await client.say("EHLO client.example", 250)
    await client.mail()
    await client.say("DATA", 354)
    await client.send(b"Subject: x\r\n\r\ntext")
    await client.settle()
    client.wire.vanish()
    await client.expect_end()
    assert judging.connections[0].told[-2:] == ["forget", "close"]
