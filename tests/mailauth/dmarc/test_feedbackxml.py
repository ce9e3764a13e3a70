"""Aggregate reports as XML: what senders write, what attackers write, what we write."""

import contextlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import (
    DMARC_REPORT_DEPTH,
    DMARC_REPORT_ELEMENTS,
    DMARC_REPORT_RECORDS,
    DMARC_REPORT_TOKEN,
    MIB,
    REPORT_NOTES,
    REPORT_TEXT,
)
from mox.mailauth.dmarc.feedback import (
    DkimAuth,
    Feedback,
    PolicyPublished,
    Reason,
    Record,
    SpfAuth,
)
from mox.mailauth.dmarc.feedbackxml import BadFeedback, FeedbackTooLarge, parse, write

SAMPLES = Path(__file__).parents[2] / "data" / "reports"
PIECE = 65_536


def sample(name: str) -> Feedback:
    return parse([(SAMPLES / name).read_bytes()])


def read(text: str) -> Feedback:
    data = text.encode()
    return parse(data[at : at + PIECE] for at in range(0, len(data), PIECE))


def document(records: str = "", *, metadata: str = "", policy: str = "", more: str = "") -> str:
    return (
        "<feedback><report_metadata><org_name>o</org_name><report_id>i</report_id>"
        f"<date_range><begin>1</begin><end>2</end></date_range>{metadata}</report_metadata>"
        f"<policy_published><domain>a.example</domain>{policy}</policy_published>"
        f"{records}{more}</feedback>"
    )


RECORD = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>"


@pytest.mark.rfc("7489 appendix C")
def test_a_plain_report() -> None:
    report = sample("plain.xml")
    assert report == Feedback(
        version="1.0",
        org_name="mail.example",
        email="noreply-dmarc@mail.example",
        extra_contact_info="https://mail.example/dmarc",
        report_id="16211123087430721234",
        begin_s=1795824000,
        end_s=1795910399,
        policy=PolicyPublished(
            domain="example.org", adkim="r", aspf="r", p="reject", sp="reject", pct=100
        ),
        records=(
            Record(
                source_ip="192.0.2.7",
                count=12,
                disposition="none",
                dkim="pass",
                spf="fail",
                header_from="example.org",
                dkim_results=(DkimAuth(domain="example.org", selector="2026a", result="pass"),),
                spf_results=(SpfAuth(domain="lists.example.net", result="pass"),),
            ),
        ),
    )


def test_namespaces_and_unknown_elements_are_passed_over() -> None:
    report = sample("namespace.xml")
    assert report.org_name == "Gateway & Sons"
    assert report.errors == ("no address in rua took the last report", "second")
    assert report.policy.fo == "1:d"
    (record,) = report.records
    assert record.reasons == (
        Reason(type="mailing_list", comment="lists.example.net"),
        Reason(type="sampled_out"),
    )
    assert record.envelope_to == "gateway.example"
    assert [one.human_result for one in record.dkim_results] == ["", "body hash does not match"]
    assert record.spf_results[0].scope == "mfrom"


def test_a_report_of_the_next_version() -> None:
    report = sample("successor.xml")
    assert report.org_name == "Post & Co <post.example>"
    assert report.policy == PolicyPublished(domain="example.org", p="reject")
    assert report.records[0].disposition == "pass"


def test_another_encoding_and_an_early_blank_line() -> None:
    report = sample("latin1.xml")
    assert report.org_name == "Bücher GmbH"
    assert report.policy.pct is None
    assert report.records == ()


def test_no_white_space_at_all() -> None:
    record = sample("oneline.xml").records[0]
    assert (record.disposition, record.spf_results[0].result) == ("NONE", "SOFTFAIL")


@pytest.mark.parametrize("name", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_unicode_encodings(name: str) -> None:
    mark = "\ufeff" if name == "utf-16-le" else ""
    data = (mark + document().replace("<org_name>o", "<org_name>ö")).encode(name)
    assert parse([data]).org_name == "ö"
    assert parse([data[at : at + 1] for at in range(len(data))]).org_name == "ö"


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.xml")))
def test_the_pieces_do_not_matter(name: str) -> None:
    data = (SAMPLES / name).read_bytes().lstrip()
    whole = parse([data])
    assert parse(data[at : at + 7] for at in range(0, len(data), 7)) == whole
    assert parse([write(whole)]) == whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "<html></html>",
        "<feedback></feedback>",
        "<feedback>",
        document()[:-1],
        document() + "<feedback/>",
        document().replace("<report_id>i</report_id>", ""),
        document().replace("<end>2</end>", ""),
        document().replace("<end>2</end>", "<end>soon</end>"),
        document().replace("<end>2</end>", "<end>-2</end>"),
        document(RECORD.replace("<count>1</count>", "")),
        document(RECORD.replace("<count>1<", "<count>1.5<")),
        document("<record></record>"),
        "<?xml version='1.0' encoding='no-such'?>" + document(),
        "<?xml version='1.0' encoding='utf-7'?>" + document(),
        document(more="&undefined;"),
        document(more="\x01"),
    ],
)
def test_what_is_no_report(text: str) -> None:
    with pytest.raises(BadFeedback):
        read(text)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(BadFeedback):
        parse([document().encode() + b"\xff"])


# Attacks


def test_entities_are_refused_before_they_are_defined(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    for inside in (
        f'[<!ENTITY l0 "ha">{laughs}]',
        f'[<!ENTITY l11 SYSTEM "file://{secret}">]',
        f'SYSTEM "file://{secret}"',
        f'[<!ENTITY % p SYSTEM "file://{secret}"> %p;]',
        "",
    ):
        text = f"<!DOCTYPE feedback {inside}>" + document(more="<x>&l11;</x>")
        with pytest.raises(BadFeedback, match="document type"):
            read(text)


def test_depth_is_limited() -> None:
    deep = DMARC_REPORT_DEPTH - 1  # feedback itself is one
    assert read(document(more="<a>" * deep + "</a>" * deep)).report_id == "i"
    with pytest.raises(FeedbackTooLarge):
        read(document(more="<a>" * (deep + 1) + "</a>" * (deep + 1)))
    with pytest.raises(FeedbackTooLarge):
        read("<feedback>" + "<a>" * 1_000_000)


def test_elements_are_limited() -> None:
    with pytest.raises(FeedbackTooLarge):
        read(document(more="<a/>" * DMARC_REPORT_ELEMENTS))


def test_records_are_limited() -> None:
    assert len(read(document(RECORD * 1000)).records) == 1000
    with pytest.raises(FeedbackTooLarge):
        read(document(RECORD * (DMARC_REPORT_RECORDS + 1)))


def test_values_beside_each_other_are_limited() -> None:
    errors = "<error>e</error>"
    assert len(read(document(metadata=errors * REPORT_NOTES)).errors) == REPORT_NOTES
    with pytest.raises(FeedbackTooLarge):
        read(document(metadata=errors * (REPORT_NOTES + 1)))


@pytest.mark.parametrize("filling", ["x", "&amp;", "<!---->x", "<a/>x"])
def test_values_are_limited(filling: str) -> None:
    with pytest.raises(FeedbackTooLarge):
        read(document(metadata=f"<email>{filling * (REPORT_TEXT + 1)}</email>"))


def test_a_value_of_the_largest_length() -> None:
    text = "x" * REPORT_TEXT
    assert read(document(metadata=f"<email>{text}</email>")).email == text


@pytest.mark.parametrize("start", ["<!--", "<a b='", "<a" + "b" * 100, "<?pi ", "</"])
def test_a_token_without_end_is_given_up(start: str) -> None:
    """expat 2.5 begins anew with each piece, so that 20 MiB would take half a minute."""
    fed = 0

    def pieces() -> Iterator[bytes]:
        nonlocal fed
        yield b"<feedback>" + start.encode()
        while fed < 20 * MIB:
            fed += PIECE
            yield b"x" * PIECE

    with pytest.raises(FeedbackTooLarge, match="tag"):
        parse(pieces())
    assert fed <= DMARC_REPORT_TOKEN + PIECE


def test_many_attributes_cost_little() -> None:
    attributes = "".join(f" a{n}=''" for n in range(20_000))
    assert read(document(more=f"<a{attributes}/>")).report_id == "i"
    attributes = "".join(f" a{n}=''" for n in range(100_000))
    with pytest.raises(FeedbackTooLarge):
        read(document(more=f"<a{attributes}/>"))


def peak(data: bytes) -> int:
    """The most memory, besides the document's own, that reading it takes."""
    tracemalloc.start()
    try:
        base = tracemalloc.get_traced_memory()[0]
        with contextlib.suppress(BadFeedback):
            parse(data[at : at + PIECE] for at in range(0, len(data), PIECE))
        return tracemalloc.get_traced_memory()[1] - base
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        document(more="<a/>" * 300_000),
        document(metadata="<email>" + "x" * (5 * MIB)),
        document(more="<a>" + "x" * (5 * MIB) + "</a>"),
        document(more="<!--" + "x" * (5 * MIB) + "-->"),
        document(metadata="<error/>" * 300_000),
        document("<record>" * 300_000),
    ],
    ids=["elements", "value", "unknown", "comment", "errors", "nested"],
)
def test_a_bomb_takes_no_memory(text: str) -> None:
    assert peak(text.encode()) < 2 * MIB


def test_memory_is_that_of_the_records() -> None:
    count = 5000
    one = (
        "<record><row><source_ip>192.0.{}.{}</source_ip><count>1</count><policy_evaluated>"
        "<disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row>"
        "<identifiers><header_from>example.org</header_from></identifiers><auth_results>"
        "<spf><domain>example.org</domain><result>pass</result></spf></auth_results></record>"
    )
    text = document("".join(one.format(n // 250, n % 250) for n in range(count)))
    assert peak(text.encode()) < count * 1500


# Writing

_texts = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff\u2028\u2029\u0085"
    ),
    max_size=20,
).map(str.strip)
_named = _texts.filter(bool)
_counts = st.integers(0, 10**12)
_records = st.builds(
    Record,
    source_ip=_texts,
    count=_counts,
    disposition=_texts,
    dkim=_texts,
    spf=_texts,
    reasons=st.lists(st.builds(Reason, type=_texts, comment=_texts), max_size=3).map(tuple),
    envelope_to=_texts,
    envelope_from=_texts,
    header_from=_texts,
    dkim_results=st.lists(
        st.builds(DkimAuth, domain=_texts, selector=_texts, result=_texts, human_result=_texts),
        max_size=3,
    ).map(tuple),
    spf_results=st.lists(
        st.builds(SpfAuth, domain=_texts, scope=_texts, result=_texts), max_size=3
    ).map(tuple),
)
feedbacks = st.builds(
    Feedback,
    version=_texts,
    org_name=_texts,
    email=_texts,
    extra_contact_info=_texts,
    report_id=_named,
    begin_s=_counts,
    end_s=_counts,
    errors=st.lists(_texts, max_size=3).map(tuple),
    policy=st.builds(
        PolicyPublished,
        domain=_texts,
        adkim=_texts,
        aspf=_texts,
        p=_texts,
        sp=_texts,
        pct=st.none() | st.integers(0, 100),
        fo=_texts,
    ),
    records=st.lists(_records, max_size=4).map(tuple),
)


@given(feedbacks)
def test_what_is_written_can_be_read(feedback: Feedback) -> None:
    assert parse([write(feedback)]) == feedback


def test_text_that_no_document_may_have() -> None:
    feedback = parse([document().encode()])
    bad = Feedback(
        org_name="a\0b\x1b\ud800\uffff",
        email="]]><![CDATA[<x>&y;",
        report_id="i\r\n",
        begin_s=1,
        end_s=2,
        policy=feedback.policy,
    )
    again = parse([write(bad)])
    assert (again.org_name, again.email, again.report_id) == (
        "a b",
        "]]><![CDATA[<x>&y;",
        "i",
    )
