"""SEARCH over contents: plans, batches, what is read and what is not."""

import pytest
from support.imaphouse import Client, House

from mox.imapserver import searching
from mox.store.content import NewMessage
from mox.store.messages import append


async def put(house: House, *contents: bytes) -> None:
    account = await house.shard.account("mox")
    made = [
        NewMessage(content=content, received_ms=house.clock.now_ms() + 1000 * number)
        for number, content in enumerate(contents)
    ]
    await append(account, account.mailbox("Inbox"), made)


async def search(client: Client, program: bytes) -> list[int]:
    found = await client.command(b"f SEARCH " + program)
    assert found[-1].startswith(b"f OK "), found
    assert found[0].startswith(b"* SEARCH")
    return [int(number) for line in found[:-1] for number in line.split()[2:]]


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "HEADERS_PER_SLICE", 7)
    monkeypatch.setattr(searching, "TEXTS_PER_SLICE", 3)


@pytest.mark.usefixtures("small_slices")
async def test_headers_and_texts_in_slices(house: House, client: Client) -> None:
    await put(
        house,
        *(
            b"Subject: s%d\r\nX-Mod: m%d\r\n\r\nbody%d\r\n" % (number, number % 3, number % 5)
            for number in range(1, 31)
        ),
    )
    await client.command(b"s SELECT Inbox")
    numbers = range(1, 31)
    assert await search(client, b"HEADER X-Mod m1") == [n for n in numbers if n % 3 == 1]
    assert await search(client, b"BODY body4") == [n for n in numbers if n % 5 == 4]
    assert await search(client, b"NOT BODY body4") == [n for n in numbers if n % 5 != 4]
    assert await search(client, b"HEADER X-Mod m1 BODY body4") == [4, 19]
    assert await search(client, b"OR 30 (HEADER X-Mod m1 BODY body4)") == [4, 19, 30]
    assert await search(client, b"OR HEADER X-Mod m2 BODY body0 5:11") == [5, 8, 10, 11]
    assert await search(client, b"NOT (TEXT m0 TEXT body0)") == [n for n in numbers if n % 15]
    assert await search(client, b'SUBJECT s HEADER X-Mod "" SUBJECT s30') == [30]
    assert await search(client, b'HEADER X-None ""') == []
    # Only the ends.
    for options, answer in ((b"MIN", b"MIN 4"), (b"MAX", b"MAX 29"), (b"MIN MAX", b"MIN 4 MAX 29")):
        found = await client.command(b"f SEARCH RETURN (%b) BODY body4" % options)
        assert found[0] == b'* ESEARCH (TAG "f") ' + answer
    found = await client.command(b"f SEARCH RETURN (MIN MAX) OR 10 BODY body4")
    assert found[0] == b'* ESEARCH (TAG "f") MIN 4 MAX 29'
    found = await client.command(b"f SEARCH RETURN (MIN) OR 2 BODY body4")
    assert found[0] == b'* ESEARCH (TAG "f") MIN 2'


async def test_contents_are_read_only_where_they_count(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.put("Inbox", 20)
    await client.command(b"s SELECT Inbox")
    await client.command(b"t STORE 3,7 +FLAGS.SILENT (\\Flagged)")
    headers: list[int] = []
    texts: list[int] = []
    judge_headers, judge_texts = searching.judge_headers, searching.judge_texts

    def count_headers(account, files, plan):  # type: ignore[no-untyped-def]
        headers.extend(files)
        return judge_headers(account, files, plan)

    def count_texts(account, files, plan):  # type: ignore[no-untyped-def]
        texts.extend(files)
        return judge_texts(account, files, plan)

    monkeypatch.setattr(searching, "judge_headers", count_headers)
    monkeypatch.setattr(searching, "judge_texts", count_texts)
    assert await search(client, b"BODY message SUBJECT message7 FLAGGED") == [7]
    assert headers == [3, 7]
    assert texts == [7]
    assert await search(client, b"OR ALL BODY message") == list(range(1, 21))
    assert texts == [7]


async def test_a_header_longer_than_the_first_read(house: House, client: Client) -> None:
    long = b"X-Long: " + b"x" * 70 + b"\r\n"
    await put(house, long * 1000 + b"Subject: late\r\n\r\n" + b"Subject: not this\r\n")
    await client.command(b"s SELECT Inbox")
    assert await search(client, b"SUBJECT late") == [1]
    assert await search(client, b"SUBJECT not") == []


@pytest.mark.rfc("3501 §7.2.5")
async def test_results_come_in_lines_of_a_hundred(house: House, client: Client) -> None:
    await house.put("Inbox", 250)
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"f UID SEARCH 1:*")
    assert [len(line.split()) - 2 for line in found[:-1]] == [100, 100, 50]
    found = await client.command(b"f SEARCH MODSEQ 1")
    assert len(found) == 5
    assert all(line.endswith(b" (MODSEQ 3)") for line in found[1:4]), found[1][-20:]


async def test_messages_that_came_since_are_not_found(house: House, client: Client) -> None:
    await house.put("Inbox", 2)
    await client.command(b"s SELECT Inbox")
    await house.put("Inbox", 2, first=3)
    await client.send(b"f SEARCH ALL\r\n")
    assert await client.response() == b"* SEARCH 1 2"


@pytest.mark.rfc("9051 §6.4.4")
async def test_decoded_and_raw_headers(house: House, client: Client) -> None:
    await put(
        house,
        b"Subject: =?iso-8859-1?q?f=FCr?= dich\r\nTo: A <a@example.org>,\r\n B <b@example.org>\r\n\r\n",
        b"To: c@example.org\r\nCc: a@example.org\r\nBcc: b@example.org\r\n\r\n",
    )
    await client.command(b"s SELECT Inbox")
    assert await search(client, b"SUBJECT {4+}\r\n" + "FÜR".encode()) == [1]
    assert await search(client, b'SUBJECT "f=FC"') == [1]
    assert await search(client, b'TO "a@example.org>, b <b"') == [1]
    assert await search(client, b"CC a@example.org") == [2]
    assert await search(client, b"BCC b@example") == [2]
    assert await search(client, b"FROM a@example") == []


@pytest.mark.rfc("9051 §6.4.4")
async def test_a_search_too_long_is_bad(client: Client) -> None:
    await client.command(b"s SELECT Inbox")
    found = await client.command(b"f SEARCH " + b" ".join([b"SEEN"] * 60_000))
    assert found[-1].startswith(b"f BAD ")
    found = await client.command(b"f SEARCH " + b"NOT " * 1000 + b"(" * 40 + b"SEEN" + b")" * 40)
    assert found[-1].startswith(b"f OK ")
